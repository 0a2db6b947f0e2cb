"""Parse what Redis keeps of deliveries. No I/O.

One garbled entry must not hold up the others, so that none of these raises. An entry without an id
is dropped by whoever delivers it, as one that the stream has trimmed is; a garbled count of
attempts begins again.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partway_server.events.retry_schedule import Delivery, RetryState

_LAST_MS = 1 << 47
"""Later times are none."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeasedShard:
    """The result of taking a shard.

    `deliveries` are those after the place that was asked for, or all if `mark` is not the one that
    was known. With `more`, the stream has others that were not read. `dead_letters` are kept.
    """

    mark: str
    last: str
    more: bool
    pending: int
    dead_letters: int
    deliveries: Sequence[Delivery]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event whose delivery was given up. `text` is the CloudEvent."""

    webhook: str
    shard: int
    place: str
    id: str
    type: str
    upload: str
    text: str
    attempts: int
    why: str


def leased_shard(answer: Sequence[Any]) -> LeasedShard | None:
    """Return the shard in an answer of the script `take`, None if another process has it."""
    if not answer:
        return None
    mark, last, more, pending, dead_letters, entries = answer
    found = [_delivery(entry) for entry in entries]
    return LeasedShard(mark.decode(), last.decode(), bool(more), pending, dead_letters, found)


def dead_letter(
    webhook: str, shard: int, place: bytes, entry: Mapping[bytes, bytes]
) -> DeadLetter | None:
    """Return the dead letter in an entry of its stream, None if it is garbled."""
    try:
        has = {name.decode(): value.decode() for name, value in entry.items()}
        return DeadLetter(
            webhook=webhook,
            shard=shard,
            place=place.decode(),
            id=has["id"],
            type=has["type"],
            upload=has["upload"],
            text=has["event"],
            attempts=int(has["attempts"]),
            why=has["why"],
        )
    except (KeyError, ValueError):
        logger.warning(
            "webhook %s: the dead letter at %s of shard %d is garbled, and left out",
            *(webhook, place.decode(), shard),
        )
        return None


def _delivery(words: Sequence[bytes]) -> Delivery:
    place = words[0].decode()
    try:
        event_id, kind, upload, only = (word.decode() for word in words[1:5])
    except UnicodeDecodeError:
        event_id = kind = upload = only = ""
    return Delivery(place, event_id, kind, upload, only, _tries(words[5]))


def _tries(stored: bytes) -> RetryState:
    try:
        tries = RetryState.unpack(stored.decode())
    except (TypeError, ValueError):
        return RetryState()
    times = (tries.attempts, tries.first_ms, tries.next_ms)
    return tries if all(0 <= each < _LAST_MS for each in times) else RetryState()
