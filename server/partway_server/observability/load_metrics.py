"""The metrics of load: what is admitted, what is refused, and how late the event loop runs."""

from collections.abc import Collection
from functools import partial
from typing import Protocol

from partway_server.domain.fair_share import FairShare
from partway_server.observability.definitions import FAST, Definitions, Joined


class Turns(Protocol):
    """Turns of one kind of work: how many calls have one, may have one, and have or want one."""

    @property
    def total(self) -> int: ...

    @property
    def capacity(self) -> int: ...

    @property
    def wanted(self) -> int: ...


class LoadMetrics:
    """What the calls of a process use. `tenants` are those that have figures of their own."""

    def __init__(self, define: Definitions, tenants: Collection[str] = ()) -> None:
        self._tenants = tuple(tenants)
        self._define_calls(define)
        self._define_shares(define)
        self.lag = define.histogram(
            "partway_event_loop_lag_seconds",
            "How late the event loop ran what was due, sampled 50 times a second.",
            buckets=FAST,
        )
        self.busy = define.gauge(
            "partway_event_loop_busy_ratio",
            "The part of the last sample for which the event loop had the CPU.",
            joined=Joined.MAX,
        )

    def _define_calls(self, define: Definitions) -> None:
        define.begin("Admission and load")
        self.calls_refused = define.counter(
            "partway_calls_refused",
            "Calls refused as OVERLOADED, by the limit that was reached.",
            ["limit"],
        )
        self.slow_readers_ended = define.counter(
            "partway_slow_readers_ended",
            "Streams that were ended because their readers took nothing.",
        )
        self.connections_closed = define.counter(
            "partway_connections_closed",
            "Connections that were closed because their peers read no replies.",
        )
        self.call_limit = define.gauge(
            "partway_call_limit",
            "Calls that this process works on at a time, at most, by how busy it is.",
        )
        self.calls_in_progress = define.gauge(
            "partway_calls_in_progress",
            "Calls that are admitted and whose replies are not read yet, without watches.",
        )
        self.watches = define.gauge("partway_watches_in_progress", "Watch streams that are open.")
        self.unread_reply_bytes = define.gauge(
            "partway_unread_reply_bytes",
            "Memory of replies that are not read yet.",
        )

    def _define_shares(self, define: Definitions) -> None:
        self._used = define.gauge(
            "partway_share_used",
            "What all tenants use of a limit that they share: calls, watches, parts (through the"
            " service), unread (bytes of replies).",
            ["share"],
        )
        self._capacity = define.gauge("partway_share_capacity", "What that limit is.", ["share"])
        self._largest = define.gauge(
            "partway_share_largest_tenant",
            "What the tenant with the most uses of that limit.",
            ["share"],
            joined=Joined.MAX,
        )
        self._of_tenant = define.gauge(
            "partway_tenant_share_used",
            "What a tenant uses of that limit, of those that PARTWAY_METRICS_TENANTS names.",
            ["tenant", "share"],
        )
        self._in_use = define.gauge(
            "partway_turns_in_use",
            "Calls that have their turn to be worked on: working, and storage for those that wait"
            " for storage.",
            ["queue"],
        )
        self._turns = define.gauge(
            "partway_turns_capacity", "How many may have their turn at a time.", ["queue"]
        )
        self._waiting = define.gauge(
            "partway_turns_waiting", "Calls that wait for their turn.", ["queue"]
        )

    def share(self, name: str, share: FairShare) -> None:
        """Report from now on what is used of a share, in all and by the named tenants."""
        self._used.labels(name).set_function(lambda: share.total)
        self._capacity.labels(name).set_function(lambda: share.capacity)
        self._largest.labels(name).set_function(share.largest)
        for tenant in self._tenants:
            self._of_tenant.labels(tenant, name).set_function(partial(share.used, tenant))
        # Present from the start: a rate needs an initial zero.
        self.calls_refused.labels(name)

    def queue(self, name: str, queue: Turns) -> None:
        """Report from now on how many calls have and await their turn."""
        self._in_use.labels(name).set_function(lambda: queue.total)
        self._turns.labels(name).set_function(lambda: queue.capacity)
        self._waiting.labels(name).set_function(lambda: queue.wanted - queue.total)
        self.calls_refused.labels(name)
