"""Delivers events to webhooks. Every process runs one dispatcher, and they share the shards.

While nothing happens, one read every half second shows whether any stream has more than was seen,
for all webhooks at once. Only then, and every few seconds for the leases, is anything else asked.
Events of shards that do not answer wait; the log has a line when that begins and one when it ends.
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
"""The longest time between two renewals of the leases."""

logger = logging.getLogger(__name__)


class WebhookDispatcher:
    """Runs the workers of all webhooks."""

    def __init__(self, *, store: DeliveryQueue, clock: Clock, lease: timedelta) -> None:
        self._workers: list[WebhookWorker] = []
        self._store = store
        self._clock = clock
        # Several attempts must fit into a lease.
        self._round = min(ROUND, lease / 4)
        self._next_round: datetime | None = None
        self._reported_away: set[int] = set()

    def add(self, worker: WebhookWorker) -> None:
        """Run this worker, from the next round on."""
        self._workers.append(worker)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop` is set; what is under way then goes on as detached tasks.

        Call `release` once those are done too.
        """
        while not stop.is_set():
            try:
                await self.step()
            except Exception:
                # Nothing is lost: what was not settled is still pending, and comes again.
                logger.exception("a webhook step failed; retrying")
            try:
                await asyncio.wait_for(stop.wait(), POLL_SECONDS)
            except TimeoutError:
                continue
        await self.release()

    async def step(self) -> None:
        """Look for news once, and start the deliveries that may be sent."""
        now = self._clock.now()
        if self._next_round is None or now >= self._next_round:
            for worker in self._workers:
                await worker.rebalance()
            self._next_round = now + self._round
        changed = await self._store.changed_shards(self._last_seen())
        for worker in self._workers:
            await worker.refill(changed)
            worker.start()
        self._log_outages()

    async def release(self) -> None:
        """Start no more deliveries, and release the shards with none under way."""
        for worker in self._workers:
            worker.stop()
            await worker.release()

    def _log_outages(self) -> None:
        away = self._store.away
        if lost := away - self._reported_away:
            logger.warning("webhooks: Redis does not answer; events of %s wait", _named(lost))
        if back := self._reported_away - away:
            logger.info("webhooks: Redis answers again for %s", _named(back))
        self._reported_away = set(away)

    def _last_seen(self) -> dict[int, str]:
        """Return for each of our shards the earliest place that the workers have seen last."""
        seen: dict[int, str] = {}
        for worker in self._workers:
            for shard, place in worker.last_seen().items():
                seen[shard] = min(seen.get(shard, place), place, key=position)
        return seen


def _named(shards: Collection[int]) -> str:
    if len(shards) == SHARDS:
        return "all shards"
    return f"shards {', '.join(f'{shard:02}' for shard in sorted(shards))}"
