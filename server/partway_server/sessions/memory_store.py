"""The session store in the memory of one process, for tests.

No method awaits anything, so each is atomic in the event loop.
"""

from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

from partway_server.domain.clock import Clock
from partway_server.domain.events import Event, EventComposer, event_type_of
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.quota import Bucket, Rate
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import CLAIMS, FINISHES, LEASED, ReportedParts, State, Upload
from partway_server.domain.usage import CallerUsage, Standing, Usage, day_of, standing_of
from partway_server.sessions.base import AFTER_LEASE, Cursor
from partway_server.sessions.notifications import Wakeup, WakeupRegistry


class MemorySessionStore:
    """Keeps every session record until it is removed; all are lost with the process.

    `events` are all that were appended, the oldest first.
    """

    def __init__(self, clock: Clock, *, composer: EventComposer | None = None) -> None:
        self._clock = clock
        self._composer = composer or EventComposer()
        self._rows: dict[str, Upload] = {}
        self._due: dict[str, datetime] = {}
        self._event_types: dict[str, str] = {}
        # When each bucket is full again.
        self._full: dict[Bucket, datetime] = {}
        self.events: list[Event] = []
        self._wakeups = WakeupRegistry()

    async def insert(
        self,
        upload: Upload,
        due: datetime,
        lease: timedelta | None = None,
        *,
        restore: bool = False,
    ) -> tuple[Upload, bool]:
        if row := self._rows.get(upload.sid):
            return row, False
        until = None
        if lease is not None and upload.state in LEASED:
            until = self._clock.now() + lease
        row = replace(upload, lease_until=until)
        self._store(row, due)
        self._append(upload, self._composer.inserted(upload, self._clock.now()))
        self._wakeups.notify(row.sid)
        return row, True

    async def get(self, sid: str) -> Upload | None:
        return self._rows.get(sid)

    async def is_current(self, upload: Upload) -> bool:
        return True

    async def look(self, sid: str) -> tuple[Upload | None, bool]:
        return self._rows.get(sid), True

    async def claim(
        self,
        sid: str,
        target: State,
        lease: timedelta,
        manifest: bytes | None = None,
        *,
        seen: Upload | None = None,
    ) -> tuple[Upload | None, bool]:
        row = self._rows.get(sid)
        if row is None or (seen and seen.grant.write_token != row.grant.write_token):
            return None, False
        if seen and (seen.epoch, seen.state) != (row.epoch, row.state):
            return row, False
        if target not in CLAIMS or not row.may_claim(target, self._clock.now()):
            return row, False
        return self._claimed(row, target, lease, manifest), True

    async def claim_active(
        self, grant: Grant, target: State, lease: timedelta, manifest: bytes | None = None
    ) -> tuple[Upload | None, bool, bool]:
        row = self._rows.get(grant.sid)
        if row is None or row.grant != grant or row.state is not State.ACTIVE:
            return row, False, False
        if target not in CLAIMS or not row.may_claim(target, self._clock.now()):
            return row, False, False
        return self._claimed(row, target, lease, manifest), True, grant.single

    def _claimed(
        self, row: Upload, target: State, lease: timedelta, manifest: bytes | None
    ) -> Upload:
        now = self._clock.now()
        until = now + lease
        kept = row.manifest if manifest is None else manifest
        row = replace(row.claimed(target, now, until), manifest=kept)
        self._store(row, until + AFTER_LEASE)
        self._wakeups.notify(row.sid)
        return row

    async def renew(self, sid: str, epoch: int, lease: timedelta) -> bool:
        row = self._rows.get(sid)
        if row is None or row.epoch != epoch or not row.leased(self._clock.now()):
            return False
        until = self._clock.now() + lease
        self._store(replace(row, lease_until=until), until + AFTER_LEASE)
        return True

    async def put_off(self, sid: str, epoch: int, due: datetime) -> bool:
        row = self._rows.get(sid)
        if row is None or row.epoch != epoch:
            return False
        self._store(row, due)
        return True

    async def finish(self, upload: Upload, due: datetime) -> bool:
        row = self._rows.get(upload.sid)
        if row is None or row.epoch != upload.epoch:
            return False
        if upload.state not in FINISHES.get(row.state, ()):
            return False
        outcome = replace(
            upload,
            lease_until=None,
            fingerprint=row.fingerprint,
            request_digest=row.request_digest,
            metadata=row.metadata,
            sources=upload.sources or row.sources,
            delete_sources=upload.delete_sources if upload.sources else row.delete_sources,
        )
        self._store(outcome, due)
        event = self._composer.finished(upload, self._clock.now())
        if self._event_types.get(upload.sid) != event_type_of(upload):
            self._append(upload, event)
        self._wakeups.notify(outcome.sid)
        return True

    async def extend(
        self, seen: Upload, expire_time: datetime, due: datetime
    ) -> tuple[Upload | None, bool]:
        row = self._rows.get(seen.sid)
        if row is None or row.grant.write_token != seen.grant.write_token:
            return None, False
        if row.state is not State.ACTIVE or row.epoch != seen.epoch:
            return row, False
        row = row.extended(expire_time)
        self._store(row, due)
        self._wakeups.notify(row.sid)
        return row, True

    async def report(self, upload: Upload, numbers: Collection[int]) -> Upload | None:
        row = self._rows.get(upload.sid)
        if row is None or row.grant.write_token != upload.grant.write_token:
            return None
        reported = _with(row, numbers)
        if row.state is State.ACTIVE and reported != row.reported:
            row = self._rows[row.sid] = replace(row, reported=reported)
            self._wakeups.notify(row.sid)
        return row

    def changes(self, *sids: str) -> AbstractContextManager[Wakeup]:
        return self._wakeups.of(*sids)

    async def remove(self, sid: str, epoch: int) -> bool:
        row = self._rows.get(sid)
        if row is not None and row.epoch != epoch:
            return False
        self._rows.pop(sid, None)
        self._due.pop(sid, None)
        self._event_types.pop(sid, None)
        self._wakeups.notify(sid)
        return True

    async def take_due(self, limit: int, again: timedelta) -> Sequence[str]:
        taken = await self.peek_due(limit)
        self._due.update(dict.fromkeys(taken, self._clock.now() + again))
        return taken

    async def peek_due(self, limit: int) -> Sequence[str]:
        now = self._clock.now()
        waiting = sorted((due, sid) for sid, due in self._due.items() if due <= now)
        return [sid for _, sid in waiting[:limit]]

    async def first_due(self) -> datetime | None:
        return min(self._due.values(), default=None)

    async def list_uploads(
        self, caller: Caller, wanted: UploadFilter, *, before: Cursor | None = None, limit: int
    ) -> tuple[Sequence[Upload], Cursor | None]:
        found = [
            row
            for row in self._rows.values()
            if row.grant.caller == caller
            and wanted.admits(row)
            and (before is None or _place(row) < (before.create_time, before.sid))
        ]
        found.sort(key=_place, reverse=True)
        page = found[:limit]
        return page, Cursor(*_place(page[-1])) if len(found) > limit else None

    async def usage(self, caller: Caller) -> CallerUsage:
        rows = [row for row in self._rows.values() if row.grant.caller.tenant == caller.tenant]
        today = day_of(self._clock.now())
        own = [row for row in rows if row.grant.caller == caller]
        return CallerUsage(_usage(rows, today), _usage(own, today))

    async def reconcile_usage(self, limit: int) -> int:
        """Do nothing: what is used is read from the records."""
        return 0

    async def take_tokens(
        self, bucket: Bucket, rate: Rate, needed: int, welcome: int
    ) -> tuple[int, float]:
        now, each = self._clock.now(), rate.seconds / rate.amount
        full = max(self._full.get(bucket, now), now)
        held = rate.amount - (full - now).total_seconds() / each
        missing = min(needed, rate.amount) - held
        if missing > 1e-6:
            return 0, missing * each
        taken = max(needed, min(welcome, int(held)))
        self._full[bucket] = full + timedelta(seconds=taken * each)
        return taken, 0.0

    async def ping(self) -> None:
        """Do nothing: it answers."""

    async def time(self) -> datetime:
        return self._clock.now()

    async def check(self) -> None:
        """Do nothing: there is no setup."""

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""

    def _append(self, upload: Upload, event: Event | None) -> None:
        self._event_types[upload.sid] = event_type_of(upload)
        if event is not None:
            self.events.append(event)

    def _store(self, row: Upload, due: datetime) -> None:
        self._rows[row.sid] = row
        self._due[row.sid] = due


def _with(row: Upload, numbers: Collection[int]) -> ReportedParts:
    """Return the reported parts of a record, with `numbers` added."""
    parts, size = int.from_bytes(row.reported.parts, "little"), row.reported.size_bytes
    for number in numbers:
        if not parts >> (number - 1) & 1:
            parts |= 1 << (number - 1)
            size += row.grant.plan.size(number)
    return ReportedParts(parts.to_bytes(-(-parts.bit_length() // 8), "little"), size)


def _usage(rows: Iterable[Upload], today: int) -> Usage:
    counted = [(row, standing_of(row)) for row in rows]
    still_open = [row for row, standing in counted if standing is Standing.OPEN]
    begun = [
        row
        for row, standing in counted
        if standing is not Standing.NONE and day_of(row.grant.create_time) == today
    ]
    return Usage(
        len(still_open),
        sum(row.grant.plan.size_bytes for row in still_open),
        sum(row.grant.plan.size_bytes for row in begun),
    )


def _place(row: Upload) -> tuple[datetime, str]:
    return row.grant.create_time, row.sid
