"""Tests that a Redis that fails beside the work is one line in the log, and a fault a traceback."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from partway_server.domain.errors import SessionsUnavailable
from partway_server.workflow.leases import Leases
from partway_server.workflow.part_copy import PartCopy

from tests.support.clock import START, FakeClock
from tests.support.uploads import an_upload


def deps_that_fail(error: Exception) -> Any:
    """Return dependencies whose sessions fail, with a lease that is renewed every millisecond."""

    async def fails(*_: object) -> None:
        raise error

    sessions = SimpleNamespace(renew=fails, get=fails, put_off=fails)
    return SimpleNamespace(
        sessions=sessions,
        storage=None,
        lease=timedelta(milliseconds=3),
        clock=FakeClock(START),
    )


BESIDE: list[Callable[[Any], Any]] = [
    lambda deps: Leases(deps)._heartbeat(an_upload()),
    lambda deps: PartCopy(deps)._postpone_forever(an_upload()),
]


async def logged(work: Any, caplog: pytest.LogCaptureFixture) -> str:
    """Return what is logged once the work has failed."""
    task = asyncio.create_task(work)
    async with asyncio.timeout(10):
        while not caplog.records:  # noqa: ASYNC110 (a log has no event)
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    return caplog.text


@pytest.mark.parametrize("beside", BESIDE)
async def test_redis_that_does_not_answer_is_one_line(
    beside: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    text = await logged(beside(deps_that_fail(SessionsUnavailable())), caplog)
    assert str(SessionsUnavailable()) in text
    assert "Traceback" not in text


@pytest.mark.parametrize("beside", BESIDE)
async def test_a_fault_has_its_traceback(
    beside: Callable[[Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    text = await logged(beside(deps_that_fail(KeyError("a fault"))), caplog)
    assert "Traceback" in text
