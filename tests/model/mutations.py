"""Removes rules from the real code, one at a time.

Each mutation names the function with the rule, the source text of the rule, and its replacement.
The function is recompiled with that in its own module; if the text is no longer found, the mutation
fails and must be rewritten.
"""

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from partway_server.cleanup.expiry import Janitor
from partway_server.domain.upload import CLAIMS, FINISHES, State, Upload
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.workflow import object_proof
from partway_server.workflow.complete import Complete
from partway_server.workflow.discard import Discard
from partway_server.workflow.initialize import Initialize
from partway_server.workflow.leases import Leases
from partway_server.workflow.resolver import Resolver

Patch = Callable[[Any, str, Any], None]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A mutation: the function `name` of `owner` with its source changed in one place."""

    owner: Any
    name: str
    words: str
    instead: str

    def apply(self, patch: Patch) -> None:
        """Apply it with a function such as pytest's `monkeypatch.setattr`."""
        function = getattr(self.owner, self.name)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.words) == 1, f"{self.name} does not say {self.words!r} once"
        space = dict(vars(sys.modules[function.__module__]))
        exec(source.replace(self.words, self.instead), space)
        patch(self.owner, self.name, space[self.name])


@dataclass(frozen=True, slots=True)
class Entry:
    """A mutation: one state more or less in an entry of CLAIMS or FINISHES."""

    table: Mapping[State, frozenset[State]]
    row: State
    changed: State

    def apply(self, patch: Patch) -> None:
        """Apply it. Both tables are plain dicts that every store reads."""
        changed: dict[State, frozenset[State]] = {**self.table}
        changed[self.row] = self.table[self.row] ^ {self.changed}
        for module in ("domain.upload", "sessions.memory_store", "sessions.redis_store"):
            for name in ("CLAIMS", "FINISHES"):
                held = sys.modules.get(f"partway_server.{module}")
                if held is not None and getattr(held, name, None) is self.table:
                    patch(held, name, changed)


Mutation = Rewritten | Entry

NO_TOKEN = Rewritten(
    object_proof,
    "verify_object",
    "head is None or head.write_token != grant.write_token",
    "head is None",
)
REFUSED_WHILE_ABORTING = Rewritten(
    Complete,
    "_start",
    "target = State.ABORTING",
    "raise UploadNotActive(upload.sid, upload.state)",
)
LEASE_NOT_CHECKED = Rewritten(Complete, "_join", "await self._leases.ensure(upload)", "pass")
ABORT_WITHOUT_LOOKING = Rewritten(Discard, "run", "await self._storage.head(upload.grant)", "None")
LOST_AT_ONCE = Rewritten(
    Resolver, "completed_or_lost", "await find_object(self._storage, upload.grant)", "None"
)
NO_PATIENCE = Rewritten(
    Resolver, "completed_or_lost", "(*SETTLE_STEPS, None) if in_flight else (None,)", "(None,)"
)
ABORTED_IS_FINAL = Rewritten(
    Complete, "_start", "not await find_object(self._storage, upload.grant)", "True"
)
CLAIMED_WHILE_LEASED = Rewritten(Upload, "may_claim", " and not self.leased(now)", "")
CREATED_BEFORE_INTENT = Rewritten(
    Initialize,
    "__call__",
    "upload, turn = await self.begin(caller, params)",
    "await self._storage.create(new_upload(self._deps, caller, params).grant, {});"
    " upload, turn = await self.begin(caller, params)",
)
CREATED_WITHOUT_LEASE = Rewritten(
    Initialize, "_multipart", "await self._leases.renew(upload)", "pass"
)
FORGOTTEN_THOUGH_CREATED = Rewritten(Initialize, "resume", "if not found:", "if True:")
REBUILT_WITHOUT_PROOF = Rewritten(
    Resolver, "_as_storage_shows", "await find_object(self._storage, grant)", "None"
)
REBUILT_OVER_ANOTHER = Rewritten(
    Resolver, "_rebuild", "row if stored else await self.row(grant)", "row"
)
CLAIM_OF_ANY_UPLOAD = Rewritten(MemorySessionStore, "claim_active", "row.grant != grant", "False")
CLAIMED_AS_IF_ACTIVE = Rewritten(
    MemorySessionStore, "claim_active", "row.state is not State.ACTIVE", "False"
)
SEEN_IGNORED = Rewritten(
    MemorySessionStore, "claim", "(seen.epoch, seen.state) != (row.epoch, row.state)", "False"
)
EXTENDED_UNSEEN = Rewritten(Upload, "extended", "epoch=self.epoch + 1", "epoch=self.epoch")
VOUCHED_ALWAYS = Rewritten(Resolver, "current", "await self._sessions.is_current(upload)", "True")
ORPHANS_LEFT = Rewritten(Janitor, "_act", "await self._discard.abort_orphans(upload.grant)", "pass")
ANSWERED_BESIDE_ANOTHER_ROW = Rewritten(
    Leases,
    "finish",
    "row.state is outcome.state is State.COMPLETED",
    "outcome.state is State.COMPLETED",
)
LATE_OBJECT_STANDS = Rewritten(Leases, "finish", " and not row.stays_aborted", "")
BURIED_WITH_ITS_OBJECT = Rewritten(
    Discard, "_remove_late", "await self._storage.delete(upload.grant, head)", "pass"
)

NO_TAKING_OVER_OF_COMPLETES = Entry(CLAIMS, State.COMPLETING, State.COMPLETING)
NO_LATE_PROOF = Entry(CLAIMS, State.COMPLETING, State.ABORTED)
NO_BURIAL = Entry(CLAIMS, State.ABORTING, State.ABORTED)
NO_TAKING_OVER_OF_ABORTS = Entry(CLAIMS, State.ABORTING, State.ABORTING)
NO_SECOND_OPENING = Entry(CLAIMS, State.INITIATING, State.INITIATING)
ABORT_CANNOT_COMPLETE = Entry(FINISHES, State.ABORTING, State.COMPLETED)
COMPLETE_CANNOT_LOSE = Entry(FINISHES, State.COMPLETING, State.ABORTED)
COMPLETED_FINISHES = Entry(FINISHES, State.COMPLETING, State.COMPLETED)
