"""Admit new uploads within the limits on open uploads, their bytes, and the bytes of a day.

What a caller uses is spread over the shards, and is counted in the script that stores the record.
So a limit is verified around that: the usage is read, the record is stored, the usage is read
again; if it now exceeds a limit, the record is removed, before anything exists in storage and
before anyone has its ID. Whatever several processes do at once, those that see an excess undo it,
so no two can both pass a limit that has room for one; near a limit both may be refused. Within a
process, the uploads of a tenant are verified in rounds: see `quota_rounds`.

While the usage is far from every limit it is not read for each upload, and never twice: see
`is_far`.
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from partway_server.domain.errors import QuotaExceeded
from partway_server.domain.grant import Caller
from partway_server.domain.quota import check_usage, is_far, limits_uploads
from partway_server.domain.upload import Upload
from partway_server.domain.usage import CallerUsage, Usage, seconds_to_midnight
from partway_server.workflow.deps import Deps
from partway_server.workflow.quota_rounds import Applicant, QuotaRounds

FRESH = timedelta(seconds=1)
"""How old a usage may be that is not verified."""

_MOST_REMEMBERED = 20_000


@dataclass(slots=True)
class _Seen:
    """The usage of a tenant, or of a subject, when it was read; and what was `added` here since."""

    at: datetime
    usage: Usage
    added: Usage = Usage()


class UploadQuota:
    """What this process knows of the usage of its callers."""

    def __init__(self, deps: Deps) -> None:
        self._limits = deps.limits
        self._sessions = deps.sessions
        self._clock = deps.clock
        self._seen: dict[tuple[str, ...], _Seen] = {}
        self._rounds = QuotaRounds(self._read, self._excess)
        self._reading: dict[Caller, asyncio.Task[CallerUsage]] = {}

    async def is_near(self, upload: Upload) -> bool:
        """Return whether the upload must be `verified`; if not, count it as added.

        The usage is read first if none is known that is fresh: if it is far from every limit, that
        was the only reading.
        """
        caller, size = upload.grant.caller, upload.grant.plan.size_bytes
        limits = self._limits.of(caller.tenant)
        if not limits_uploads(limits):
            return False
        if None in (self._fresh(caller.tenant), self._fresh(caller.tenant, caller.subject)):
            await self._read_once(caller)
        tenant, subject = self._fresh(caller.tenant), self._fresh(caller.tenant, caller.subject)
        if tenant is None or subject is None:
            return True
        usage = CallerUsage(tenant.usage, subject.usage).plus(1, size)
        added = CallerUsage(tenant.added, subject.added).plus(1, size)
        if not is_far(limits, usage, added):
            return True
        tenant.usage, subject.usage = usage.tenant, usage.subject
        tenant.added, subject.added = added.tenant, added.subject
        return False

    def verified(
        self, upload: Upload
    ) -> AbstractAsyncContextManager[tuple[Applicant, QuotaExceeded | None]]:
        """Wait for the tenant's turn, and yield why the upload cannot be admitted, or None.

        Store the upload inside the context, and then `confirm` the applicant.
        """
        return self._rounds.join(upload)

    async def confirm(self, upload: Upload) -> None:
        """Check the usage that includes the upload, if it has limits. Raises QuotaExceeded."""
        if not limits_uploads(self._limits.of(upload.grant.caller.tenant)):
            return
        caller = upload.grant.caller
        if excess := self._excess(caller, await self._read(caller)):
            raise excess

    def _excess(self, caller: Caller, usage: CallerUsage) -> QuotaExceeded | None:
        limits = self._limits.of(caller.tenant)
        try:
            left = seconds_to_midnight(self._clock.now())
            check_usage(limits, usage, seconds_of_day_left=left)
        except QuotaExceeded as excess:
            return excess
        return None

    def _fresh(self, *owner: str) -> _Seen | None:
        seen = self._seen.get(owner)
        fresh = seen is not None and timedelta() <= self._clock.now() - seen.at < FRESH
        return seen if fresh else None

    async def _read_once(self, caller: Caller) -> None:
        """Read the usage; calls at the same time share one reading, whoever of them goes away."""
        if (reading := self._reading.get(caller)) is None:
            reading = self._reading[caller] = asyncio.create_task(self._read(caller))
            reading.add_done_callback(partial(self._has_read, caller))
        await asyncio.wait({reading})
        reading.result()

    def _has_read(self, caller: Caller, reading: asyncio.Task[CallerUsage]) -> None:
        del self._reading[caller]
        if not reading.cancelled():
            # Its error may have no one left to hear of it.
            reading.exception()

    async def _read(self, caller: Caller) -> CallerUsage:
        began = self._clock.now()
        usage = await self._sessions.usage(caller)
        if len(self._seen) >= _MOST_REMEMBERED:
            self._seen.clear()
        self._seen[(caller.tenant,)] = _Seen(began, usage.tenant)
        self._seen[caller.tenant, caller.subject] = _Seen(began, usage.subject)
        return usage
