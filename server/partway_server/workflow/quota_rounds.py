"""Verify the new uploads of a tenant together: all that wait, by one reading before and one after.

Within a process, the uploads of a tenant that are near a limit are verified one round after the
other. A round is of those that came while the one before went on, such as the files of a batch:

1. read the usage; admit as many as it leaves room for, in the order in which they came;
2. wait until each of them has stored its record, or has left;
3. answer those that are refused: one may repeat what another has just stored;
4. read the usage again; if it exceeds a limit by now, the last are refused until it fits;
5. wait until all have left, and those that are refused have removed their records.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakValueDictionary

from partway_server.domain.errors import QuotaExceeded
from partway_server.domain.grant import Caller
from partway_server.domain.upload import Upload
from partway_server.domain.usage import CallerUsage, Usage

T = TypeVar("T")

Read = Callable[[Caller], Awaitable[CallerUsage]]
FindExcess = Callable[[Caller, CallerUsage], QuotaExceeded | None]

_Answer = asyncio.Future[Exception | None]


class Applicant:
    """An upload in a round. Its record is stored, if at all, before it is confirmed."""

    def __init__(self, upload: Upload) -> None:
        loop = asyncio.get_running_loop()
        self.caller, self.size_bytes = upload.grant.caller, upload.grant.plan.size_bytes
        self.admitted: _Answer = loop.create_future()
        self.confirmed: _Answer = loop.create_future()
        self.stored_or_left: asyncio.Future[None] = loop.create_future()
        self.left: asyncio.Future[None] = loop.create_future()

    async def confirm(self) -> None:
        """Wait for the second reading: the record is stored. Raises QuotaExceeded."""
        _resolve(self.stored_or_left, None)
        if error := await self.confirmed:
            raise error

    def leave(self) -> None:
        for awaited in (self.stored_or_left, self.left):
            _resolve(awaited, None)


class QuotaRounds:
    """The rounds of all tenants. `find_excess` says which limit a usage exceeds."""

    def __init__(self, read: Read, find_excess: FindExcess) -> None:
        self._read = read
        self._find_excess = find_excess
        self._coming: dict[str, list[Applicant]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def join(self, upload: Upload) -> AsyncIterator[tuple[Applicant, QuotaExceeded | None]]:
        """Wait for the answer of a round, and yield it: why the upload cannot be admitted, or None.

        Store the upload inside the context, and then `confirm` it.
        """
        applicant = Applicant(upload)
        tenant = applicant.caller.tenant
        if tenant in self._coming:
            self._coming[tenant].append(applicant)
        else:
            self._coming[tenant] = [applicant]
            # A task of its own: any of the applicants may go away.
            task = asyncio.get_running_loop().create_task(self._run(tenant))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            answer = await applicant.admitted
            if answer is not None and not isinstance(answer, QuotaExceeded):
                raise answer
            yield applicant, answer
        finally:
            applicant.leave()

    async def _run(self, tenant: str) -> None:
        turn = self._turns.setdefault(tenant, asyncio.Lock())
        async with turn:
            applicants = self._coming.pop(tenant)
            try:
                refused = await self._admit(applicants)
                await _all(each.stored_or_left for each in applicants if each not in refused)
                for each, excess in refused.items():
                    _resolve(each.admitted, excess)
                await self._confirm([each for each in applicants if each not in refused])
            except Exception as error:
                # Of each of them, as if it had read for itself.
                for each in applicants:
                    _resolve(each.admitted, error)
                    _resolve(each.confirmed, error)
            await _all(each.left for each in applicants)

    async def _admit(self, applicants: Sequence[Applicant]) -> dict[Applicant, QuotaExceeded]:
        """Admit those for whom there is room, and return the others with the limits they exceed."""
        totals = await self._totals(applicants)
        refused: dict[Applicant, QuotaExceeded] = {}
        for each in applicants:
            usage = totals.of(each.caller).plus(1, each.size_bytes)
            if excess := self._find_excess(each.caller, usage):
                refused[each] = excess
            else:
                totals.put(each.caller, usage)
                _resolve(each.admitted, None)
        return refused

    async def _confirm(self, admitted: Sequence[Applicant]) -> None:
        stored = [each for each in admitted if not each.left.done()]
        totals = await self._totals(stored)
        for each in reversed(stored):
            usage = totals.of(each.caller)
            excess = self._find_excess(each.caller, usage)
            if excess:
                totals.put(each.caller, usage.plus(-1, -each.size_bytes))
            _resolve(each.confirmed, excess)

    async def _totals(self, applicants: Sequence[Applicant]) -> "_Totals":
        callers = list(dict.fromkeys(each.caller for each in applicants))
        usages = await asyncio.gather(*map(self._read, callers))
        return _Totals(dict(zip(callers, usages, strict=True)))


class _Totals:
    """The usage of a tenant and of some of its subjects, as it changes with each upload."""

    def __init__(self, read: dict[Caller, CallerUsage]) -> None:
        self._subjects = {caller: usage.subject for caller, usage in read.items()}
        # Read at about the same time, so the largest has the most of what was stored since.
        tenants = [usage.tenant for usage in read.values()]
        self._tenant = max(tenants, key=lambda usage: usage.open_uploads, default=Usage())

    def of(self, caller: Caller) -> CallerUsage:
        return CallerUsage(self._tenant, self._subjects[caller])

    def put(self, caller: Caller, usage: CallerUsage) -> None:
        self._tenant, self._subjects[caller] = usage.tenant, usage.subject


async def _all(awaited: Iterable[asyncio.Future[None]]) -> None:
    for each in awaited:
        await each


def _resolve(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
