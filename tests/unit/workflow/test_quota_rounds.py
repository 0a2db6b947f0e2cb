"""Tests that uploads that are verified together are admitted as they would be one by one."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from partway_server.domain.errors import QuotaExceeded, SessionsUnavailable
from partway_server.domain.grant import Caller
from partway_server.domain.part_plan import Plan
from partway_server.domain.quota import Limit, Owner
from partway_server.domain.usage import CallerUsage, Usage
from partway_server.workflow.quota_rounds import QuotaRounds

from tests.support.uploads import an_upload

ALICE, BOB = Caller("acme", "alice"), Caller("acme", "bob")


class Tenant:
    """A tenant of which `most` uploads may be open, and of each subject `most_each`."""

    def __init__(self, most: int = 1000, most_each: int = 1000) -> None:
        self.most, self.most_each = most, most_each
        self.open: dict[Caller, int] = {ALICE: 0, BOB: 0}
        self.log: list[str] = []
        self.before_reading: Callable[[], Awaitable[None]] | None = None
        self.rounds = QuotaRounds(self._read, self._excess)

    async def _read(self, caller: Caller) -> CallerUsage:
        self.log.append("read")
        await asyncio.sleep(0)
        if self.before_reading:
            await self.before_reading()
        tenant = sum(self.open.values())
        return CallerUsage(Usage(tenant, tenant), Usage(self.open[caller], self.open[caller]))

    def _excess(self, caller: Caller, usage: CallerUsage) -> QuotaExceeded | None:
        for owner, used, most in (
            (Owner.TENANT, usage.tenant.open_uploads, self.most),
            (Owner.SUBJECT, usage.subject.open_uploads, self.most_each),
        ):
            if used > most:
                return QuotaExceeded(Limit.OPEN_UPLOADS, used, most, owner=owner)
        return None

    async def opens(self, caller: Caller = ALICE) -> str:
        """Open an upload as Initialize does; return how that ended."""
        upload = an_upload(caller=caller, plan=Plan(1, 1))
        async with self.rounds.join(upload) as (applicant, excess):
            if excess is not None:
                self.log.append("refused")
                return f"refused at {excess.used}"
            await asyncio.sleep(0)
            self.open[caller] += 1
            self.log.append("stored")
            try:
                await applicant.confirm()
            except QuotaExceeded:
                self.open[caller] -= 1
                self.log.append("removed")
                return "removed"
        return "open"

    async def opens_together(self, *callers: Caller) -> list[str]:
        return list(await asyncio.gather(*map(self.opens, callers)))


async def test_a_round_reads_twice_however_many_are_in_it() -> None:
    tenant = Tenant()
    assert await tenant.opens_together(*[ALICE] * 50) == ["open"] * 50
    assert tenant.log == ["read", *["stored"] * 50, "read"]


async def test_as_many_are_admitted_as_there_is_room_for_in_the_order_they_came() -> None:
    tenant = Tenant(most=3)
    assert await tenant.opens_together(*[ALICE] * 5) == ["open"] * 3 + ["refused at 4"] * 2
    # One that is refused may repeat what another has just stored: so it hears of it afterwards.
    assert [each for each in tenant.log if each != "read"] == ["stored"] * 3 + ["refused"] * 2


async def test_what_a_subject_may_not_another_may() -> None:
    tenant = Tenant(most=4, most_each=2)
    ended = await tenant.opens_together(ALICE, ALICE, ALICE, BOB, BOB, BOB)
    assert ended == ["open", "open", "refused at 3", "open", "open", "refused at 5"]


async def test_those_that_come_during_a_round_are_the_next() -> None:
    tenant = Tenant(most=3)
    reached, gate = asyncio.Event(), asyncio.Event()

    async def waits() -> None:
        if tenant.log.count("read") == 2:
            reached.set()
            await gate.wait()

    tenant.before_reading = waits
    first = asyncio.create_task(tenant.opens())
    await reached.wait()
    others = [asyncio.create_task(tenant.opens()) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*others) == ["open"] * 2 + ["refused at 4"] * 3
    assert await first == "open"
    assert tenant.log.count("read") == 4


async def test_what_others_have_stored_meanwhile_takes_back_no_more_than_it_must() -> None:
    tenant = Tenant(most=10)

    async def others_come() -> None:
        if "stored" in tenant.log:
            tenant.open[BOB] = 3

    tenant.before_reading = others_come
    assert await tenant.opens_together(*[ALICE] * 9) == ["open"] * 7 + ["removed"] * 2
    assert sum(tenant.open.values()) == 10


async def test_one_that_goes_away_holds_no_one_up() -> None:
    tenant = Tenant()
    entered = asyncio.Event()

    async def hangs() -> None:
        async with tenant.rounds.join(an_upload(caller=ALICE)):
            entered.set()
            await asyncio.Event().wait()

    hanging = asyncio.create_task(hangs())
    others = asyncio.create_task(tenant.opens_together(ALICE, ALICE))
    await entered.wait()
    hanging.cancel()
    assert await others == ["open", "open"]
    # And the next round has its turn.
    assert await tenant.opens() == "open"


async def test_one_that_goes_away_before_it_is_answered_takes_no_turn() -> None:
    tenant = Tenant()
    gone = asyncio.create_task(tenant.opens())
    await asyncio.sleep(0)
    gone.cancel()
    assert await tenant.opens() == "open"


async def test_a_reading_that_fails_fails_all_that_it_was_for() -> None:
    tenant = Tenant()

    async def fails() -> None:
        raise SessionsUnavailable

    tenant.before_reading = fails
    ended = await asyncio.gather(tenant.opens(), tenant.opens(), return_exceptions=True)
    assert [type(each) for each in ended] == [SessionsUnavailable] * 2
    tenant.before_reading = None
    assert await tenant.opens() == "open"


async def test_a_second_reading_that_fails_fails_those_that_are_stored() -> None:
    tenant = Tenant()

    async def fails() -> None:
        if tenant.log.count("read") == 2:
            raise SessionsUnavailable

    tenant.before_reading = fails
    with pytest.raises(SessionsUnavailable):
        await tenant.opens()
    assert await tenant.opens() == "open"
