"""Commands to Redis: each to the master of its key, and again for as long as that may help.

A master can be gone, demoted or loading, and a slot can be on its way to another master. All of
that passes; so a command is repeated, to where the key is by then, until the store's patience is
over, and only then the store is unavailable. Repeating is safe: see `redis.py`.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from itertools import count
from typing import Any, TypeVar

from redis import exceptions
from redis.asyncio import Redis
from redis.backoff import ExponentialWithJitterBackoff

from partway_server.domain.errors import SessionsUnavailable
from partway_server.redis_client.topology import RedisTopology

T = TypeVar("T")

_PASSING = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
    exceptions.AskError,
    OSError,
)

_REFUSING = (
    exceptions.OutOfMemoryError,
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.NoPermissionError,
    exceptions.InvalidResponse,
)
"""Repeating would not help soon enough."""

_CLOSED = "the handler is closed"
"""What uvloop says of a connection."""

_UNAVAILABLE_CODES = ("BUSY ", "MISCONF ", "NOREPLICAS ")
"""Answers of a server that will not write now, for which redis-py has no class."""

_FORBIDDEN = ("ACL failure in script", "The user executing the script can't")
"""What is said of a command in a script that the user may not run: of late, and by Redis 7.0
(`scriptVerifyACL` in its script.c). An operator has changed its rights."""

_ELSEWHERE = "access a non local key"
"""What Redis says of a script that looks for a row which has moved already, or is nowhere."""

_FIRST_SECONDS, _MOST_SECONDS = 0.02, 0.2

_FEW = 3
"""Tries of a command that nobody waits for: one to hear of it, one to follow, and one more."""


@dataclass(frozen=True, slots=True)
class RedisCommand:
    """A command, and the key that says which server is to have it.

    `script` is the source of what an EVALSHA is to run. A command that is `whole` finds more keys
    by what is stored under its own. While a slot moves key by key, its new master would show it the
    first ones as all there are; so it waits until they are in one place.
    """

    key: str
    words: Sequence[str | bytes | int]
    script: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class LuaScript:
    """A Lua script, and the name that Redis has for it."""

    source: str
    sha: str


def load_script(*paths: str) -> LuaScript:
    """The script that these files make up, one after the other: paths inside `partway_server`."""
    package = files("partway_server")
    source = "\n".join(package.joinpath(path).read_text("utf-8") for path in paths)
    return LuaScript(source, hashlib.sha1(source.encode()).hexdigest())


class RedisClient:
    """Runs commands. `patience` is how long one may take with all its repeats, in seconds.

    Everything here raises SessionsUnavailable, from what Redis said last; ResponseError, if the
    command itself is wrong.
    """

    def __init__(self, *, servers: RedisTopology, patience: float) -> None:
        self._servers = servers
        self._patience = patience

    async def run(self, command: RedisCommand) -> Any:
        """The answer to one command."""
        return await self._bounded(self._repeat(partial(self._once, command)))

    async def run_all(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """The answers to many, in their order: those of one server in one go."""
        return await self._bounded(self._run_all(commands))

    async def run_each(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """As `run_all`, but each for itself: where one has no answer, SessionsUnavailable is it.

        For who asks again before long: what does not answer is tried a few times, and not for all
        of the patience, so that the answers of the others are soon there.
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
        """Every master, as the servers say it now."""
        return await self._bounded(self._repeat(self._servers.masters))

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer of a server to a command that has no key."""
        return await self._bounded(self._repeat(call))

    async def _bounded(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._patience):
                return await work
        except (*_PASSING, *_REFUSING) as exc:
            raise SessionsUnavailable from exc
        except exceptions.ResponseError as exc:
            if str(exc).startswith((*_UNAVAILABLE_CODES, *_FORBIDDEN)) or _passes(exc):
                raise SessionsUnavailable from exc
            raise

    async def _answer_or_none(self, command: RedisCommand) -> Any:
        try:
            return await self._bounded(self._repeat(partial(self._once, command), most=_FEW))
        except SessionsUnavailable as exc:
            return exc

    async def _repeat(self, attempt: Callable[[], Awaitable[T]], most: int = 0) -> T:
        """Raises what came last, while there is still time to tell it, or of the `most`th try."""
        now = asyncio.get_running_loop().time
        end = now() + self._patience
        pauses = ExponentialWithJitterBackoff(base=_FIRST_SECONDS, cap=_MOST_SECONDS)
        for tries in count(1):
            try:
                return await await_redis(attempt())
            except (exceptions.RedisError, OSError) as exc:
                pause = pauses.compute(tries)
                if not _passes(exc) or tries == most or now() + pause >= end:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the count ended")

    async def _once(self, command: RedisCommand) -> Any:
        server: Redis | None = None
        try:
            server = await self._servers.of(command.key)
            return await self._send(server, command)
        except exceptions.MovedError as exc:
            await self._servers.learn(exc, server)
            raise
        except exceptions.AskError as exc:
            if command.whole:
                raise
            return await self._send(
                self._servers.at(self._servers.place(exc, server)), command, asking=True
            )
        except (exceptions.RedisError, OSError) as exc:
            await self._servers.learn(exc, server)
            raise

    async def _send(self, server: Redis, command: RedisCommand, *, asking: bool = False) -> Any:
        try:
            return await _sent(server, command, asking)
        except exceptions.NoScriptError:
            # A master that was a replica knows no scripts: loading them is not replicated.
            await server.script_load(command.script)
            return await _sent(server, command, asking)

    async def _run_all(self, commands: Sequence[RedisCommand]) -> list[Any]:
        answers = await self._repeat(partial(self._pipelined, commands))
        for index, answer in enumerate(answers):
            if isinstance(answer, Exception):
                answers[index] = await self._repeat(partial(self._once, commands[index]))
        return answers

    async def _pipelined(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """The answers of one try; an exception where there was none."""
        shares: dict[Redis, list[int]] = {}
        answers: list[Any] = [None] * len(commands)
        for index, command in enumerate(commands):
            try:
                shares.setdefault(await self._servers.of(command.key), []).append(index)
            except exceptions.ClusterDownError as exc:
                # Its slot has no server; the others have.
                answers[index] = exc
        batches = (_batch(server, [commands[i] for i in at]) for server, at in shares.items())
        for at, batch in zip(shares.values(), await asyncio.gather(*batches), strict=True):
            for index, answer in zip(at, batch, strict=True):
                answers[index] = answer
        return answers


async def await_redis(work: Awaitable[T]) -> T:
    """What `work` comes to, in errors of redis-py, unless this task was cancelled meanwhile.

    redis-py sends through asyncio.wait_for, which before Python 3.12 forgets that it was cancelled
    if what it waits for is done by then: https://github.com/python/cpython/issues/86296. And it
    expects an OSError of a connection that ended between two of its writes, as asyncio has it;
    uvloop has a RuntimeError (`UVHandle._ensure_alive` in uvloop/handles/handle.pyx).
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        return await work
    except RuntimeError as exc:
        if _CLOSED not in str(exc):
            raise
        raise exceptions.ConnectionError("the connection ended") from exc
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError


def _passes(error: Exception) -> bool:
    if isinstance(error, _REFUSING):
        return False
    return isinstance(error, _PASSING) or _ELSEWHERE in str(error)


async def _sent(server: Any, command: RedisCommand, asking: bool) -> Any:
    if not asking:
        return await server.execute_command(*command.words)
    # ASKING counts for the next command on its connection.
    pipe = server.pipeline(transaction=False)
    pipe.execute_command("ASKING")
    pipe.execute_command(*command.words)
    _, answer = await pipe.execute(raise_on_error=False)
    if isinstance(answer, Exception):
        raise answer
    return answer


async def _batch(server: Redis, commands: Sequence[RedisCommand]) -> list[Any]:
    pipe = server.pipeline(transaction=False)
    for command in commands:
        pipe.execute_command(*command.words)
    try:
        answers: list[Any] = await pipe.execute(raise_on_error=False)
    except (exceptions.RedisError, OSError) as exc:
        return [exc] * len(commands)
    return answers
