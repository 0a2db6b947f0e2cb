"""Tests which commands go to a server together, and that each has its own answer."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import hiredis
import pytest
from partway_server.redis_client.pipelines import MOST_COMMANDS, Pipelines, Words
from redis import exceptions
from redis.asyncio import Redis

from tests.support.processes import until


class Server:
    """A server that answers each command with `answers`, or with its words.

    It is a client of redis-py, its pool and its only connection at once.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.trips: list[list[Words]] = []
        self.lost: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.disconnected = False
        self.lent = 0
        self._sent: deque[Words] = deque()

    @property
    def connection_pool(self) -> "Server":
        return self

    async def get_connection(self) -> "Server":
        self.lent += 1
        return self

    async def release(self, connection: "Server") -> None:
        assert connection is self
        self.lent -= 1

    async def disconnect(self, *, nowait: bool) -> None:
        assert nowait
        self.disconnected = True

    async def send_packed_command(self, packed: Sequence[bytes]) -> None:
        reader = hiredis.Reader(encoding="utf-8")
        for each in packed:
            reader.feed(each)
        self.trips.append([tuple(cast(Sequence[str], reader.gets())) for _ in packed])
        self._sent = deque(self.trips[-1])

    async def parse_response(self, connection: "Server", name: str) -> Any:
        assert connection is self
        if self.gate is not None:
            await self.gate.wait()
        if self.lost is not None:
            raise self.lost
        words = self._sent.popleft()
        assert words[0] == name
        answer = self._of(name) or words
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _of(self, name: str) -> Any:
        answer = self.answers.get(name)
        return answer.pop(0) if isinstance(answer, list) else answer


def a_server(**answers: Any) -> tuple[Redis, Server]:
    server = Server(**answers)
    return cast(Redis, server), server


async def sent_together(
    server: Redis, *commands: tuple[str, ...], script: str = ""
) -> Sequence[Any]:
    pipelines = Pipelines()
    sending = (pipelines.send(server, words, script) for words in commands)
    return await asyncio.gather(*sending, return_exceptions=True)


async def test_commands_of_one_moment_go_in_one_round_trip_to_each_server() -> None:
    (one, first), (other, second) = a_server(), a_server()
    pipelines = Pipelines()
    servers = (one, other, one)
    answers = await asyncio.gather(
        *(pipelines.send(server, ("GET", i)) for i, server in enumerate(servers))
    )
    assert answers == [("GET", "0"), ("GET", "1"), ("GET", "2")]
    assert first.trips == [[("GET", "0"), ("GET", "2")]]
    assert second.trips == [[("GET", "1")]]
    assert await pipelines.send(one, ("GET", 3)) == ("GET", "3")
    assert len(first.trips) == 2


async def test_a_pipeline_is_bounded() -> None:
    server, seen = a_server()
    words = [("GET", str(i)) for i in range(2 * MOST_COMMANDS + 1)]
    assert await sent_together(server, *words) == words
    assert sorted(map(len, seen.trips)) == [1, MOST_COMMANDS, MOST_COMMANDS]


async def test_an_error_of_one_command_is_of_that_one() -> None:
    server, seen = a_server(BAD=exceptions.ResponseError("WRONGTYPE"))
    good, bad, also_good = await sent_together(server, ("GET",), ("BAD",), ("GET",))
    assert (good, also_good) == (("GET",), ("GET",))
    assert isinstance(bad, exceptions.ResponseError)
    assert not seen.disconnected


async def test_a_lost_connection_is_an_error_of_each_command_that_it_carried() -> None:
    server, seen = a_server()
    seen.lost = exceptions.ConnectionError("lost")
    first, second = await sent_together(server, ("GET", "1"), ("GET", "2"))
    assert isinstance(first, exceptions.ConnectionError)
    assert isinstance(second, exceptions.ConnectionError)
    # Not the same: each collects the traceback of whoever raises it.
    assert first is not second
    # Nothing was sent again: who asked knows whether that is safe.
    assert len(seen.trips) == 1
    # Answers that were not read may still arrive: the connection is of no use to others.
    assert seen.disconnected
    assert seen.lent == 0


async def test_a_script_that_is_not_known_is_loaded_once_for_all() -> None:
    unknown = exceptions.NoScriptError("NOSCRIPT")
    server, seen = a_server(EVALSHA=[unknown, unknown, "ran", "ran too"])
    commands = (("EVALSHA", "1"), ("GET",), ("EVALSHA", "2"))
    assert await sent_together(server, *commands, script="return 1") == ["ran", ("GET",), "ran too"]
    assert seen.trips[1:] == [
        [("SCRIPT", "LOAD", "return 1"), ("EVALSHA", "1"), ("EVALSHA", "2")],
    ]


async def test_a_script_that_may_not_be_loaded_fails_with_the_reason() -> None:
    server, _ = a_server(EVALSHA=exceptions.NoScriptError(), SCRIPT=exceptions.NoPermissionError())
    one, other = await sent_together(server, ("EVALSHA", "1"), ("EVALSHA", "2"), script="return 1")
    assert isinstance(one, exceptions.NoPermissionError)
    assert isinstance(other, exceptions.NoPermissionError)


async def test_who_goes_away_takes_nothing_from_the_others() -> None:
    server, seen = a_server()
    seen.gate = asyncio.Event()
    pipelines = Pipelines()
    early, late, stays = (
        asyncio.create_task(pipelines.send(server, ("GET", name)))
        for name in ("early", "late", "stays")
    )
    await asyncio.sleep(0)
    early.cancel()
    await until(lambda: bool(seen.trips))
    late.cancel()
    seen.gate.set()
    assert await stays == ("GET", "stays")
    # What was not on its way yet is not sent.
    assert seen.trips == [[("GET", "late"), ("GET", "stays")]]
    for gone in (early, late):
        with pytest.raises(asyncio.CancelledError):
            await gone


async def test_what_no_one_waits_for_any_more_is_cut_off() -> None:
    server, seen = a_server()
    seen.gate = asyncio.Event()
    pipelines = Pipelines()
    asking = [asyncio.create_task(pipelines.send(server, ("GET", n))) for n in range(2)]
    await until(lambda: bool(seen.trips))
    for each in asking:
        assert not seen.disconnected
        each.cancel()
        await asyncio.sleep(0)
    await until(lambda: seen.disconnected)
    # And the next is sent as ever.
    seen.gate.set()
    assert await pipelines.send(server, ("GET", 2)) == ("GET", "2")


async def test_a_fault_of_ours_is_raised_where_it_was_asked_for() -> None:
    server, seen = a_server()
    seen.lost = KeyError("a bug")
    first, second = await sent_together(server, ("GET", "1"), ("GET", "2"))
    assert isinstance(first, KeyError)
    assert isinstance(second, KeyError)
