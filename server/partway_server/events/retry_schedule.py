"""Which deliveries may be sent now, and what follows on a response. No I/O.

Times are in milliseconds since 1970, as Redis has them.
"""

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import count

PAUSES_MS = tuple(s * 1000 for s in (5, 30, 120, 600, 3600, 4 * 3600, 8 * 3600))
"""Pauses between attempts; the last one also for all that follow.

Standard Webhooks asks for several days of exponential back-off with jitter
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

JITTER = 0.2
"""The most by which jitter lengthens a pause. It never shortens one: Retry-After is a promise."""


@dataclass(frozen=True, slots=True)
class RetryState:
    """How often a delivery has failed, when it first did, and when it is due again."""

    attempts: int = 0
    first_ms: int = 0
    next_ms: int = 0

    def pack(self) -> str:
        """Return the stored form."""
        return f"{self.attempts} {self.first_ms} {self.next_ms}"

    @staticmethod
    def unpack(text: str) -> "RetryState":
        """Parse the stored form; "" means no failure yet."""
        return RetryState(*map(int, text.split()))


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event waiting for its delivery to one webhook. `place` is its id in the stream.

    `event_id` is "" if the stream no longer has it; `only` names the one webhook it is for, "" if
    it is for all.
    """

    place: str
    event_id: str
    type: str
    upload: str
    only: str = ""
    tries: RetryState = RetryState()


@dataclass(frozen=True, slots=True)
class DeliveryResponse:
    """What an endpoint answered: the HTTP status, 0 without an answer.

    `why` describes the failure, and contains nothing of the URL or the body of the answer.
    """

    status: int
    why: str = ""
    retry_after_ms: int = 0


class DeliveryVerdict(Enum):
    """What a response means for the event."""

    DELIVERED = auto()
    AGAIN = auto()
    GONE = auto()


def verdict_of(answer: DeliveryResponse) -> DeliveryVerdict:
    """Judge a response as Standard Webhooks does: only 2xx is success, 410 ends the webhook."""
    if 200 <= answer.status < 300:
        return DeliveryVerdict.DELIVERED
    return DeliveryVerdict.GONE if answer.status == 410 else DeliveryVerdict.AGAIN


def after_failure(
    tries: RetryState, *, now_ms: int, retry_after_ms: int, give_up_ms: int, chance: float
) -> RetryState | None:
    """Return when to retry after one more failure, None for never. `chance`, from 0 to 1, is
    jitter.

    The last attempt is made when the time to give up has come, however long the pause would be.
    """
    first_ms = tries.first_ms or now_ms
    end_ms = first_ms + give_up_ms
    if now_ms >= end_ms:
        return None
    pause = PAUSES_MS[min(tries.attempts, len(PAUSES_MS) - 1)]
    pause = max(pause, min(retry_after_ms, PAUSES_MS[-1]))
    next_ms = now_ms + int(pause * (1 + JITTER * chance))
    return RetryState(tries.attempts + 1, first_ms, min(next_ms, end_ms))


def shards_of(owner: str, owners: Iterable[str], shards: int) -> set[int]:
    """Return the shards of one of the owners. Each of them computes the same partition."""
    ranks = sorted(owners)
    return set(range(ranks.index(owner), shards, len(ranks))) if owner in ranks else set()


class ShardQueue:
    """The deliveries waiting for one webhook in one shard: in order for each upload, one at a time.

    `mark` is the mark of the lease, which is valid until `held_until_ms`; "" if everything must be
    read again. `after` is the last entry read, and `last` the last of the stream; with `more`,
    entries between them are still unread. `under_way` deliveries are being sent, `finished` counts
    those that are over, and the shard has `dead_letters`.
    """

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.after = self.last = "0-0"
        self.more = False
        self.held_until_ms = 0
        self.under_way = self.finished = self.dead_letters = 0
        self._waiting: dict[str, deque[Delivery]] = {}
        self._heads: list[tuple[int, int, Delivery]] = []
        self._numbers = count()
        self._size = 0

    def __len__(self) -> int:
        """Return how many deliveries wait or are under way."""
        return self._size

    def oldest_ms(self) -> int | None:
        """Return when the oldest of them was published, None without any."""
        return min((position(each[0].place)[0] for each in self._waiting.values()), default=None)

    def add(self, delivery: Delivery) -> None:
        """Queue an event behind all others of its upload."""
        waiting = self._waiting.setdefault(delivery.upload, deque())
        waiting.append(delivery)
        self._size += 1
        if len(waiting) == 1:
            self._expose(delivery)

    def take(self, now_ms: int) -> Delivery | None:
        """Return a delivery that may be sent now; it is under way until `done` or `postponed`."""
        if now_ms >= self.held_until_ms or not self._heads or self._heads[0][0] > now_ms:
            return None
        self.under_way += 1
        return heapq.heappop(self._heads)[2]

    def done(self, delivery: Delivery) -> None:
        """End a delivery, delivered or given up: the next one of its upload may go."""
        self.under_way -= 1
        self.finished += 1
        self._size -= 1
        waiting = self._waiting[delivery.upload]
        waiting.popleft()
        if waiting:
            self._expose(waiting[0])
        else:
            del self._waiting[delivery.upload]

    def postponed(self, delivery: Delivery, tries: RetryState) -> None:
        """Put a failed delivery back until it is due again."""
        self.under_way -= 1
        later = replace(delivery, tries=tries)
        self._waiting[delivery.upload][0] = later
        self._expose(later)

    def _expose(self, delivery: Delivery) -> None:
        # The number keeps the order of those that are due at the same time.
        heapq.heappush(self._heads, (delivery.tries.next_ms, next(self._numbers), delivery))


def position(place: str) -> tuple[int, int]:
    """Return a stream id as a key to sort by."""
    ms, _, number = place.partition("-")
    return int(ms), int(number or 0)
