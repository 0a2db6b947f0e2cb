"""Delivers events to webhooks. Every process runs one, and they share the shards.

While nothing happens, one read every half second tells whether any stream has more than was seen,
for all webhooks at once; only then, and every few seconds for the leases, is anything else asked.
Events of shards that do not answer wait; the log says so once, and once that it is over.
"""

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from partway_server.domain.clock import Clock
from partway_server.events.delivery_queue import DeliveryQueue
from partway_server.events.retry_schedule import position
from partway_server.events.webhook_worker import WebhookWorker
from partway_server.sessions.redis_keys import SHARDS

POLL_SECONDS = 0.5

ROUND = timedelta(seconds=5)
"""How often leases are renewed, or more often, to have several goes before they run out."""

logger = logging.getLogger(__name__)


class WebhookDispatcher:
    """Runs the workers of all webhooks."""

    def __init__(self, *, store: DeliveryQueue, clock: Clock, lease: timedelta) -> None:
        self._workers: list[WebhookWorker] = []
        self._store = store
        self._clock = clock
        self._round = min(ROUND, lease / 4)
        self._next_round: datetime | None = None
        self._told_away: set[int] = set()

    def add(self, worker: WebhookWorker) -> None:
        """Run this one, from the next round on."""
        self._workers.append(worker)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; what is under way then goes on as detached tasks.

        Use `leave` when those are done too.
        """
        while not stop.is_set():
            try:
                await self.step()
            except Exception:
                # Whatever it is: what was not settled is still pending, and comes again.
                logger.exception("a step of the webhooks failed; it is tried again")
            try:
                await asyncio.wait_for(stop.wait(), POLL_SECONDS)
            except TimeoutError:
                continue
        await self.leave()

    async def step(self) -> None:
        """Look once, and begin what may be sent."""
        now = self._clock.now()
        if self._next_round is None or now >= self._next_round:
            for worker in self._workers:
                await worker.round()
            self._next_round = now + self._round
        news = await self._store.news(self._seen())
        for worker in self._workers:
            await worker.refill(news)
            worker.start()
        self._tell()

    async def leave(self) -> None:
        """Begin no more deliveries, and give the shards back that have none under way."""
        for worker in self._workers:
            worker.stop()
            await worker.leave()

    def _tell(self) -> None:
        away = self._store.away
        if lost := away - self._told_away:
            logger.warning("webhooks: the events of %s wait: Redis does not answer", _named(lost))
        if back := self._told_away - away:
            logger.info("webhooks: Redis answers again for %s", _named(back))
        self._told_away = set(away)

    def _seen(self) -> dict[int, str]:
        """For each shard that is ours the first of what the workers have seen last."""
        seen: dict[int, str] = {}
        for worker in self._workers:
            for shard, place in worker.seen().items():
                seen[shard] = min(seen.get(shard, place), place, key=position)
        return seen


def _named(shards: Collection[int]) -> str:
    if len(shards) == SHARDS:
        return "all shards"
    return f"shards {', '.join(f'{shard:02}' for shard in sorted(shards))}"
