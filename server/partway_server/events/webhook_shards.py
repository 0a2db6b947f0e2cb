"""The shards that one process works for one webhook: leases, and the deliveries waiting in them.

Every process has a share of the shards, by its rank among the processes that work for the webhook,
and the share changes when one comes or goes. The lease of a shard makes certain that no two
processes work it at once. It is renewed in each round, long before it runs out, and nothing is
sent from a shard whose lease may be over.

A shard that does not answer gets one request per round, which nothing else waits for.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta

from partway_server.domain.clock import Clock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.events.delivery_queue import DeliveryQueue
from partway_server.events.retry_schedule import Delivery, ShardQueue, shards_of
from partway_server.events.stored_deliveries import LeasedShard
from partway_server.sessions.redis_keys import SHARDS, moment_ms, span_ms
from partway_server.workflow.background_tasks import Tasks

logger = logging.getLogger(__name__)


class WebhookShards:
    """The shards leased for the webhook `name`.

    `wants` decides which events are delivered; the others are settled at once. `since` is where a
    webhook that is new to Redis begins. While `paused`, no shard is taken, and rounds release the
    shards with nothing under way.
    """

    def __init__(
        self,
        name: str,
        *,
        store: DeliveryQueue,
        tasks: Tasks,
        clock: Clock,
        wants: Callable[[Delivery], bool],
        new_mark: Callable[[], str],
        since: datetime,
        lease: timedelta,
        most_pending: int,
    ) -> None:
        self.paused = False
        self._name = name
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._wants = wants
        self._new_mark = new_mark
        self._since = since
        self._lease = lease
        self._most_pending = most_pending
        self._queues: dict[int, ShardQueue] = {}
        # Shards whose stream has had our consumer group: if the group is missing, Redis lost it.
        self._known: set[int] = set()
        # Shards with a request under way: a second one would add the same deliveries twice.
        self._asked: set[int] = set()

    def oldest_age_seconds(self) -> float:
        """Return how long the oldest event of our shards has waited, 0 without one."""
        now_ms = moment_ms(self._clock.now())
        oldest = (queue.oldest_ms() for queue in self._queues.values())
        return max((now_ms - ms for ms in oldest if ms is not None), default=0) / 1000

    def dead_letters(self) -> int:
        """Return how many dead letters are in our shards."""
        return sum(queue.dead_letters for queue in self._queues.values())

    def last_seen(self) -> dict[int, str]:
        """Return the last known stream id of each of our shards that answers."""
        return {shard: queue.last for shard, queue in self.answering()}

    def answering(self) -> list[tuple[int, ShardQueue]]:
        """Return our shards, without those that do not answer."""
        return [each for each in self._queues.items() if each[0] not in self._store.away]

    async def rebalance(self) -> None:
        """Work out which shards are ours now, release the others, and renew the leases."""
        share = await self._share()
        away = set(self._store.away)
        await self._release_all_but(share)
        await self._take_once((share | self._queues.keys()) - away)
        if away:
            self._tasks.start(self._take_once(away))

    async def refill(self, changed: Iterable[int]) -> None:
        """Read what is new in those of our shards that changed or are behind."""
        if self.paused:
            return
        queues = self._queues.items()
        behind = {s for s, queue in queues if queue.more and len(queue) < self._most_pending}
        behind |= {s for s, queue in queues if not queue.mark}
        await self._take_once((behind | (self._queues.keys() & set(changed))) - self._store.away)

    async def release(self) -> None:
        """Release all shards with nothing under way, so that no other process has to wait."""
        await self._store.join(self._name, timedelta())
        await self._release_all_but(set())

    async def _share(self) -> set[int]:
        lease = timedelta() if self.paused else self._lease
        owners = await self._store.join(self._name, lease)
        if self.paused:
            return set()
        # If the shard that lists the workers is away, take any that is free: leases keep two from
        # working one shard, and what a process that ends now leaves behind is picked up.
        return (
            set(range(SHARDS)) if owners is None else shards_of(self._store.owner, owners, SHARDS)
        )

    async def _release_all_but(self, kept: Collection[int]) -> None:
        # A shard with a delivery under way is kept until that is done.
        idle = [s for s, queue in self._queues.items() if s not in kept and not queue.under_way]
        for shard in idle:
            del self._queues[shard]
        await self._store.release(self._name, [s for s in idle if s not in self._store.away])

    async def _take_once(self, shards: Collection[int]) -> None:
        """Take these shards, without those that a request is under way for."""
        shards = set(shards) - self._asked
        self._asked |= shards
        try:
            await self._take(shards)
        finally:
            self._asked -= shards

    async def _take(self, shards: Iterable[int]) -> None:
        wanted: dict[int, tuple[str, str, datetime | None]] = {}
        for shard in shards:
            queue = self._queues.get(shard)
            known = ("", "0-0") if queue is None else (queue.mark, queue.after)
            wanted[shard] = (*known, None if shard in self._known else self._since)
        finished = {shard: queue.finished for shard, queue in self._queues.items()}
        asked_ms = moment_ms(self._clock.now())
        found = await self._store.take(
            self._name,
            wanted,
            new_mark=self._new_mark(),
            lease=self._lease,
            most=self._most_pending,
        )
        for shard, taken in found.items():
            if taken is None:
                self._queues.pop(shard, None)
            else:
                held_until_ms = asked_ms + span_ms(self._lease)
                await self._update(shard, taken, held_until_ms, finished.get(shard, 0))

    async def _update(
        self, shard: int, taken: LeasedShard, held_until_ms: int, finished: int
    ) -> None:
        """Take over what the lease brought. `finished` is from before the request was sent."""
        queue = self._queues.get(shard)
        if queue is None or queue.mark != taken.mark:
            queue = self._queues[shard] = ShardQueue(taken.mark)
        queue.held_until_ms = held_until_ms
        unwanted = self._merge(queue, taken)
        # What was under way at the request may have been settled before or after it.
        quiet = not queue.under_way and queue.finished == finished
        if quiet and taken.pending != len(queue) + len(unwanted):
            # Redis went back to an older copy: read everything again before sending anything.
            queue.mark, queue.held_until_ms = "", 0
        if taken.last:
            self._known.add(shard)
        await self._settle(shard, unwanted)

    def _merge(self, queue: ShardQueue, taken: LeasedShard) -> list[str]:
        """Queue the wanted deliveries, and return the places of the others."""
        queue.last, queue.more = taken.last or "0-0", taken.more
        queue.dead_letters = taken.dead_letters
        unwanted = []
        for delivery in taken.deliveries:
            queue.after = delivery.place
            if self._wants(delivery):
                queue.add(delivery)
            else:
                unwanted.append(delivery.place)
        return unwanted

    async def _settle(self, shard: int, unwanted: Sequence[str]) -> None:
        try:
            await self._store.settle(self._name, shard, unwanted)
        except SessionsUnavailable:
            # They stay pending, more than we know of, so the whole shard is read again.
            logger.debug("webhook %s: shard %d did not answer", self._name, shard)
