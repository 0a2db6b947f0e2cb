"""The seam to the session store: who may change an Upload now, and what was decided.

A store holds one row per Upload and enforces the table in `uploads.py` atomically. It decides
nothing else. Everything in it can be rebuilt from an upload_id and storage.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import Caller, State, Upload
from partway_server.sessions.notifications import Wakeup

AFTER_LEASE = timedelta(seconds=5)
"""How long after the end of its lease a claimed Upload is due, for a janitor to take over."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page of Uploads ended: those before it are older."""

    create_time: datetime
    sid: str


class SessionStore(Protocol):
    """A session store. Every method raises SessionsUnavailable if the store does not answer.

    `due` is when a janitor should look at the Upload next. A store keeps its own time for leases
    and for what is due, so that all processes agree on it.
    """

    async def insert(
        self, upload: Upload, due: datetime, lease: timedelta | None = None
    ) -> tuple[Upload, bool]:
        """Store `upload` if there is no row with its sid, leased if its state is a leased one.

        Returns the row that is there now, and whether it is the one given. In the same step its
        event is told, as `events.base.Telling` decides.
        """
        ...

    async def get(self, sid: str) -> Upload | None:
        """The row, or None."""
        ...

    async def is_current(self, upload: Upload) -> bool:
        """Whether the row must be the latest word on the Upload.

        False if the store may have lost what came after it: it was restarted, or another server
        took its place, since the row was written, or nobody can tell.
        """
        ...

    async def claim(
        self,
        sid: str,
        target: State,
        lease: timedelta,
        manifest: bytes | None = None,
        *,
        seen: Upload | None = None,
    ) -> tuple[Upload | None, bool]:
        """Take the Upload into the leased state `target` if CLAIMS and the present lease allow.

        If the caller saw the row before, only while it is that Upload's and in the same state of
        the same epoch. It may have ended since; or it was lost, the same request was initialized
        anew, and another Upload has the sid.

        Raises its epoch as `Upload.claimed` does, and stores `manifest` unless it is None. The row
        is due AFTER_LEASE past the end of the lease. Returns the row that is there now (None:
        there is none, or another Upload's), and whether it was claimed. Among any number of
        callers at once, one succeeds.
        """
        ...

    async def renew(self, sid: str, epoch: int, lease: timedelta) -> bool:
        """Let the lease of the claim `epoch` run for `lease` from now; zero gives it up.

        The due time moves with it, as for a claim. False, and nothing changed, if that claim or
        its lease is over.
        """
        ...

    async def put_off(self, sid: str, epoch: int, due: datetime) -> bool:
        """Move the due time of an Upload, for whoever works on it under no claim.

        False, and nothing changed, if there is no row, or a claim came since `epoch`.
        """
        ...

    async def finish(self, upload: Upload, due: datetime) -> bool:
        """Store the outcome of the claim `upload.epoch`: all but what only an insert stores.

        That is fingerprint, request_digest and metadata. In the same step its event is told, unless
        it was the last that the row told.

        Sources are stored where the outcome has some; otherwise those of the row stay.

        False, and nothing changed, if another claim came since, or if FINISHES does not lead from
        the row's state to the outcome's. A lease that ran out does not matter while nobody else
        has claimed.
        """
        ...

    async def report(self, upload: Upload, numbers: Collection[int]) -> Upload | None:
        """Count these parts of the plan as sent, each once however often it is reported.

        Only while the row is that Upload's, by its write token, and ACTIVE. Returns the row that
        is there now (None: there is none, or another Upload's). It is reported in the row itself,
        and so forgotten with it.
        """
        ...

    def changes(self, *sids: str) -> AbstractContextManager[Wakeup]:
        """A Wake that is told of each change of these rows while the context lasts.

        Of all that another process does to them as well, but for `renew`. It is told that changes
        may have been missed when the store begins to hear them, at first or anew. No more than a
        wish to be quick may rest on it: a change of which nobody is told is possible.
        """
        ...

    async def remove(self, sid: str, epoch: int) -> bool:
        """Forget the Upload, if it is not forgotten yet.

        False, and nothing changed, if a claim came since `epoch`.
        """
        ...

    async def take_due(self, limit: int, again: timedelta) -> Sequence[str]:
        """At most `limit` sids that are due, each put off by `again`: nobody else takes it.

        The one that is due longest is among them. Their order means nothing.
        """
        ...

    async def peek_due(self, limit: int) -> Sequence[str]:
        """At most `limit` sids that are due, the one that is due longest first. Changes nothing."""
        ...

    async def list_uploads(
        self, caller: Caller, wanted: UploadFilter, *, before: Cursor | None = None, limit: int
    ) -> tuple[Sequence[Upload], Cursor | None]:
        """Return a page of the caller's uploads, newest first, and where the next one begins.

        None says that there are no more. A page may be shorter than `limit`, even empty, and still
        not be the last.
        """
        ...

    async def check(self) -> None:
        """Raises if the store does not answer, or ValueError, in words, if it is set up wrongly."""
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
