"""Delivers the events of one webhook from this process's share of the shards.

At least once: a delivery is settled after its answer. A process that dies between the two leaves
it pending, and the next one with the shard sends it again, with the same id. In order for each
upload: an event waits until the one before it is delivered or given up, while events of other
uploads go on.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from partway_server.domain.clock import Clock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.events.delivery_queue import DeliveryQueue
from partway_server.events.retry_schedule import (
    Delivery,
    DeliveryResponse,
    DeliveryVerdict,
    RetryState,
    ShardQueue,
    after_failure,
    verdict_of,
)
from partway_server.events.webhook_file import Webhook
from partway_server.events.webhook_sender import Sender
from partway_server.events.webhook_shards import WebhookShards
from partway_server.observability.metrics import Metrics
from partway_server.observability.webhook_metrics import DeliveryOutcome
from partway_server.sessions.script_arguments import moment_ms
from partway_server.workflow.background_tasks import Tasks

MOST_AT_ONCE = 16
"""Deliveries of one webhook that one process has under way."""

MOST_PENDING = 1000
"""Events of a shard that may be pending for a webhook; later ones stay in the stream."""

BEFORE = timedelta(minutes=10)
"""How far before the start of a process its webhooks begin, if they are new to Redis.

A Redis that lost everything may have received events since, and none of the processes of that time
lived to create a consumer group. So this is longer than a deployment takes to restart a process
that crashes again and again.
"""

_NOTHING_SENT = DeliveryResponse(204, "there was nothing to send")

GONE_FOR = timedelta(hours=1)
"""How long nothing is sent to an endpoint that answered 410."""

_RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


class WebhookWorker:
    """Delivers for one webhook.

    `began` is when this process started; `lease` is how long a shard stays with a process that is
    gone.
    """

    def __init__(
        self,
        webhook: Webhook,
        *,
        store: DeliveryQueue,
        sender: Sender,
        tasks: Tasks,
        metrics: Metrics,
        clock: Clock,
        sleep: Callable[[float], Awaitable[Any]],
        chance: Callable[[], float],
        new_mark: Callable[[], str],
        began: datetime,
        lease: timedelta,
        most_pending: int = MOST_PENDING,
    ) -> None:
        self._webhook, self._sender = webhook, sender
        self._store, self._tasks, self._metrics = store, tasks, metrics
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._under_way = 0
        self._gone_until_ms = 0
        self._stopped = False
        self._shards = WebhookShards(
            webhook.name,
            store=store,
            tasks=tasks,
            clock=clock,
            wants=self._wants,
            new_mark=new_mark,
            since=began - BEFORE,
            lease=lease,
            most_pending=most_pending,
        )
        metrics.webhook(
            webhook.name,
            oldest_age_seconds=self._shards.oldest_age_seconds,
            letters=self._shards.dead_letters,
        )

    async def rebalance(self) -> None:
        """Work out which shards are ours now, release the others, and renew the leases."""
        await self._shards.rebalance()

    def last_seen(self) -> dict[int, str]:
        """Return the last known stream id of each of our shards that answers."""
        return self._shards.last_seen()

    async def refill(self, changed: Iterable[int]) -> None:
        """Read what is new in those of our shards that changed or are behind."""
        await self._shards.refill(changed)

    def start(self) -> None:
        """Start the deliveries that may be sent now."""
        now_ms = moment_ms(self._clock.now())
        for shard, queue in self._shards.answering():
            while self._under_way < MOST_AT_ONCE and not (self._stopped or self._shards.paused):
                if (delivery := queue.take(now_ms)) is None:
                    break
                self._under_way += 1
                self._tasks.start(self._deliver(shard, queue, delivery))

    def reconfigure(self, webhook: Webhook, sender: Sender) -> None:
        """Continue under new rules for the same name, also after `pause`.

        What is under way stays with the old sender.
        """
        self._webhook, self._sender = webhook, sender
        self._gone_until_ms, self._shards.paused = 0, False

    def pause(self) -> None:
        """Start nothing until `reconfigure`; rounds release the shards with nothing under way."""
        self._shards.paused = True

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped = True

    async def release(self) -> None:
        """Release all shards with nothing under way, so that no other process has to wait."""
        await self._shards.release()

    def _wants(self, delivery: Delivery) -> bool:
        if not delivery.event_id:
            # The stream trimmed it, and its id and upload with it.
            name = self._webhook.name
            logger.warning(
                "webhook %s: event at %s dropped: no longer in the stream", name, delivery.place
            )
            return False
        return delivery.only in ("", self._webhook.name) and self._webhook.wants(delivery.type)

    async def _deliver(self, shard: int, queue: ShardQueue, delivery: Delivery) -> None:
        try:
            response = await self._attempt(shard, delivery)
        finally:
            # Before the result is recorded, or a shard that is away would hold up the others. Also
            # on cancellation: then the process is ending, and the delivery stays pending.
            self._under_way -= 1
        if response is None:
            queue.postponed(delivery, delivery.tries)
            return
        retry = self._judge(delivery, response)
        await self._record(shard, delivery, response, retry)
        if retry is None:
            queue.done(delivery)
        else:
            queue.postponed(delivery, retry)
        self.start()

    async def _attempt(self, shard: int, delivery: Delivery) -> DeliveryResponse | None:
        """Send the event; None if the shard is away and nothing was sent."""
        if moment_ms(self._clock.now()) < self._gone_until_ms:
            return DeliveryResponse(410, "HTTP 410 recently")
        # The rules may have changed since the delivery was queued.
        if not self._webhook.wants(delivery.type):
            return _NOTHING_SENT
        try:
            body = await self._store.body(shard, delivery.place)
            if body is None:
                name, event = self._webhook.name, delivery.event_id
                logger.warning("webhook %s: event %s dropped: no longer in the stream", name, event)
                return _NOTHING_SENT
            if self._webhook.tenants and _tenant(body) not in self._webhook.tenants:
                return _NOTHING_SENT
        except SessionsUnavailable:
            return None
        except Exception:
            # It counts as a failed attempt, and becomes a dead letter for an operator to see.
            logger.exception("event %s cannot be read", delivery.event_id)
            return DeliveryResponse(0, "the event cannot be read")
        sender = self._sender
        response = await sender.send(delivery.event_id, body)
        if verdict_of(response) is DeliveryVerdict.GONE and sender is not self._sender:
            return DeliveryResponse(0, "HTTP 410 from the previous endpoint")
        return response

    def _judge(self, delivery: Delivery, response: DeliveryResponse) -> RetryState | None:
        """Log and count the response, and return when to retry.

        None if the delivery is over: delivered, or given up.
        """
        now = self._clock.now()
        name, event_id = self._webhook.name, delivery.event_id
        match verdict_of(response):
            case DeliveryVerdict.DELIVERED:
                if response is not _NOTHING_SENT:
                    logger.debug("webhook %s: event %s delivered", name, event_id)
                    self._metrics.webhook_tried(name, DeliveryOutcome.DELIVERED)
                return None
            case DeliveryVerdict.GONE:
                self._metrics.webhook_tried(name, DeliveryOutcome.DEAD)
                if moment_ms(now) >= self._gone_until_ms:
                    self._gone_until_ms = moment_ms(now + GONE_FOR)
                    logger.error(
                        "webhook %s: answered 410 Gone; nothing is sent for %s", name, GONE_FOR
                    )
                return None
        retry = after_failure(
            delivery.tries,
            now_ms=moment_ms(now),
            retry_after_ms=response.retry_after_ms,
            give_up_ms=int(self._webhook.give_up_seconds * 1000),
            chance=self._chance(),
        )
        self._metrics.webhook_tried(
            name, DeliveryOutcome.RETRIED if retry else DeliveryOutcome.DEAD
        )
        if retry is None:
            logger.warning("webhook %s: gave up event %s: %s", name, event_id, response.why)
        else:
            wait = (retry.next_ms - moment_ms(now)) / 1000
            logger.info(
                "webhook %s: event %s: %s; retry in %.0f s", name, event_id, response.why, wait
            )
        return retry

    async def _record(
        self, shard: int, delivery: Delivery, response: DeliveryResponse, retry: RetryState | None
    ) -> None:
        """Write the result to Redis, retrying without end.

        While the shard is away, nothing else could come of the delivery either.
        """
        name, place, store = self._webhook.name, delivery.place, self._store
        while True:
            while shard in store.away and not self._stopped:
                # The next round that gets an answer clears this, for all shards at once.
                await self._sleep(_RETRY_SECONDS)
            try:
                if retry is not None:
                    await store.postpone(name, shard, place, retry)
                elif verdict_of(response) is DeliveryVerdict.DELIVERED:
                    await store.settle(name, shard, [place])
                else:
                    attempts = delivery.tries.attempts + 1
                    await store.bury(name, shard, place, attempts, response.why)
                return
            except SessionsUnavailable:
                await self._sleep(_RETRY_SECONDS)


def _tenant(body: str) -> str | None:
    """Return the tenant that an event is about, None if it names none."""
    data = json.loads(body).get("data")
    return data.get("tenant") if isinstance(data, dict) else None
