"""The interface of the session store: who may change an upload now, and what was decided.

A store has one session record per upload and enforces the table in `domain/upload.py` atomically.
It decides nothing else. Everything in it can be rebuilt from an upload ID and storage.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from partway_server.domain.grant import Caller, Grant
from partway_server.domain.quota import Bucket, Rate
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import State, Upload
from partway_server.domain.usage import CallerUsage
from partway_server.sessions.notifications import Wakeup

AFTER_LEASE = timedelta(seconds=5)
"""How long after the end of its lease a claimed upload is due for a janitor to take over."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The end of a page of uploads: the next page has older ones."""

    create_time: datetime
    sid: str


class SessionStore(Protocol):
    """A session store. Every method raises SessionsUnavailable if the store does not respond.

    A record that cannot be read is removed, and counts as missing.

    `due` is when a janitor should look at the upload next. A store uses its own clock for leases
    and due times, so that all processes agree on them.
    """

    async def insert(
        self,
        upload: Upload,
        due: datetime,
        lease: timedelta | None = None,
        *,
        restore: bool = False,
    ) -> tuple[Upload, bool]:
        """Store a session record unless its sid has one, with a lease if its state is a leased one.

        Raises SessionsFull if the store has no room for it, unless with `restore`: that is for the
        record of an upload whose ID was handed out and whose record was lost.

        Returns the current record, and whether it is the one given. The event that EventComposer
        returns for it is appended atomically.
        """
        ...

    async def get(self, sid: str) -> Upload | None:
        """Return the session record, or None."""
        ...

    async def is_current(self, upload: Upload) -> bool:
        """Return whether this session record is certainly the latest.

        False if the store may have lost later changes: since the record was written it was
        restarted or replaced by another server, or that cannot be determined.
        """
        ...

    async def look(self, sid: str) -> tuple[Upload | None, bool]:
        """Return the session record, or None, and whether it is certainly the latest.

        That is `get` and `is_current` in one.
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
        """Move the upload into the leased state `target` if CLAIMS and the current lease allow it.

        If the caller has `seen` the record before, only while it belongs to the same upload and has
        the same state and epoch. The upload may have ended since; or the record was lost, the same
        request was initialized again, and another upload has the sid.

        Increases the epoch as `Upload.claimed` does, and stores `manifest` unless it is None. The
        record is due AFTER_LEASE past the end of the lease. Returns the current record (None:
        missing, or another upload's), and whether it was claimed. Of any number of concurrent
        callers, one succeeds.
        """
        ...

    async def claim_active(
        self, grant: Grant, target: State, lease: timedelta, manifest: bytes | None = None
    ) -> tuple[Upload | None, bool, bool]:
        """Claim an upload that was not looked at, if it is ACTIVE and has exactly this grant.

        Otherwise as `claim` does. For callers who would decide by nothing else that a record says.
        Returns the current record, whoever it belongs to (None: missing), whether it was claimed,
        and, of one PUT that was, whether its record before was certainly the latest.
        """
        ...

    async def renew(self, sid: str, epoch: int, lease: timedelta) -> bool:
        """Extend the lease of the claim `epoch` to `lease` from now; zero releases it.

        The due time moves with it, as for a claim. Returns False, with no change, if that claim or
        its lease is over.
        """
        ...

    async def put_off(self, sid: str, epoch: int, due: datetime) -> bool:
        """Move the due time of an upload, for a worker without a claim.

        Returns False, with no change, if the record is missing or was claimed after `epoch`.
        """
        ...

    async def finish(self, upload: Upload, due: datetime) -> bool:
        """Store the outcome of the claim `upload.epoch`, except what only an insert stores.

        That is fingerprint, request_digest and metadata. The event is appended atomically, unless
        the record's last event has the same type.

        Sources are stored if the outcome has any; otherwise those of the record are kept.

        Returns False, with no change, if there was a later claim, or if FINISHES does not lead from
        the record's state to the outcome's. An expired lease does not matter as long as no one else
        has claimed the upload.
        """
        ...

    async def extend(
        self, seen: Upload, expire_time: datetime, due: datetime
    ) -> tuple[Upload | None, bool]:
        """Give the upload another deadline if it is ACTIVE and its record is as the caller saw it.

        That is, it belongs to the same upload and has the same epoch, which becomes the next one:
        so an extension fails a claim by anyone who decided before it. Returns the current record
        (None: missing, or another upload's), and whether it was changed.
        """
        ...

    async def report(self, upload: Upload, numbers: Collection[int]) -> Upload | None:
        """Count these parts of the plan as sent, each once however often it is reported.

        Only while the record belongs to that upload, by its write token, and is ACTIVE. Returns the
        current record (None: missing, or another upload's). Reports are stored in the record, and
        lost with it.
        """
        ...

    def changes(self, *sids: str) -> AbstractContextManager[Wakeup]:
        """Return a Wakeup that is notified of each change of these records while the context lasts.

        This includes changes by other processes, except `renew`. When the store subscribes or
        resubscribes, the Wakeup is notified that changes may have been missed. Use it only to react
        sooner: a notification can be lost.
        """
        ...

    async def remove(self, sid: str, epoch: int) -> bool:
        """Remove the session record if it exists.

        Returns False, with no change, if it was claimed after `epoch`.
        """
        ...

    async def take_due(self, limit: int, again: timedelta) -> Sequence[str]:
        """Return at most `limit` due sids, each postponed by `again`, so no one else takes them.

        The one that is due longest is among them. Their order has no meaning.
        """
        ...

    async def peek_due(self, limit: int) -> Sequence[str]:
        """Return at most `limit` due sids, the longest due first, and change nothing."""
        ...

    async def first_due(self) -> datetime | None:
        """Return the earliest due time of all records, past or not; None without a record."""
        ...

    async def list_uploads(
        self, caller: Caller, wanted: UploadFilter, *, before: Cursor | None = None, limit: int
    ) -> tuple[Sequence[Upload], Cursor | None]:
        """Return a page of the caller's uploads, newest first, and where the next one begins.

        None says that there are no more. A page may be shorter than `limit`, even empty, and still
        not be the last.
        """
        ...

    async def usage(self, caller: Caller) -> CallerUsage:
        """Return what the caller's tenant, and its subject, use.

        Each method that changes a record counts it atomically, as `standing_of` says.
        """
        ...

    async def reconcile_usage(self, limit: int) -> int:
        """Look at the next `limit` records of each shard, and count those right that are not.

        Processes of a version that counts nothing leave such records. Returns how many there were.
        """
        ...

    async def take_tokens(
        self, bucket: Bucket, rate: Rate, needed: int, welcome: int
    ) -> tuple[int, float]:
        """Take tokens from a bucket that holds `rate.amount`, and fills in `rate.seconds`.

        Takes at least `needed`, and more up to `welcome` if there are any. Who needs more than the
        bucket holds gets it once the bucket is full, on credit. Returns how many were taken and, if
        none, after how many seconds it may be tried again.
        """
        ...

    async def ping(self) -> None:
        """Return if the store answers, or did a moment ago: some of it, where it has shards."""
        ...

    async def time(self) -> datetime:
        """Return the time by the store's clock."""
        ...

    async def check(self) -> None:
        """Check the setup. Raises ValueError, with a message for operators, if it is wrong."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
