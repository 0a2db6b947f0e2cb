"""Convert values to the arguments of scripts, and their replies back. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from partway_server.domain.events import Event
from partway_server.domain.part_plan import Plan
from partway_server.domain.upload import State

_EPOCH = datetime.fromtimestamp(0, UTC)


def moment_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def moment_of(ms: int) -> datetime:
    """Return the moment of a `moment_ms`."""
    return _EPOCH + timedelta(milliseconds=ms)


def span_ms(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)


def words(states: Iterable[State]) -> str:
    """Return states as an argument of scripts: ' one two '."""
    return f" {' '.join(states)} "


def flat(pairs: Mapping[str, str | bytes | int]) -> Iterable[str | bytes | int]:
    return (item for pair in pairs.items() for item in pair)


def unflat(items: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(items[::2], items[1::2], strict=True))


def spans(plan: Plan, numbers: Iterable[int]) -> list[tuple[int, int, int]]:
    """Return parts as arguments of scripts: runs of one size, as (first, last, size of each)."""
    found: list[tuple[int, int, int]] = []
    for number in sorted(numbers):
        size = plan.size(number)
        if found and found[-1][1:] == (number - 1, size):
            found[-1] = (found[-1][0], number, size)
        else:
            found.append((number, number, size))
    return found


def event_values(event: Event | None) -> tuple[str, str, str, str]:
    """Return the values of `redis_keys.EVENT_FIELDS`. Empty stands for no event."""
    return (event.id, event.type, event.sid, event.text) if event else ("", "", "", "")
