"""The one account in front of all work: what each tenant's calls use, and who may use more.

A call is admitted before its request is read. What it uses is shared among tenants by `FairShare`:

- `calls`: every call but Watch, until its reply has been read.
- `watches`: they last long and cost next to nothing, so they are counted apart.
- `parts`: parts that pass through the service, each of up to a few MiB, for hours.
- `unread`: the bytes of replies that their readers have not taken yet.

Then it waits for its turn, which lasts until its reply, or its first message, is made:

- `working`: calls that need no storage. Their number follows how busy the event loop is.
- `storage`: calls that wait for storage, likewise. At most half of all, so that a storage that
  hangs leaves room for calls that do without it.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from partway_server.domain.errors import Overloaded
from partway_server.domain.fair_share import FairShare
from partway_server.domain.load_limit import LoadLimit
from partway_server.observability.metrics import Metrics
from partway_server.rpc.identity.base import Context
from partway_server.rpc.storage_use import PART_RPCS
from partway_server.rpc.work_queue import WorkQueue

REPORT_SECONDS = 60.0

LEAST_REPLY_BYTES = 1024
"""What a reply counts for at least: what gRPC needs for a message beside its bytes."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Capacities:
    """The capacities of a process. `unread_bytes` are those of all replies not read yet."""

    calls: int
    watches: int
    parts: int
    unread_bytes: int


class Admission:
    """Admits calls. `now` is a monotonic clock in seconds."""

    def __init__(self, limits: Capacities, *, metrics: Metrics, now: Callable[[], float]) -> None:
        self._now = now
        self._load = LoadLimit(limits.calls)
        self._storage_calls = max(1, limits.calls // 2)
        self._shares = {
            "calls": FairShare(limits.calls),
            "watches": FairShare(limits.watches),
            "parts": FairShare(limits.parts),
            "unread": FairShare(limits.unread_bytes),
        }
        self._queues = {
            "working": WorkQueue(limits.calls),
            "storage": WorkQueue(self._storage_calls),
        }
        self._refused: Counter[str] = Counter()
        self._reported_at = now()
        self._metrics = metrics
        self._report_load()
        self.open: set[Ticket] = set()

    def _report_load(self) -> None:
        """Report from now on what is used, in figures that are read at each scrape."""
        load = self._metrics.load
        load.call_limit.set_function(lambda: int(self._load))
        load.calls_in_progress.set_function(lambda: self._shares["calls"].total)
        load.watches.set_function(lambda: self._shares["watches"].total)
        load.unread_reply_bytes.set_function(lambda: self._shares["unread"].total)
        for name, share in self._shares.items():
            load.share(name, share)
        for name, queue in self._queues.items():
            load.queue(name, queue)

    def admit(self, rpc: str, tenant: str, context: Context) -> "Ticket":
        """Return the ticket of a call, which must be closed. Raises Overloaded."""
        ticket = Ticket(self, tenant, context)
        names = _needed(rpc)
        for name in (*names, "unread"):
            self.check(name, tenant)
        for name in names:
            ticket.take(name)
        self.open.add(ticket)
        return ticket

    def check(self, name: str, tenant: str) -> None:
        """Raise Overloaded if the tenant may not use more of a share now."""
        if not self._shares[name].has_room(tenant):
            self._count_refusal(name)
            raise Overloaded

    async def wait_for_turn(self, name: str, tenant: str) -> None:
        """Wait until the tenant's call may be worked on. Raises Overloaded."""
        try:
            await self._queues[name].enter(tenant)
        except Overloaded:
            self._count_refusal(name)
            raise

    def try_turn(self, name: str, tenant: str) -> bool:
        """Begin a turn of the tenant if there is one at once, and return whether there is."""
        return self._queues[name].try_enter(tenant)

    def end_turn(self, name: str, tenant: str) -> None:
        """Let another call be worked on."""
        self._queues[name].leave(tenant)

    def share(self, name: str) -> FairShare:
        """Return the share of that name."""
        return self._shares[name]

    def now(self) -> float:
        """Return the time, by the clock that replies are timed with."""
        return self._now()

    def observe(self, late_seconds: float, busy: float) -> None:
        """Adapt the number of calls in work to how late the event loop ran, and how busy it was."""
        wanted = max(queue.wanted for queue in self._queues.values())
        self._load.observe(late_seconds, busy, wanted)
        self._metrics.load.lag.observe(max(0.0, late_seconds))
        self._metrics.load.busy.set(busy)
        limit = int(self._load)
        self._queues["working"].resize(limit)
        self._queues["storage"].resize(min(limit, self._storage_calls))

    def report(self) -> None:
        """Log how many calls were refused, at most once a minute: there may be thousands."""
        now = self._now()
        if not self._refused or now - self._reported_at < REPORT_SECONDS:
            return
        counts = ", ".join(f"{count} by {name}" for name, count in self._refused.most_common())
        logger.warning("calls were refused as OVERLOADED: %s", counts)
        self._refused.clear()
        self._reported_at = now

    def _count_refusal(self, name: str) -> None:
        self._refused[name] += 1
        self._metrics.call_refused(name)


class Ticket:
    """What one admitted call uses, and since when its reply waits to be read.

    `end`, if any, ends the call with a status, which its reader gets once it reads on. `ended` is
    whether that was done.
    """

    __slots__ = (
        "_admission",
        "_names",
        "_reply_bytes",
        "_turn",
        "context",
        "end",
        "ended",
        "since",
        "tenant",
    )

    def __init__(self, admission: Admission, tenant: str, context: Context) -> None:
        self._admission = admission
        self._names: set[str] = set()
        self._reply_bytes, self._turn = 0, ""
        self.tenant, self.context = tenant, context
        self.end: Callable[[], Awaitable[None]] | None = None
        self.ended = False
        self.since: float | None = None

    def take(self, name: str) -> None:
        """Use one more of a share."""
        self._admission.share(name).take(self.tenant)
        self._names.add(name)

    async def work(self, *, storage: bool) -> None:
        """Wait for a turn, of the calls that wait for storage or of the others.

        Raises Overloaded.
        """
        name = "storage" if storage else "working"
        if name == self._turn:
            return
        self.work_done()
        await self._admission.wait_for_turn(name, self.tenant)
        self._turn = name

    def work_done(self) -> None:
        """End the turn: the reply is made, or a stream has begun."""
        if self._turn:
            name, self._turn = self._turn, ""
            self._admission.end_turn(name, self.tenant)

    def reply(self, size: int) -> None:
        """Count a message that is about to be sent, until `read`. Raises Overloaded.

        The bytes count twice: while a message waits, Python and gRPC have a copy each.
        """
        self._admission.check("unread", self.tenant)
        self._reply_bytes = max(2 * size, LEAST_REPLY_BYTES)
        self._admission.share("unread").take(self.tenant, self._reply_bytes)
        self.since = self._admission.now()

    def read(self) -> None:
        """Count the message as read."""
        if self._reply_bytes:
            self._admission.share("unread").give_back(self.tenant, self._reply_bytes)
            self._reply_bytes, self.since = 0, None

    def close(self, _context: object = None) -> None:
        """Give everything back: the call is over."""
        self.read()
        self.work_done()
        for name in self._names:
            self._admission.share(name).give_back(self.tenant)
        self._names.clear()
        self._admission.open.discard(self)


def _needed(rpc: str) -> tuple[str, ...]:
    """Return the shares that a call needs."""
    if rpc == "Watch":
        return ("watches",)
    return ("calls", "parts") if rpc in PART_RPCS else ("calls",)
