"""Run Redis commands: send each to the master of its key, and retry while that may help.

A master can be gone, demoted or loading, and a slot can be migrating to another master. All of that
is transient. So a command is retried, wherever the key is by then, until the client's patience
runs out, and only then is the store reported as unavailable. Retrying is safe: see
`sessions/redis_store.py`. Commands that are run at the same time are sent together: see
`pipelines.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import Redis
from redis.backoff import ExponentialWithJitterBackoff

from partway_server.domain.errors import SessionsUnavailable
from partway_server.redis_client.pipelines import Pipelines, Words, await_redis, pipelined
from partway_server.redis_client.topology import RedisTopology

T = TypeVar("T")

_TRANSIENT = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.AskError,
    OSError,
)

_PERMANENT = (
    exceptions.OutOfMemoryError,
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
    exceptions.InvalidResponse,
)
"""A retry would not help soon enough."""

_UNAVAILABLE_CODES = ("BUSY ", "MISCONF ", "NOREPLICAS ")
"""Errors of a server that refuses writes for now, for which redis-py has no class."""

_FORBIDDEN = ("ACL failure in script", "The user executing the script can't")
"""Errors about a command in a script that the user may not run, in recent versions and in Redis 7.0
(`scriptVerifyACL` in its script.c). An operator has changed the user's rights."""

_NON_LOCAL_KEY = "access a non local key"
"""What Redis says if a script accesses a record that has migrated already, or does not exist."""

_FIRST_SECONDS, _MOST_SECONDS = 0.02, 0.2

_RECENT_SECONDS = 1.0

_FEW_ATTEMPTS = 3
"""Attempts at a command that no one waits for: one to learn of a move, one to follow, one more."""


@dataclass(frozen=True, slots=True)
class RedisCommand:
    """A command, and the key that determines which server gets it.

    `script` is the source of the script that an EVALSHA runs. A command that is `whole` finds more
    keys through the value of its own. While a slot migrates key by key, the new master would
    present the first ones as if they were all; so such a command waits until they are in one place.
    """

    key: str
    words: Words
    script: str = ""
    whole: bool = False


