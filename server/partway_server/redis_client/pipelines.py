"""Send the commands that are made at the same time to one server as one pipeline.

Commands of one turn of the event loop go in one round trip, so that a hundred uploads that are
opened together, by a batch or by many callers, cost Redis and this process little more than one.
Each command has an answer of its own: an error of one is not an error of the others. A connection
that breaks is an error of all that were sent over it, as of one that is sent alone, and who asked
retries for itself.

Who asked may go away. When all of a pipeline have, it is cancelled with its connection; until then
the command goes on with those of the others.
"""

import asyncio
import copy
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import hiredis
from redis import exceptions
from redis.asyncio import Redis

T = TypeVar("T")

Words = Sequence[str | bytes | int]

MOST_COMMANDS = 100
"""The most commands in one pipeline: Redis runs what it has received over one connection before it
turns to the next."""

_CLOSED = "the handler is closed"
"""What uvloop says about a closed connection."""


@dataclass(frozen=True, slots=True)
class _Sending:
    """A command on its way. `script` is the source of the script that it runs, if it runs one."""

    words: Words
    script: str
    answer: asyncio.Future[Any]


class Pipelines:
    """What is about to be sent to each server."""

    def __init__(self) -> None:
        self._waiting: dict[Redis, list[_Sending]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, server: Redis, words: Words, script: str = "") -> Any:
        """Send a command with the others of this turn of the loop, and return its answer.

        Raises what redis-py raises.
        """
        answer = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(server, [])
        waiting.append(_Sending(words, script, answer))
        if len(waiting) == 1:
            # It begins when all that are ready now have had their turn.
            self._start(self._flush(server))
        return await answer

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _flush(self, server: Redis) -> None:
        sending = [each for each in self._waiting.pop(server) if not each.answer.done()]
        for first in range(MOST_COMMANDS, len(sending), MOST_COMMANDS):
            self._start(_send(server, sending[first : first + MOST_COMMANDS]))
        await _send(server, sending[:MOST_COMMANDS])


async def await_redis(work: Awaitable[T]) -> T:
    """Await `work`, preserving cancellation, and map uvloop's errors to those of redis-py.

    redis-py sends through asyncio.wait_for, which before Python 3.12 loses a cancellation if what
    it waits for completes at the same time: https://github.com/python/cpython/issues/86296. And it
    expects an OSError from a connection that closed between two writes, as asyncio raises; uvloop
    raises a RuntimeError (`UVHandle._ensure_alive` in uvloop/handles/handle.pyx).
    """
    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    try:
        return await work
    except RuntimeError as exc:
        if _CLOSED not in str(exc):
            raise
        raise exceptions.ConnectionError("the connection was closed") from exc
    finally:
        if task.cancelling() > before:
            raise asyncio.CancelledError


async def pipelined(server: Redis, commands: Sequence[Words]) -> list[Any]:
    """Return the answers in order, with an exception for each command that failed."""
    try:
        return await await_redis(_exchange(server, commands))
    except (exceptions.RedisError, OSError) as exc:
        # A copy for each: whoever raises one adds its own frames to it.
        return [copy.copy(exc) for _ in commands]


async def _exchange(server: Redis, commands: Sequence[Words]) -> list[Any]:
    """Send commands over one connection, and return their answers.

    redis-py's own pipeline does the same, but packs each word of a command in Python.
    """
    pool: Any = server.connection_pool
    pack: Any = hiredis.pack_command
    connection = await pool.get_connection()
    try:
        await connection.send_packed_command([pack(tuple(words)) for words in commands])
        return [await _answer(server, connection, str(words[0])) for words in commands]
    except BaseException:
        # The answers that were not read belong to no other call.
        await connection.disconnect(nowait=True)
        raise
    finally:
        await pool.release(connection)


async def _answer(server: Redis, connection: Any, name: str) -> Any:
    try:
        return await server.parse_response(connection, name)
    except exceptions.ResponseError as exc:
        return exc


async def _send(server: Redis, sending: Sequence[_Sending]) -> None:
    """Send commands in one pipeline, and give each its answer."""
    if not sending:
        return
    _cancel_when_all_have_gone(asyncio.current_task(), [each.answer for each in sending])
    answers: Sequence[Any]
    try:
        answers = await _answers(server, sending)
    except Exception as fault:
        # Ours: it is raised where it was asked for, not lost in a task that no one awaits.
        answers = [fault] * len(sending)
    for each, answer in zip(sending, answers, strict=True):
        if each.answer.done():
            continue
        if isinstance(answer, Exception):
            each.answer.set_exception(answer)
        else:
            each.answer.set_result(answer)


def _cancel_when_all_have_gone(
    task: "asyncio.Task[Any] | None", awaited: Sequence[asyncio.Future[Any]]
) -> None:
    """Cancel the task that answers these futures once all of them are cancelled.

    Or a command might run long after its caller has given up.
    """
    assert task is not None
    left = len(awaited)

    def one_is_done(answer: asyncio.Future[Any]) -> None:
        nonlocal left
        left -= answer.cancelled()
        if not left:
            task.cancel()

    for answer in awaited:
        answer.add_done_callback(one_is_done)


async def _answers(server: Redis, sending: Sequence[_Sending]) -> list[Any]:
    """Return the answers of commands, whose scripts are loaded if the server does not know them.

    A promoted replica knows none: loading them is not replicated.
    """
    answers = await pipelined(server, [each.words for each in sending])
    unknown = [i for i, a in enumerate(answers) if isinstance(a, exceptions.NoScriptError)]
    if not unknown:
        return answers
    loading = [("SCRIPT", "LOAD", script) for script in {sending[i].script for i in unknown}]
    again = await pipelined(server, [*loading, *(sending[i].words for i in unknown)])
    loaded, again = again[: len(loading)], again[len(loading) :]
    refused = next((answer for answer in loaded if isinstance(answer, Exception)), None)
    for index, answer in zip(unknown, again, strict=True):
        answers[index] = copy.copy(refused) if refused else answer
    return answers
