"""Tests work that outlives the call that began it."""

import asyncio
import logging

import pytest
from partway_server.domain.errors import StorageUnavailable
from partway_server.workflow.background_tasks import Tasks


async def test_a_waiter_that_goes_away_does_not_stop_the_work() -> None:
    tasks, gate, done = Tasks(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.set()

    waiter = asyncio.create_task(tasks.finish(work()))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    gate.set()
    await tasks.drain(5)
    assert done.is_set()


async def test_the_result_comes_to_the_one_who_waits() -> None:
    async def work() -> int:
        return 7

    assert await Tasks().finish(work()) == 7


async def test_the_error_comes_to_the_one_who_waits_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        raise StorageUnavailable

    with caplog.at_level(logging.INFO), pytest.raises(StorageUnavailable):
        await Tasks().finish(work())
    assert [(r.levelname, r.exc_info) for r in caplog.records] == [("INFO", None)]


async def test_a_fault_that_nobody_waits_for_is_logged_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        raise RuntimeError("a bug")

    tasks = Tasks()
    tasks.start(work())
    await tasks.drain(5)
    await asyncio.sleep(0)
    (record,) = caplog.records
    assert record.levelname == "ERROR" and record.exc_info


async def test_work_is_kept_from_being_collected_while_it_runs() -> None:
    tasks, gate = Tasks(), asyncio.Event()
    started = tasks.start(gate.wait())
    assert started in tasks._running
    gate.set()
    await started
    await asyncio.sleep(0)
    assert not tasks._running


async def test_draining_with_nothing_to_do_is_over_at_once() -> None:
    await Tasks().drain(0)


async def test_what_is_not_done_in_time_is_cancelled_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = Tasks()
    stuck = tasks.start(asyncio.Event().wait())
    await tasks.drain(0)
    assert stuck.cancelled()
    assert stuck.get_name() in caplog.text


async def test_what_is_cancelled_ends_before_the_draining_does() -> None:
    tasks, cleaned = Tasks(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    tasks.start(work())
    await asyncio.sleep(0)
    await tasks.drain(0)
    assert cleaned.is_set()