class RedisClient:
    """Runs commands with reattempts. `patience` is how long one may take in total, in seconds.

    `retried` is called with the error before each reattempt.

    Every method raises SessionsUnavailable, with the last error of Redis as its cause, or
    ResponseError if the command itself is wrong.
    """

    def __init__(
        self,
        *,
        topology: RedisTopology,
        patience: float,
        retried: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._retried = retried
        self._topology = topology
        self._patience = patience
        self._pipelines = Pipelines()
        # When a command was answered last, by the clock of the event loop.
        self._answered: float | None = None

    async def run(self, command: RedisCommand) -> Any:
        """Run one command and return its answer."""
        return await self._bounded(self._repeat(partial(self._once, command)))

    async def run_all(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Run many commands, in one batch for each server, and return their answers in order."""
        return await self._bounded(self._run_all(commands))

    async def run_each(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Run many commands independently; one that fails has SessionsUnavailable as its answer.

        For callers that poll: a failed command is retried only a few times, not until the patience
        runs out, so that the other answers are not delayed.
        """
        try:
            answers = await await_redis(self._pipelined(commands))
        except (exceptions.RedisError, OSError) as exc:
            answers = [exc] * len(commands)
        failed = [i for i, answer in enumerate(answers) if isinstance(answer, Exception)]
        again = await asyncio.gather(*(self._answer_or_none(commands[i]) for i in failed))
        for index, answer in zip(failed, again, strict=True):
            answers[index] = answer
        return answers

    async def masters(self) -> Sequence[Redis]:
        """Return every master, as the servers currently report them."""
        return await self._bounded(self._repeat(self._topology.masters))

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run `call`, a command without a key, and return its answer."""
        return await self._bounded(self._repeat(call))

    async def ping(self) -> None:
        """Return if a master answers, or answered a command within the last second."""
        now = asyncio.get_running_loop().time()
        if self._answered is None or now - self._answered > _RECENT_SECONDS:
            await self.time()

    async def time(self) -> datetime:
        """Return the time of the first master that answers. Not retried."""
        seconds, micros = await self._bounded(self._first_time())
        return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)

    async def _first_time(self) -> tuple[int, int]:
        asking = {
            asyncio.create_task(self._time_of(server)) for server in await self._topology.masters()
        }
        error: BaseException = exceptions.ClusterDownError("there is no master")
        try:
            while asking:
                done, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    error = each.exception() or error
                if answered := [each for each in done if each.exception() is None]:
                    return answered[0].result()
            raise error
        finally:
            for each in asking:
                each.cancel()

    async def _time_of(self, server: Redis) -> tuple[int, int]:
        try:
            seconds, micros = await await_redis(server.time())
        except (exceptions.RedisError, OSError) as exc:
            # Without calls, no one else would find out that another server is the master now.
            await self._topology.learn(exc, server)
            raise
        return int(seconds), int(micros)

    async def _bounded(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._patience):
                result = await work
            self._answered = asyncio.get_running_loop().time()
            return result
        except (*_TRANSIENT, *_PERMANENT) as exc:
            raise SessionsUnavailable from exc
        except exceptions.ResponseError as exc:
            if str(exc).startswith((*_UNAVAILABLE_CODES, *_FORBIDDEN)) or _is_transient(exc):
                raise SessionsUnavailable from exc
            raise

    async def _answer_or_none(self, command: RedisCommand) -> Any:
        try:
            return await self._bounded(
                self._repeat(partial(self._once, command), most=_FEW_ATTEMPTS)
            )
        except SessionsUnavailable as exc:
            return exc

    async def _repeat(self, attempt: Callable[[], Awaitable[T]], most: int = 0) -> T:
        """Retry with back-off. Raises the last error before time runs out, or of attempt `most`."""
        now = asyncio.get_running_loop().time
        end = now() + self._patience
        pauses = ExponentialWithJitterBackoff(base=_FIRST_SECONDS, cap=_MOST_SECONDS)
        for attempts in count(1):
            try:
                return await await_redis(attempt())
            except (exceptions.RedisError, OSError) as exc:
                pause = pauses.compute(attempts)
                if not _is_transient(exc) or attempts == most or now() + pause >= end:
                    raise
                self._retried(exc)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable: count() does not end")

    async def _once(self, command: RedisCommand) -> Any:
        server: Redis | None = None
        try:
            server = await self._topology.of(command.key)
            return await self._pipelines.send(server, command.words, command.script)
        except exceptions.MovedError as exc:
            await self._topology.learn(exc, server)
            raise
        except exceptions.AskError as exc:
            if command.whole:
                raise
            return await _ask(self._topology.at(self._topology.place(exc, server)), command)
        except (exceptions.RedisError, OSError) as exc:
            await self._topology.learn(exc, server)
            raise

    async def _run_all(self, commands: Sequence[RedisCommand]) -> list[Any]:
        answers = await self._repeat(partial(self._pipelined, commands))
        for index, answer in enumerate(answers):
            if isinstance(answer, Exception):
                answers[index] = await self._repeat(partial(self._once, commands[index]))
        return answers

    async def _pipelined(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Return the answers of one attempt, with an exception for each command that failed."""
        shares: dict[Redis, list[int]] = {}
        answers: list[Any] = [None] * len(commands)
        for index, command in enumerate(commands):
            try:
                shares.setdefault(await self._topology.of(command.key), []).append(index)
            except exceptions.ClusterDownError as exc:
                # Only this slot has no server.
                answers[index] = exc
        batches = (
            pipelined(server, [commands[i].words for i in at]) for server, at in shares.items()
        )
        for at, batch in zip(shares.values(), await asyncio.gather(*batches), strict=True):
            for index, answer in zip(at, batch, strict=True):
                answers[index] = answer
        return answers


def _is_transient(error: Exception) -> bool:
    if isinstance(error, _PERMANENT):
        return False
    return isinstance(error, _TRANSIENT) or _NON_LOCAL_KEY in str(error)


async def _ask(server: Redis, command: RedisCommand) -> Any:
    """Run a command on the server that its slot is migrating to.

    ASKING applies to the next command on the same connection.
    """
    commands = ("ASKING",), command.words
    _, answer = await pipelined(server, commands)
    if isinstance(answer, exceptions.NoScriptError):
        await server.script_load(command.script)
        _, answer = await pipelined(server, commands)
    if isinstance(answer, Exception):
        raise answer
    return answer
