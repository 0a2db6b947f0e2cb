"""What becomes of deliveries: which may be sent now, and what follows on an answer. No I/O.

Times are in milliseconds since 1970, as Redis has them.
"""

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import count

PAUSES_MS = tuple(s * 1000 for s in (5, 30, 120, 600, 3600, 4 * 3600, 8 * 3600))
"""Between attempts; the last one for all that follow. Standard Webhooks wants several days of
exponential backoff with jitter
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)."""

JITTER = 0.2
"""A pause is longer by at most this part of it: never shorter, for Retry-After is a promise."""


@dataclass(frozen=True, slots=True)
class RetryState:
    """How often a delivery has failed, when it first did, and when it is due again."""

    attempts: int = 0
    first_ms: int = 0
    next_ms: int = 0

    def pack(self) -> str:
        return f"{self.attempts} {self.first_ms} {self.next_ms}"

    @staticmethod
    def unpack(text: str) -> "RetryState":
        """From `pack`; "" for none."""
        return RetryState(*map(int, text.split()))


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that waits for its delivery. `place` is its id in the stream.

    `event_id` is "" if the stream keeps it no more; `only` names the one webhook it is for, "" if
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
    """What an endpoint answered: the HTTP status, 0 if there was no answer.

    `why` says in words what went wrong, and has nothing of the URL or the answer's body in it.
    """

    status: int
    why: str = ""
    retry_after_ms: int = 0


class DeliveryVerdict(Enum):
    """What an answer means for the event."""

    DELIVERED = auto()
    AGAIN = auto()
    GONE = auto()


def verdict_of(answer: DeliveryResponse) -> DeliveryVerdict:
    """Standard Webhooks: 2xx alone is success; 410 says that the endpoint wants no more."""
    if 200 <= answer.status < 300:
        return DeliveryVerdict.DELIVERED
    return DeliveryVerdict.GONE if answer.status == 410 else DeliveryVerdict.AGAIN


def after_failure(
    tries: RetryState, *, now_ms: int, retry_after_ms: int, give_up_ms: int, chance: float
) -> RetryState | None:
    """When to try again after one more failure; None: never. `chance`, from 0 to 1, is jitter.

    The last attempt is when the time to give up has come, however long the pause would be.
    """
    first_ms = tries.first_ms or now_ms
    end_ms = first_ms + give_up_ms
    if now_ms >= end_ms:
        return None
    pause = PAUSES_MS[min(tries.attempts, len(PAUSES_MS) - 1)]
    pause = max(pause, min(retry_after_ms, PAUSES_MS[-1]))
    next_ms = now_ms + int(pause * (1 + JITTER * chance))
    return RetryState(tries.attempts + 1, first_ms, min(next_ms, end_ms))


def share(owners: Iterable[str], me: str, shards: int) -> set[int]:
    """The shards that are mine while these work, each of whom counts the same way."""
    ranks = sorted(owners)
    return set(range(ranks.index(me), shards, len(ranks))) if me in ranks else set()


class ShardQueue:
    """What waits for one webhook in one shard: for each Upload in order, one at a time.

    `mark` is that of the lease, which is good until `held_until_ms`; "" if all is to be read again.
    `after` is the last entry that was taken, and `last` the last of the stream, of which with
    `more` not all was read. `under_way` are being sent, and `finished` counts what was done. There
    are so many dead `dead_letters`.
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
        """How many wait or are under way."""
        return self._size

    def oldest_ms(self) -> int | None:
        """When the oldest of them was told, None if there is none."""
        return min((position(each[0].place)[0] for each in self._waiting.values()), default=None)

    def add(self, entry: Delivery) -> None:
        """Put it behind all that is there of its Upload."""
        line = self._waiting.setdefault(entry.upload, deque())
        line.append(entry)
        self._size += 1
        if len(line) == 1:
            self._expose(entry)

    def take(self, now_ms: int) -> Delivery | None:
        """One that may be sent now, and is under way until `done` or `postponed`."""
        if now_ms >= self.held_until_ms or not self._heads or self._heads[0][0] > now_ms:
            return None
        self.under_way += 1
        return heapq.heappop(self._heads)[2]

    def done(self, entry: Delivery) -> None:
        """It was delivered or given up: the next of its Upload may go."""
        self.under_way -= 1
        self.finished += 1
        self._size -= 1
        line = self._waiting[entry.upload]
        line.popleft()
        if line:
            self._expose(line[0])
        else:
            del self._waiting[entry.upload]

    def postponed(self, entry: Delivery, tries: RetryState) -> None:
        """It failed, and waits until it is due again."""
        self.under_way -= 1
        later = replace(entry, tries=tries)
        self._waiting[entry.upload][0] = later
        self._expose(later)

    def _expose(self, entry: Delivery) -> None:
        # The number keeps the order of those that are due at once.
        heapq.heappush(self._heads, (entry.tries.next_ms, next(self._numbers), entry))


def position(place: str) -> tuple[int, int]:
    """An id of a stream as it sorts."""
    ms, _, number = place.partition("-")
    return int(ms), int(number or 0)
