"""Observe the calls to the session store: a decorator over its interface.

The observers of calls learn how long each took and how it ended, and those of records what was
changed. Neither is part of any decision.
"""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from partway_server.domain.grant import Caller, Grant
from partway_server.domain.quota import Bucket, Rate
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import State, Upload
from partway_server.domain.usage import CallerUsage
from partway_server.observability.records import IGNORE_CHANGES, RecordObserver
from partway_server.observability.store_calls import CallObserver, Store, StoreCall
from partway_server.sessions.base import Cursor, SessionStore
from partway_server.sessions.call_codes import sessions_call_code
from partway_server.sessions.notifications import Wakeup


class ObservedSessions:
    """A session store whose calls `observers`, and whose changes `records` are notified of."""

    def __init__(
        self,
        sessions: SessionStore,
        observers: Sequence[CallObserver],
        records: RecordObserver = IGNORE_CHANGES,
    ) -> None:
        self._sessions = sessions
        self._observers = tuple(observers)
        self._records = records

    def _call(self, operation: str, sid: str = "") -> StoreCall:
        return StoreCall(self._observers, sessions_call_code, Store.SESSIONS, operation, sid=sid)

    async def insert(
        self,
        upload: Upload,
        due: datetime,
        lease: timedelta | None = None,
        *,
        restore: bool = False,
    ) -> tuple[Upload, bool]:
        with self._call("insert", upload.sid):
            row, stored = await self._sessions.insert(upload, due, lease, restore=restore)
        if stored:
            self._records.inserted(row, restored=restore)
        return row, stored

    async def get(self, sid: str) -> Upload | None:
        with self._call("get", sid):
            return await self._sessions.get(sid)

    async def is_current(self, upload: Upload) -> bool:
        with self._call("is_current", upload.sid):
            return await self._sessions.is_current(upload)

    async def look(self, sid: str) -> tuple[Upload | None, bool]:
        with self._call("look", sid):
            return await self._sessions.look(sid)

    async def claim(
        self,
        sid: str,
        target: State,
        lease: timedelta,
        manifest: bytes | None = None,
        *,
        seen: Upload | None = None,
    ) -> tuple[Upload | None, bool]:
        with self._call("claim", sid):
            row, granted = await self._sessions.claim(sid, target, lease, manifest, seen=seen)
        self._records.claimed(row if granted else None, target)
        return row, granted

    async def claim_active(
        self, grant: Grant, target: State, lease: timedelta, manifest: bytes | None = None
    ) -> tuple[Upload | None, bool, bool]:
        with self._call("claim_active", grant.sid):
            row, granted, latest = await self._sessions.claim_active(grant, target, lease, manifest)
        self._records.claimed(row if granted else None, target)
        return row, granted, latest

    async def renew(self, sid: str, epoch: int, lease: timedelta) -> bool:
        with self._call("renew", sid):
            renewed = await self._sessions.renew(sid, epoch, lease)
        # Zero gives the lease up: nothing is lost if it is over.
        if not renewed and lease:
            self._records.lease_lost("renew")
        return renewed

    async def put_off(self, sid: str, epoch: int, due: datetime) -> bool:
        with self._call("put_off", sid):
            return await self._sessions.put_off(sid, epoch, due)

    async def finish(self, upload: Upload, due: datetime) -> bool:
        with self._call("finish", upload.sid):
            finished = await self._sessions.finish(upload, due)
        if finished:
            self._records.finished(upload)
        else:
            self._records.lease_lost("finish")
        return finished

    async def extend(
        self, seen: Upload, expire_time: datetime, due: datetime
    ) -> tuple[Upload | None, bool]:
        with self._call("extend", seen.sid):
            return await self._sessions.extend(seen, expire_time, due)

    async def report(self, upload: Upload, numbers: Collection[int]) -> Upload | None:
        with self._call("report", upload.sid):
            row = await self._sessions.report(upload, numbers)
        if row is not None and row.state is State.ACTIVE:
            self._records.reported(upload, len(numbers))
        return row

    def changes(self, *sids: str) -> AbstractContextManager[Wakeup]:
        return self._sessions.changes(*sids)

    async def remove(self, sid: str, epoch: int) -> bool:
        with self._call("remove", sid):
            return await self._sessions.remove(sid, epoch)

    async def take_due(self, limit: int, again: timedelta) -> Sequence[str]:
        with self._call("take_due"):
            return await self._sessions.take_due(limit, again)

    async def peek_due(self, limit: int) -> Sequence[str]:
        with self._call("peek_due"):
            return await self._sessions.peek_due(limit)

    async def first_due(self) -> datetime | None:
        with self._call("first_due"):
            return await self._sessions.first_due()

    async def list_uploads(
        self, caller: Caller, wanted: UploadFilter, *, before: Cursor | None = None, limit: int
    ) -> tuple[Sequence[Upload], Cursor | None]:
        with self._call("list_uploads"):
            return await self._sessions.list_uploads(caller, wanted, before=before, limit=limit)

    async def usage(self, caller: Caller) -> CallerUsage:
        with self._call("usage"):
            return await self._sessions.usage(caller)

    async def reconcile_usage(self, limit: int) -> int:
        with self._call("reconcile_usage"):
            corrected = await self._sessions.reconcile_usage(limit)
        self._records.usage_corrected(corrected)
        return corrected

    async def take_tokens(
        self, bucket: Bucket, rate: Rate, needed: int, welcome: int
    ) -> tuple[int, float]:
        with self._call("take_tokens"):
            return await self._sessions.take_tokens(bucket, rate, needed, welcome)

    async def ping(self) -> None:
        with self._call("ping"):
            await self._sessions.ping()

    async def time(self) -> datetime:
        with self._call("time"):
            return await self._sessions.time()

    async def check(self) -> None:
        with self._call("check"):
            await self._sessions.check()

    async def aclose(self) -> None:
        await self._sessions.aclose()
