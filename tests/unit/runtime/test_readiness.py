"""Tests when silence counts, and what is reported and logged of it. No I/O."""

import asyncio
import logging
from types import SimpleNamespace
from typing import cast

import pytest
from partway_server.domain.errors import SessionsUnavailable, StorageRefused, StorageUnavailable
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.runtime.readiness import REDIS, STORAGE, WATCHED, Readiness, Silence
from partway_server.workflow.deps import Deps


class Redis:
    """A session store that answers, or does not."""

    answers = True

    async def ping(self) -> None:
        if not self.answers:
            raise SessionsUnavailable


class Storage:
    """Storage whose backends in `away` do not answer."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    async def time(self, backend: str, bucket: str) -> None:
        self.asked.append((backend, bucket))
        if backend in self.away:
            raise StorageUnavailable


class Replica:
    """A replica's readiness, on a clock of the test."""

    def __init__(self, setting: str = "both") -> None:
        policies = [Policy("a", "one"), Policy("b", "two", backend="far"), Policy("c", "one")]
        self.redis, self.storage = Redis(), Storage()
        self.deps = SimpleNamespace(
            sessions=self.redis,
            storage=self.storage,
            policies=PolicyRegistry({policy.name: policy for policy in policies}),
        )
        self.now = 1000.0
        self.reported: list[bool] = []
        self.watched = WATCHED[setting]
        self.readiness = Readiness(
            self.watched, cast(Deps, self.deps), report=self.report, now=lambda: self.now
        )

    async def report(self, ready: bool) -> None:
        self.reported.append(ready)

    async def seconds(self, count: int) -> None:
        """Let time pass, with a question to each dependency and a judgement in every second."""
        for _ in range(count):
            self.now += 1
            for name in self.watched:
                await self.readiness.ask(name)
            await self.readiness.judge()


def silence(replica: Replica, what: str) -> None:
    if what == REDIS:
        replica.redis.answers = False
    else:
        replica.storage.away = {"default", "far"}


def heal(replica: Replica) -> None:
    replica.redis.answers, replica.storage.away = True, set()


@pytest.mark.parametrize("what", [REDIS, STORAGE])
async def test_turns_after_five_seconds_and_back_at_the_first_answer(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    replica = Replica()
    await replica.seconds(10)
    silence(replica, what)
    await replica.seconds(4)
    assert replica.reported == []
    await replica.seconds(1)
    assert replica.reported == [False]
    await replica.seconds(60)
    heal(replica)
    await replica.seconds(1)
    await replica.seconds(60)
    assert replica.reported == [False, True]
    assert caplog.messages == [
        f"not ready: no answer from {what} for 5 s",
        f"ready again: {what} answers",
    ]


@pytest.mark.parametrize(
    ("setting", "turns"),
    [("none", set()), ("redis", {REDIS}), ("storage", {STORAGE}), ("both", {REDIS, STORAGE})],
)
async def test_the_setting_says_whose_silence_counts(setting: str, turns: set[str]) -> None:
    for what in (REDIS, STORAGE):
        replica = Replica(setting)
        silence(replica, what)
        await replica.seconds(10)
        assert replica.reported == ([False] if what in turns else [])


async def test_one_backend_of_several_is_no_reason() -> None:
    replica = Replica()
    replica.storage.away = {"far"}
    await replica.seconds(60)
    assert replica.reported == []
    assert set(replica.storage.asked) == {("default", "one"), ("far", "two")}


async def test_both_may_be_silent_and_come_back_one_after_the_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    replica = Replica()
    silence(replica, STORAGE)
    await replica.seconds(6)
    replica.redis.answers = False
    await replica.seconds(6)
    assert caplog.messages[-1] == "not ready: no answer from redis and storage for 5 s"
    replica.redis.answers = True
    await replica.seconds(6)
    assert replica.reported == [False]
    heal(replica)
    await replica.seconds(1)
    assert replica.reported == [False, True]


async def test_a_refusal_by_configuration_is_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Check for credentials that this replica cannot get: no request was answered."""
    replica = Replica("storage")

    async def refused(backend: str, bucket: str) -> None:
        raise StorageRefused("HeadBucket", "NoCredentials")

    replica.storage.time = refused  # type: ignore[method-assign]
    await replica.seconds(5)
    assert replica.reported == [False]


async def test_a_defect_in_asking_is_logged_and_counts_as_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    replica = Replica("redis")

    async def broken() -> None:
        raise KeyError

    replica.redis.ping = broken  # type: ignore[method-assign]
    await replica.seconds(5)
    assert replica.reported == [False]
    assert "asking redis for an answer failed" in caplog.messages


def test_time_in_which_the_process_did_not_run_is_no_silence() -> None:
    both = Silence((REDIS, STORAGE), 0)
    for now in (1, 2, 3):
        assert both.silent(now) == []
    both.heard(REDIS, 3)
    # Suspended for a minute: storage had been silent for three seconds before.
    assert both.silent(64) == []
    assert both.silent(65) == [STORAGE]
    both.heard(STORAGE, 65)
    assert both.silent(66) == []
    assert both.silent(68) == [REDIS]


async def test_it_asks_and_judges_until_it_is_cancelled() -> None:
    replica = Replica()
    changed = asyncio.Event()

    async def report(ready: bool) -> None:
        replica.reported.append(ready)
        changed.set()

    async def sleep(seconds: float) -> None:
        # Three sleep at a time: each moves the clock by its share.
        replica.now += seconds / 3
        await asyncio.sleep(0)

    readiness = Readiness(
        replica.watched,
        cast(Deps, replica.deps),
        report=report,
        now=lambda: replica.now,
        sleep=sleep,
    )
    silence(replica, REDIS)
    running = asyncio.create_task(readiness.run())
    for ready in (False, True):
        await asyncio.wait_for(changed.wait(), 20)
        changed.clear()
        assert replica.reported[-1] is ready
        heal(replica)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
