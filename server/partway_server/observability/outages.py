"""Notice when something that the service depends on fails or hangs, and when that is over.

An outage has one line when it begins, one a minute while it lasts, and one when it has ended, each
with what was waited for, how long, and by how many calls: however many there are, the log stays
readable. Calls that hang count before they end.

`Dependency` decides, and knows no clock and no log. `Outages` has one of each, and logs.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, field

HANG_SECONDS = 5.0
"""How long a call may be under way before it counts as one that hangs."""

GIVEN_UP_SECONDS = 2.0
"""A call that whoever waited for it ended after this long counts as failed."""

QUIET_SECONDS = 10.0
"""How long nothing may fail before an outage has ended."""

AGAIN_SECONDS = 60.0
"""How often there may be a warning about one dependency."""

TICK_SECONDS = 1.0

_PAUSE_SECONDS = 3.0

_MOST_KINDS = 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A line for the log: a warning, or that all is well again. `fields` are for machines."""

    warning: bool
    text: str
    fields: Mapping[str, object]


@dataclass(slots=True)
class _Tally:
    """What happened since a moment."""

    since: float
    good: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def add(self, failure: str) -> None:
        known = failure in self.failed or len(self.failed) < _MOST_KINDS
        self.failed[failure if known else "others"] += 1


class Dependency:
    """One thing that calls depend on. Times are seconds of a monotonic clock.

    Calls of `patient` operations may last, and never count as hanging.
    """

    def __init__(self, name: str, patient: Set[str] = frozenset()) -> None:
        self.name = name
        self._patient = patient
        self._under_way: dict[object, tuple[str, float]] = {}
        self._whole: _Tally | None = None
        self._recent = _Tally(0.0)
        self._trouble_at = self._answered_at = float("-inf")
        self._warned_at = float("-inf")
        self._longest = 0.0

    def start(self, call: object, operation: str, now: float) -> None:
        """Note a call that begins."""
        if operation not in self._patient:
            self._under_way[call] = operation, now

    def end(self, call: object, failure: str, now: float) -> None:
        """Note a call that ends, with `failure` saying what was asked for and how it failed."""
        _, began = self._under_way.pop(call, ("", now))
        if self._whole is not None:
            self._longest = max(self._longest, now - began)
        if not failure:
            self._answered_at = now
            self._recent.good += 1
            if self._whole is not None:
                self._whole.good += 1
            return
        self._trouble(now)
        self._recent.add(failure)
        assert self._whole is not None
        self._whole.add(failure)

    def give_up(self, call: object) -> None:
        """Forget a call that whoever waited for it has ended, too soon to mean anything."""
        self._under_way.pop(call, None)

    def look(self, now: float) -> Line | None:
        """Return what is to be logged now, if anything. Call it every TICK_SECONDS."""
        hanging = [each for each in self._under_way.values() if now - each[1] >= HANG_SECONDS]
        if hanging:
            self._trouble(now)
        if self._whole is None:
            self._recent = _Tally(now)
            return None
        if (
            hanging
            or now - self._trouble_at < QUIET_SECONDS
            or self._answered_at < self._trouble_at
        ):
            news = hanging or self._recent.failed
            if news and now - self._warned_at >= AGAIN_SECONDS:
                return self._warning(hanging, now)
            return None
        return self._recovery(now)

    def _trouble(self, now: float) -> None:
        self._trouble_at = now
        if self._whole is None:
            self._whole, self._longest = _Tally(now), 0.0

    def _warning(self, hanging: list[tuple[str, float]], now: float) -> Line:
        tally, self._recent = self._recent, _Tally(now)
        self._warned_at = now
        parts = []
        if tally.failed:
            parts.append(f"{_calls(tally.failed.total())} failed ({_counts(tally.failed)})")
        waited = max((now - began for _, began in hanging), default=0.0)
        self._longest = max(self._longest, waited)
        if hanging:
            kinds = Counter(operation for operation, _ in hanging)
            parts.append(
                f"{_calls(len(hanging))} under way for {HANG_SECONDS:.0f} s or more, the longest"
                f" for {waited:.1f} s ({_counts(kinds)})"
            )
        assert self._whole is not None
        lasts = now - self._whole.since
        text = f"{self.name} is in trouble: {' and '.join(parts)}; {_calls(tally.good)} went well"
        if lasts >= AGAIN_SECONDS:
            text += f"; it has lasted for {lasts:.0f} s"
        fields = self._fields(lasts, tally, waiting=len(hanging))
        return Line(True, text, fields)

    def _recovery(self, now: float) -> Line:
        assert self._whole is not None
        whole, self._whole, self._recent = self._whole, None, _Tally(now)
        lasted = self._trouble_at - whole.since
        words = f"{_calls(whole.failed.total())} failed"
        if whole.failed:
            words += f" ({_counts(whole.failed)})"
        text = (
            f"{self.name} is well again: in {lasted:.0f} s {words} and {_calls(whole.good)} went"
            f" well; the longest took {self._longest:.1f} s"
        )
        return Line(False, text, self._fields(lasted, whole, waiting=0))

    def _fields(self, seconds: float, tally: _Tally, *, waiting: int) -> dict[str, object]:
        return {
            "dependency": self.name,
            "seconds": round(seconds, 1),
            "failed_calls": tally.failed.total(),
            "good_calls": tally.good,
            "waiting_calls": waiting,
        }


class Outages:
    """Every dependency, looked at each second."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.now = now
        self._sleep = sleep
        self._all: dict[str, Dependency] = {}
        self._looked = now()

    def of(self, name: str, patient: Set[str] = frozenset()) -> Dependency:
        """Return the dependency of that name. Names come from operators, so they are few."""
        if (found := self._all.get(name)) is None:
            found = self._all[name] = Dependency(name, patient)
        return found

    def look(self) -> None:
        """Log what there is to say now."""
        now, before = self.now(), self._looked
        self._looked = now
        if now - before > _PAUSE_SECONDS:
            # This process stood still, not the others: what they answered is about to be read.
            return
        for dependency in self._all.values():
            if (line := dependency.look(now)) is not None:
                level = logging.WARNING if line.warning else logging.INFO
                logger.log(level, "%s", line.text, extra=line.fields)

    async def run(self) -> None:
        """Look every second until cancelled."""
        while True:
            self.look()
            await self._sleep(TICK_SECONDS)


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{what}: {number}" for what, number in counts.most_common())
