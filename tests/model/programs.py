"""The real code as actors that stop before each call to Redis or storage.

A verb of the Coordinator is a coroutine that does nothing but ask its two stores and the time, so
all that it does next follows from the replies it has had. A `Node` stands for such a history: it
says which call comes next, or what the caller is answered. A node is found by running the real
coroutine once on the replies of its history; after that, a step of an actor is a look-up. This is
what lets a search visit hundreds of thousands of states with the code itself, not a copy of it.

Two numbers are smaller than in the service, to keep histories short: a Complete is sent twice
instead of four times, and the half minute of settling is one short pause and one long one.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from partway_server.cleanup.expiry import Janitor
from partway_server.cleanup.orphans import Sweeper
from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import UploadError, UploadNotActive
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.key_marks import KeyMarks
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.requests import UploadParams
from partway_server.domain.upload import State
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.domain.upload_token_cipher import UploadTokenCipher
from partway_server.observability.metrics import Metrics
from partway_server.storage.capabilities import Capabilities
from partway_server.workflow import complete, resolver
from partway_server.workflow.background_tasks import Tasks
from partway_server.workflow.coordinator import Coordinator
from partway_server.workflow.deps import Deps

from tests.model.numbering import Numbered
from tests.support.clock import START

LEASE = timedelta(seconds=30)
TOMBSTONE = timedelta(hours=13)
WAIT = timedelta(seconds=60)
GRACE = timedelta(hours=1)
LONG_PAUSE = 29.5
FAILED = "failed"
EXTENDED = START + timedelta(days=20)
"""The deadline that ExtendUpload gives: past the first one, and within the policy."""

SIZE = 7

CALLER = Caller("acme", "alice")
UPLOAD_IDS = UploadIdCipher([bytes(range(64))])
UPLOAD_TOKENS = UploadTokenCipher([bytes(range(64))])
KEY_MARKS = KeyMarks([bytes(range(64))])
SETTLE_STEPS = (0.5, LONG_PAUSE)
SEND_ATTEMPTS = 2


class Call(NamedTuple):
    """A call of an actor to a seam: "sessions", "storage" or "sleep"."""

    seam: str
    verb: str
    arguments: tuple[Any, ...]
    named: Mapping[str, Any] = {}


class Reply(NamedTuple):
    """The result of a call or the exception raised, and the time then."""

    value: Any
    now: datetime


class Answer(NamedTuple):
    """An answer to a caller: a state, an error's name, or "opened" with an `upload_id`."""

    word: str
    upload_id: str = ""


class Verb(NamedTuple):
    """An actor before its first step: which verb, and its argument."""

    name: str
    argument: Any


@dataclass(frozen=True, slots=True)
class Node:
    """An actor after a history of replies: about to make `call`, or done with `answer`.

    `last` is the call before, whose reply is the last of the history.
    """

    verb: Verb
    began: datetime
    history: tuple[Reply, ...]
    last: Call | None
    call: Call | None
    answer: Answer | None


class Replies:
    """Both seams and the clock of one actor: answers from a history, then holds still."""

    def __init__(self, began: datetime, history: tuple[Reply, ...]) -> None:
        self.asked = asyncio.get_running_loop().create_future()
        self._left = deque(history)
        self._now = began

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        await self.ask(Call("sleep", "sleep", (seconds,)))
        # A caller waiting for another's work checks once more, and then its time is up.
        self._now += WAIT

    async def ask(self, call: Call) -> Any:
        if not self._left:
            if not self.asked.done():
                self.asked.set_result(call)
            await asyncio.get_running_loop().create_future()
        reply = self._left.popleft()
        self._now = max(self._now, reply.now)
        if isinstance(reply.value, Exception):
            raise reply.value.with_traceback(None)
        return reply.value


class Seam:
    """A double of Sessions or Objects: every method goes to `Replies.ask`."""

    def __init__(self, name: str, replies: Replies, capabilities: Capabilities) -> None:
        self._capabilities = capabilities
        self._name = name
        self._replies = replies

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        async def ask(*arguments: Any, **named: Any) -> Any:
            return await self._replies.ask(Call(self._name, verb, arguments, named))

        return ask

    def capabilities_of(self, backend: str) -> Capabilities:
        return self._capabilities

    async def unfinished(self, *arguments: Any) -> AsyncIterator[Any]:
        """Yield all in one page: what comes later is for the next sweep."""
        for listed in await self._replies.ask(Call(self._name, "unfinished", arguments)):
            yield listed


