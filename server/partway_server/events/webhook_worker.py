"""What one process does for one webhook: its share of the shards, and the deliveries from them.

Every process has a share, by its rank among those that work for the webhook, and changes it when
one comes or goes. The lease of a shard makes certain that no two work it at once; it is taken again
in each round, long before it runs out, and nothing is sent from a shard whose lease may be over.

At least once: a delivery is settled after its answer. Who dies between the two leaves it pending,
and whoever has the shard next sends it again, with the same id. In order for each Upload: one event
waits until the one before is delivered or given up, while those of other Uploads go on.

A shard that does not answer is left alone but for one question in each round, which nothing else
waits for.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from partway_server.domain.clock import Clock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.events.delivery_queue import DeliveryQueue, LeasedShard
from partway_server.events.retry_schedule import (
    Delivery,
    DeliveryResponse,
    DeliveryVerdict,
    RetryState,
    ShardQueue,
    after_failure,
    share,
    verdict_of,
)
from partway_server.events.webhook_file import Webhook
from partway_server.events.webhook_sender import Sender
from partway_server.observability.metrics import Metrics, Outcome
from partway_server.sessions.redis_keys import SHARDS, moment_ms, span_ms
from partway_server.workflow.background_tasks import Tasks

MOST_AT_ONCE = 16
"""Deliveries of one webhook that one process has under way."""

MOST_PENDING = 1000
"""Events of a shard that may be pending for a webhook; what comes later stays in the stream."""

BEFORE = timedelta(minutes=10)
"""How long before a process began its webhooks have events too, if they are new to Redis. A Redis
that lost all may have got events since, and none of the processes from then lived to begin a group:
longer than a deployment takes to restart one that crashes again and again."""

_PASSED_OVER = DeliveryResponse(204, "there was nothing to send")

GONE_FOR = timedelta(hours=1)
"""How long nothing is sent to an endpoint that said 410."""

_AGAIN_SECONDS = 1.0

logger = logging.getLogger(__name__)


class WebhookWorker:
    """Delivers for one webhook. `began` is when this process did; `lease` is how long a shard stays
    with a process that is gone.
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
        self._webhook = webhook
        self._store = store
        self._sender = sender
        self._tasks = tasks
        self._metrics = metrics
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._new_mark = new_mark
        self._since = began - BEFORE
        self._lease = lease
        self._most_pending = most_pending
        self._lines: dict[int, ShardQueue] = {}
        # Shards whose stream had our group once: if it has none, Redis has lost it.
        self._known: set[int] = set()
        # Shards that are being asked: whoever asked twice at once would add the answer twice.
        self._asked: set[int] = set()
        self._under_way = 0
        self._gone_until_ms = 0
        self._stopped = self._resting = False
        metrics.webhook(
            webhook.name, oldest_age_seconds=self.oldest_age_seconds, letters=self.dead_letters
        )

    def oldest_age_seconds(self) -> float:
        """How long the oldest event that is ours to deliver waits; 0 if there is none."""
        now_ms = moment_ms(self._clock.now())
        told = (line.oldest_ms() for line in self._lines.values())
        return max((now_ms - ms for ms in told if ms is not None), default=0) / 1000

    def dead_letters(self) -> int:
        """How many dead letters are in our shards."""
        return sum(line.dead_letters for line in self._lines.values())

    async def round(self) -> None:
        """Find out which shards are ours by now, give back the others, and renew the leases."""
        wanted = await self._wanted()
        away = set(self._store.away)
        await self._give_back(wanted)
        await self._refill((wanted | self._lines.keys()) - away)
        if away:
            self._tasks.start(self._refill(away))

    def seen(self) -> dict[int, str]:
        """The last id of each stream that is ours and not away, as far as is known."""
        return {shard: line.last for shard, line in self._there()}

    async def refill(self, shards: Iterable[int]) -> None:
        """Take what is new in these shards, where they are ours."""
        if self._resting:
            return
        lines = self._lines.items()
        behind = {s for s, line in lines if line.more and len(line) < self._most_pending}
        behind |= {s for s, line in lines if not line.mark}
        await self._refill((behind | (self._lines.keys() & set(shards))) - self._store.away)

    def start(self) -> None:
        """Begin what may be sent now."""
        now_ms = moment_ms(self._clock.now())
        for shard, line in self._there():
            while self._under_way < MOST_AT_ONCE and not (self._stopped or self._resting):
                if (entry := line.take(now_ms)) is None:
                    break
                self._under_way += 1
                self._tasks.start(self._deliver(shard, line, entry))

    def change(self, webhook: Webhook, sender: Sender) -> None:
        """Go on by other rules for the same name, also after `rest`. What is under way stays so."""
        self._webhook, self._sender = webhook, sender
        self._gone_until_ms, self._resting = 0, False

    def rest(self) -> None:
        """Begin nothing until `change`; rounds give back the shards with nothing under way."""
        self._resting = True

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped = True

    async def leave(self) -> None:
        """Give back all shards that nothing is under way from, so that nobody needs to wait."""
        await self._store.join(self._webhook.name, timedelta())
        await self._give_back(set())

    async def _wanted(self) -> set[int]:
        lease = timedelta() if self._resting else self._lease
        owners = await self._store.join(self._webhook.name, lease)
        if self._resting:
            return set()
        # If nobody can say who works, whatever is free: the leases keep it from being worked twice,
        # and what a process leaves that ends now has somebody.
        return set(range(SHARDS)) if owners is None else share(owners, self._store.owner, SHARDS)

    def _there(self) -> list[tuple[int, ShardQueue]]:
        return [each for each in self._lines.items() if each[0] not in self._store.away]

    async def _give_back(self, wanted: Collection[int]) -> None:
        # Not before what is under way from it is done.
        left = [s for s, line in self._lines.items() if s not in wanted and not line.under_way]
        for shard in left:
            del self._lines[shard]
        there = [s for s in left if s not in self._store.away]
        await self._store.release(self._webhook.name, there)

    async def _refill(self, shards: Collection[int]) -> None:
        shards = set(shards) - self._asked
        self._asked |= shards
        try:
            await self._take(shards)
        finally:
            self._asked -= shards

    async def _take(self, shards: Iterable[int]) -> None:
        wanted: dict[int, tuple[str, str, datetime | None]] = {}
        for shard in shards:
            line = self._lines.get(shard)
            known = ("", "0-0") if line is None else (line.mark, line.after)
            wanted[shard] = (*known, None if shard in self._known else self._since)
        finished = {shard: line.finished for shard, line in self._lines.items()}
        asked_ms = moment_ms(self._clock.now())
        found = await self._store.take(
            self._webhook.name,
            wanted,
            new_mark=self._new_mark(),
            lease=self._lease,
            most=self._most_pending,
        )
        for shard, taken in found.items():
            if taken is None:
                self._lines.pop(shard, None)
            else:
                line = self._lines.get(shard)
                if line is None or line.mark != taken.mark:
                    line = self._lines[shard] = ShardQueue(taken.mark)
                line.held_until_ms = asked_ms + span_ms(self._lease)
                unwanted = self._merge(line, taken)
                # What was under way when it was asked may have been settled before or after.
                quiet = not line.under_way and line.finished == finished.get(shard, 0)
                if quiet and taken.pending != len(line) + len(unwanted):
                    # Redis went back to an older copy: all is read again, before anything is sent.
                    line.mark, line.held_until_ms = "", 0
                if taken.last:
                    self._known.add(shard)
                await self._pass_over(shard, unwanted)

    def _merge(self, line: ShardQueue, taken: LeasedShard) -> list[str]:
        """Put what was taken into the line; the places of what is not wanted."""
        line.last, line.more, line.dead_letters = (
            taken.last or "0-0",
            taken.more,
            taken.dead_letters,
        )
        unwanted = []
        for entry in taken.entries:
            line.after = entry.place
            if self._wants(entry):
                line.add(entry)
            else:
                unwanted.append(entry.place)
        return unwanted

    async def _pass_over(self, shard: int, unwanted: Sequence[str]) -> None:
        try:
            await self._store.settle(self._webhook.name, shard, unwanted)
        except SessionsUnavailable:
            # They stay pending, more than we know of: so all of the shard is read again.
            logger.debug("webhook %s: shard %d did not answer", self._webhook.name, shard)

    def _wants(self, entry: Delivery) -> bool:
        if not entry.event_id:
            # Its id and its upload went with it.
            name = self._webhook.name
            logger.warning("webhook %s: event at %s dropped: not kept any more", name, entry.place)
            return False
        return entry.only in ("", self._webhook.name) and self._webhook.wants(entry.type)

    async def _deliver(self, shard: int, line: ShardQueue, entry: Delivery) -> None:
        try:
            answer = await self._attempt(shard, entry)
        finally:
            # Before it is written down: a shard that is away would hold up the others. Also if it
            # was cancelled: then the process ends, and it stays pending.
            self._under_way -= 1
        if answer is None:
            line.postponed(entry, entry.tries)
            return
        tries = self._judge(entry, answer)
        await self._write_down(shard, entry, answer, tries)
        if tries is None:
            line.done(entry)
        else:
            line.postponed(entry, tries)
        self.start()

    async def _attempt(self, shard: int, entry: Delivery) -> DeliveryResponse | None:
        """What came of it; None if the shard is away, and nothing was sent."""
        if moment_ms(self._clock.now()) < self._gone_until_ms:
            return DeliveryResponse(410, "HTTP 410 of late")
        # The rules may have changed since it was taken.
        if not self._webhook.wants(entry.type):
            return _PASSED_OVER
        try:
            body = await self._store.body(shard, entry.place)
            if body is None:
                name, event = self._webhook.name, entry.event_id
                logger.warning("webhook %s: event %s dropped: not kept any more", name, event)
                return _PASSED_OVER
            if self._webhook.tenants and _tenant(body) not in self._webhook.tenants:
                return _PASSED_OVER
        except SessionsUnavailable:
            return None
        except Exception:
            # It counts as a failed attempt, and ends as a dead letter for an operator to see.
            logger.exception("event %s cannot be read", entry.event_id)
            return DeliveryResponse(0, "the event cannot be read")
        sender = self._sender
        answer = await sender.send(entry.event_id, body)
        if verdict_of(answer) is DeliveryVerdict.GONE and sender is not self._sender:
            return DeliveryResponse(0, "HTTP 410 from where it is sent no more")
        return answer

    def _judge(self, entry: Delivery, answer: DeliveryResponse) -> RetryState | None:
        """When to try again; None if it is done, be it delivered or given up."""
        now = self._clock.now()
        name, event_id = self._webhook.name, entry.event_id
        match verdict_of(answer):
            case DeliveryVerdict.DELIVERED:
                if answer is not _PASSED_OVER:
                    logger.debug("webhook %s: event %s is delivered", name, event_id)
                    self._metrics.webhook_tried(name, Outcome.DELIVERED)
                return None
            case DeliveryVerdict.GONE:
                self._metrics.webhook_tried(name, Outcome.DEAD)
                if moment_ms(now) >= self._gone_until_ms:
                    self._gone_until_ms = moment_ms(now + GONE_FOR)
                    logger.error("webhook %s: says 410 Gone: nothing for %s", name, GONE_FOR)
                return None
        tries = after_failure(
            entry.tries,
            now_ms=moment_ms(now),
            retry_after_ms=answer.retry_after_ms,
            give_up_ms=int(self._webhook.give_up_seconds * 1000),
            chance=self._chance(),
        )
        self._metrics.webhook_tried(name, Outcome.RETRIED if tries else Outcome.DEAD)
        if tries is None:
            logger.warning("webhook %s: event %s is given up: %s", name, event_id, answer.why)
        else:
            wait = (tries.next_ms - moment_ms(now)) / 1000
            logger.info(
                "webhook %s: event %s: %s; again in %.0f s", name, event_id, answer.why, wait
            )
        return tries

    async def _write_down(
        self, shard: int, entry: Delivery, answer: DeliveryResponse, tries: RetryState | None
    ) -> None:
        """Without an end: while the shard is away, nothing else would come of it either."""
        name, place, store = self._webhook.name, entry.place, self._store
        while True:
            while shard in store.away and not self._stopped:
                # The next round that finds it answering says so, for all at once.
                await self._sleep(_AGAIN_SECONDS)
            try:
                if tries is not None:
                    await store.postpone(name, shard, place, tries)
                elif verdict_of(answer) is DeliveryVerdict.DELIVERED:
                    await store.settle(name, shard, [place])
                else:
                    await store.bury(name, shard, place, entry.tries.attempts + 1, answer.why)
                return
            except SessionsUnavailable:
                await self._sleep(_AGAIN_SECONDS)


def _tenant(body: str) -> str | None:
    """The tenant that an event is about, None if it tells none."""
    data = json.loads(body).get("data")
    return data.get("tenant") if isinstance(data, dict) else None
