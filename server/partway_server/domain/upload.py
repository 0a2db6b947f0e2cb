"""The nouns: who calls, what an upload_id grants, and an Upload with its life.

The transitions stand in one table, `CLAIMS` and `FINISHES`. Every session store enforces that
table, and nothing else, atomically:

- a *claim* takes an Upload into a leased state and raises its epoch, at least to the time in
  milliseconds, so that no epoch comes twice even if the row was lost or put back from a copy;
- a *finish* takes it out, and counts only with the epoch of the claim it belongs to, so that a
  worker which was paused past its lease changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from partway_server.domain.grant import CopySource, Grant


class State(StrEnum):
    """Where an Upload stands. Expiry is no state: it is ACTIVE past its deadline."""

    INITIATING = "initiating"
    ACTIVE = "active"
    COMPLETING = "completing"
    COMPLETED = "completed"
    ABORTING = "aborting"
    ABORTED = "aborted"


LEASED = frozenset({State.INITIATING, State.COMPLETING, State.ABORTING})
"""States in which one worker at a time holds the Upload."""

CLAIMS: Mapping[State, frozenset[State]] = {
    State.INITIATING: frozenset({State.INITIATING}),
    # From ABORTED only after the object was seen: a late proof wins over a tombstone.
    State.COMPLETING: frozenset({State.ACTIVE, State.COMPLETING, State.ABORTED}),
    State.ABORTING: frozenset({State.ACTIVE, State.COMPLETING, State.ABORTING, State.ABORTED}),
}
"""Into a leased state: from which states. A leased state yields only once its lease is over."""

FINISHES: Mapping[State, frozenset[State]] = {
    State.INITIATING: frozenset({State.ACTIVE}),
    State.COMPLETING: frozenset({State.ACTIVE, State.COMPLETED, State.ABORTED}),
    State.ABORTING: frozenset({State.COMPLETED, State.ABORTED}),
}
"""Out of a leased state: into which states."""


class AbortReason(StrEnum):
    """Why an Upload was aborted."""

    REQUESTED = "requested"
    EXPIRED = "expired"
    LOST = "lost"
    OBJECT_EXISTS = "object_exists"
    CONFLICT = "conflict"
    SOURCE_CHANGED = "source_changed"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The finished object, as storage says. `etag` is opaque and has no quotes.

    `checksum` is that of the whole object, by the Upload's algorithm; b"" if storage tells none.
    `metadata` is the caller's, None where storage was not asked just now; it makes no difference.
    """

    size_bytes: int
    etag: str
    version_id: str = ""
    checksum: bytes = b""
    metadata: Mapping[str, str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a Complete names: the digest of its list of parts, and the whole object's checksum.

    Each is b"" if it names none. As bytes, rows from before there was a checksum stay readable.
    """

    parts: bytes = b""
    checksum: bytes = b""

    def pack(self) -> bytes:
        return self.parts + self.checksum

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        digest = 32 if len(packed) >= 32 else 0
        return cls(packed[:digest], packed[digest:])


@dataclass(frozen=True, slots=True)
class ReportedParts:
    """The parts that callers say they sent, each as long as planned: no more than their word.

    `parts` is a bitmap, as long as it must be: part n is bit n - 1, from the lowest bit of the
    first byte. `size_bytes` is the size of those parts together.
    """

    parts: bytes = b""
    size_bytes: int = 0


def epoch_at(now: datetime) -> int:
    """The least epoch of a claim at this time."""
    return int(now.timestamp() * 1000)


def moment_of(epoch: int) -> datetime:
    """When a claim with this epoch was taken, or later: see `epoch_at`."""
    return datetime.fromtimestamp(epoch / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Upload:
    """One object being assembled: what its id grants, and where it stands.

    `epoch` tells the claims apart, and grows from each to the next. `request_digest` tells a
    repeated Initialize from a reused request_id; `manifest`, a packed Manifest, does the same for
    what a Complete names. `metadata` is the caller's, where the grant does not have it: None if
    the row that had it was lost. `sources` are what a composed Upload is copied from, and
    `delete_sources` says to remove them once it is complete; a row that was rebuilt knows neither.
    `reported` is for callers to look at; nothing is decided by it.
    """

    grant: Grant
    state: State
    epoch: int = 0
    lease_until: datetime | None = None
    abort_reason: AbortReason | None = None
    object: StoredObject | None = None
    fingerprint: str = ""
    request_digest: bytes = b""
    manifest: bytes = b""
    metadata: Mapping[str, str] | None = None
    sources: tuple[CopySource, ...] = ()
    delete_sources: bool = False
    reported: ReportedParts = ReportedParts()

    @property
    def sid(self) -> str:
        return self.grant.sid

    @property
    def whole_checksum(self) -> bytes:
        """That of the whole object, as Initialize or the Complete at work named it, or b""."""
        return self.grant.whole_checksum or Manifest.unpack(self.manifest).checksum

    @property
    def public_state(self) -> State:
        """The state as callers are told.

        ABORTING with a reason is an Upload whose abort was answered, and is being repeated or
        buried: what was said to be ABORTED stays so.
        """
        if self.state is State.ABORTING and self.abort_reason is not None:
            return State.ABORTED
        return self.state

    @property
    def composing(self) -> bool:
        """Whether parts are to be copied, and the row says from where."""
        return self.state is State.ACTIVE and bool(self.sources)

    def look_again(self, now: datetime, patience: timedelta) -> datetime:
        """When a janitor is to look at the Upload if it is ACTIVE.

        At its deadline; but what is composed is work, and whoever does it says again and again
        that it goes on, so that it is taken up where it was left.
        """
        end = self.grant.expire_time
        return min(end, now + patience) if self.composing else end

    def leased(self, now: datetime) -> bool:
        """Whether a worker holds the Upload now."""
        return self.state in LEASED and self.lease_until is not None and self.lease_until > now

    def may_claim(self, target: State, now: datetime) -> bool:
        """Whether the table lets `target` be claimed now."""
        return self.state in CLAIMS[target] and not self.leased(now)

    def claimed(self, target: State, now: datetime, lease_until: datetime) -> Self:
        epoch = max(self.epoch + 1, epoch_at(now))
        return replace(self, state=target, epoch=epoch, lease_until=lease_until)

    def activated(self, multipart_id: str) -> Self:
        return self._finished(State.ACTIVE, grant=self.grant.with_multipart(multipart_id))

    def reopened(self) -> Self:
        return self._finished(State.ACTIVE, manifest=b"", abort_reason=None)

    def completed(self, stored: StoredObject) -> Self:
        return self._finished(
            State.COMPLETED, object=stored, abort_reason=None, reported=ReportedParts()
        )

    def aborted(self, reason: AbortReason) -> Self:
        return self._finished(State.ABORTED, abort_reason=reason, reported=ReportedParts())

    def _finished(self, state: State, **changes: Any) -> Self:
        if state not in FINISHES.get(self.state, ()):
            raise ValueError(f"{self.state} cannot become {state}")
        return replace(self, state=state, lease_until=None, **changes)