class Failures(logging.Handler):
    """A log handler for errors that the service only logs, since no one awaits them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.heard.append(record.exc_info[1])


@dataclass(frozen=True, slots=True)
class Service:
    """The real objects that an actor runs, over its own seams."""

    coordinator: Coordinator
    janitor: Janitor
    sweeper: Sweeper


def service(
    replies: Replies, verb: Verb, capabilities: Capabilities, *, single: bool, quick: bool
) -> Service:
    """Wire everything as the composition root does.

    To a `quick` worker no time passes; to any other, each look at its monotonic clock is a day
    later.
    """
    days = count()
    sessions: Any = Seam("sessions", replies, capabilities)
    storage: Any = Seam("storage", replies, capabilities)
    policy = Policy(
        "default",
        "uploads",
        single_put_max_bytes=SIZE if single else 0,
        max_upload_seconds=30 * 24 * 3600,
    )
    policies = PolicyRegistry({"default": policy})
    deps = Deps(
        policies=policies,
        sessions=sessions,
        storage=storage,
        upload_ids=UPLOAD_IDS,
        upload_tokens=UPLOAD_TOKENS,
        key_marks=KEY_MARKS,
        tasks=Tasks(),
        metrics=METRICS,
        clock=replies,
        sleep=replies.sleep,
        random_bytes=lambda size: bytes([verb.argument]) * size,
        lease=LEASE,
        monotonic=lambda: 0.0 if quick else 86400.0 * next(days),
    )
    coordinator = Coordinator(deps)
    janitor, sweeper = Janitor(deps, coordinator), Sweeper(deps, grace=GRACE)
    return Service(coordinator, janitor, sweeper)


METRICS = Metrics()
WANTED = UploadParams(
    policy="default",
    file_name="film.mp4",
    size_bytes=SIZE,
    content_type="video/mp4",
    metadata={},
    part_size_bytes=0,
    checksum=Checksum.NONE,
    fingerprint="",
    request_id="the same for all",
)


async def perform(on: Service, verb: Verb) -> Answer:
    """Run a verb to its end, and return what its caller is answered."""
    try:
        match verb.name:
            case "Initialize":
                opened = await on.coordinator.initialize(CALLER, WANTED)
                return Answer("opened", on.coordinator.upload_id(opened))
            case "Complete":
                upload = await on.coordinator.complete(CALLER, verb.argument, (), WAIT)
                return Answer(upload.state.name)
            case "Abort":
                return Answer((await on.coordinator.abort(CALLER, verb.argument)).state.name)
            case "ListParts":
                await on.coordinator.list_parts(CALLER, verb.argument, 0, 1)
                return Answer("listed")
            case "ExtendUpload":
                extended = await on.coordinator.extend(CALLER, verb.argument, EXTENDED)
                return Answer("extended", on.coordinator.upload_id(extended))
            case "Status":
                status, _ = await on.coordinator.status(CALLER, verb.argument, progress=False)
                return Answer(status.state.name)
            case "Sweeper":
                await on.sweeper.sweep()
                return Answer("swept")
            case "Janitor":
                await on.janitor.sweep()
                return Answer("swept")
    except UploadNotActive as error:
        # The state in the error is an answer like any other.
        return Answer(State(error.state).name)
    except UploadError as error:
        return Answer(type(error).__name__)
    raise AssertionError(verb)


def grant_of(upload_id: str) -> Grant:
    return UPLOAD_IDS.decrypt(upload_id)


class Programs:
    """The nodes of all actors, computed on demand."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        capabilities: Capabilities,
        *,
        single: bool,
        quick: bool,
    ) -> None:
        self.replies: Numbered[Any] = Numbered()
        self.calls: Numbered[Call] = Numbered()
        self.nodes: list[Node] = []
        self.call_of: list[int] = []
        self._loop = loop
        self._capabilities = capabilities
        self._single = single
        self._quick = quick
        self._begun: dict[tuple[Verb, datetime], int] = {}
        self._next: dict[tuple[int, int, datetime], int] = {}

    def begin(self, verb: Verb, now: datetime) -> int:
        """Return the node of an actor that has made no call yet."""
        key = verb, now
        if (found := self._begun.get(key)) is None:
            found = self._begun[key] = self._found(verb, now, (), None)
        return found

    def after(self, node: int, reply: int, now: datetime) -> int:
        """Return the node that a reply leads to."""
        key = node, reply, now
        if (found := self._next.get(key)) is None:
            at = self.nodes[node]
            history = (*at.history, Reply(self.replies[reply], now))
            found = self._next[key] = self._found(at.verb, at.began, history, at.call)
        return found

    def _found(
        self, verb: Verb, began: datetime, history: tuple[Reply, ...], last: Call | None
    ) -> int:
        call, answer = self._loop.run_until_complete(self._run(verb, began, history))
        node = Node(verb, began, history, last, call, answer)
        self.nodes.append(node)
        self.call_of.append(-1 if node.call is None else self.calls.number(node.call))
        return len(self.nodes) - 1

    async def _run(
        self, verb: Verb, began: datetime, history: tuple[Reply, ...]
    ) -> tuple[Call | None, Answer | None]:
        replies = Replies(began, history)
        on = service(replies, verb, self._capabilities, single=self._single, quick=self._quick)
        failures = Failures()
        logger = logging.getLogger("partway_server")
        logger.addHandler(failures)
        work = asyncio.create_task(perform(on, verb))
        try:
            await asyncio.wait({work, replies.asked}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return replies.asked.result(), None
            wrong = [error for error in (work.exception(), *failures.heard) if error]
            return None, Answer(f"{FAILED}: {wrong[0]!r}") if wrong else work.result()
        finally:
            logger.removeHandler(failures)
            await _end_all()


async def _end_all() -> None:
    """End the tasks that a history left waiting."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def shortened(patch: Callable[[object, str, object], None]) -> None:
    """Make histories short, by a function such as pytest's `monkeypatch.setattr`."""
    for module in (complete, resolver):
        patch(module, "SETTLE_STEPS", SETTLE_STEPS)
    patch(complete, "SEND_ATTEMPTS", SEND_ATTEMPTS)
