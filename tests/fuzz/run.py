"""A run: lanes side by side, the service's memory and log watched, and what was found."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.crew import ALONE, Crew
from tests.fuzz.finding import Finding
from tests.fuzz.lane import REQUESTS
from tests.fuzz.log_reader import LogReader
from tests.fuzz.stack import Attacked, Stack
from tests.fuzz.vitals import Vitals

Say = Callable[[str], None]

_WARM = 0.2
"""The share of the run after which memory is to grow no more."""

_REST_SECONDS = 2.0
_GROWTH = 1.05
_LONG_SECONDS = 300.0
_SHORT_GROWTH = 1.5
"""In a run that is not long, memory is still being warmed up at the first measurement."""

_SPARE_FDS = 32
"""The lanes' own connections come and go; a leak of one a call would be thousands."""

_PROGRESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of a run. It ends after `requests`, if that is not 0, else after `seconds`."""

    seed: int
    seconds: float
    requests: int
    lanes: Sequence[str]


@dataclass(slots=True)
class Outcome:
    """The result of a run: counts by lane, vitals by process, findings."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    vitals: dict[str, list[Vitals]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        return sum(counts[REQUESTS] for lane, counts in self.counts.items() if lane not in ALONE)


class Run:
    """A run against a stack, or of the lanes that need none. Use `whole`."""

    def __init__(self, wishes: Wishes, stack: Stack | None, folder: Path, say: Say) -> None:
        self._wishes, self._stack, self._folder, self._say = wishes, stack, folder, say
        self._attacked: Sequence[Attacked] = stack.attacked if stack else ()
        self._logs = [LogReader(each.name, each.log) for each in self._attacked]
        self._oracle = stack.target.oracle() if stack else None
        self.outcome = Outcome()
        self._begun = time.monotonic()
        self._said = 0.0

    def whole(self) -> Outcome:
        """Run to the end, or until interrupted: the outcome is complete so far either way."""
        wishes, target = self._wishes, self._stack.target if self._stack else None
        limit = wishes.seconds if not wishes.requests else 7 * 24 * 3600.0
        with Crew(wishes.lanes, target, wishes.seed, limit, self._folder) as crew:
            try:
                warm = self._until(crew, _WARM) and self._measure(crew)
                if warm and self._until(crew, 1.0):
                    self._measure(crew)
                    self._judge_vitals()
                crew.stop()
            finally:
                self._take(crew)
                self.outcome.seconds = time.monotonic() - self._begun
        self._judge_lanes()
        return self.outcome

    def _until(self, crew: Crew, share: float) -> bool:
        """Let the lanes work until that share of the run; return whether all is well."""
        while self._done(crew) < share:
            crew.collect(0.2)
            self._read_logs()
            self._show(crew)
            for each in self._attacked:
                if (code := each.server.process.poll()) is not None:
                    self._find(f"{each.name} ended with code {code}")
                    return False
            if not crew.at_work:
                self._find("no lane is left")
                return False
        return True

    def _done(self, crew: Crew) -> float:
        if self._wishes.requests:
            sent = sum(m.counts[REQUESTS] for m in crew.members if m.lane not in ALONE)
            return sent / self._wishes.requests
        return (time.monotonic() - self._begun) / self._wishes.seconds

    def _measure(self, crew: Crew) -> bool:
        with crew.paused():
            end = time.monotonic() + _REST_SECONDS
            while (left := end - time.monotonic()) > 0:
                crew.collect(left)
            for each in self._attacked:
                self.outcome.vitals.setdefault(each.name, []).append(Vitals.of(each.pid))
        return True

    def _judge_vitals(self) -> None:
        long = time.monotonic() - self._begun
        growth = _GROWTH if long >= _LONG_SECONDS else _SHORT_GROWTH
        for name, (warm, end) in self.outcome.vitals.items():
            if end.rss_mib > warm.rss_mib * growth:
                self._find(f"{name} grew from {warm.rss_mib:.1f} to {end.rss_mib:.1f} MiB")
            if end.fds > warm.fds + _SPARE_FDS:
                self._find(f"open files of {name} grew from {warm.fds} to {end.fds}")

    def _judge_lanes(self) -> None:
        for lane, counts in self.outcome.counts.items():
            if not counts[REQUESTS]:
                self.outcome.findings.append(Finding(lane, "the lane did nothing"))

    def _read_logs(self) -> None:
        if self._oracle is not None:
            for log in self._logs:
                for wrong in log.wrong(self._oracle):
                    self._find(f"{log.name}: {wrong}")

    def _find(self, words: str) -> None:
        self.outcome.findings.append(Finding("service", words))

    def _take(self, crew: Crew) -> None:
        self._read_logs()
        self.outcome.counts = {member.lane: member.counts for member in crew.members}
        # First those that say what was sent.
        self.outcome.findings = crew.findings + self.outcome.findings

    def _show(self, crew: Crew) -> None:
        if time.monotonic() < self._said + _PROGRESS_SECONDS:
            return
        self._said = time.monotonic()
        sent = sum(m.counts[REQUESTS] for m in crew.members if m.lane not in ALONE)
        seconds = time.monotonic() - self._begun
        lanes = "  ".join(f"{m.lane} {m.counts[REQUESTS]:,}" for m in crew.members)
        memory = "  ".join(f"{e.name} {Vitals.of(e.pid).rss_mib:.0f} MiB" for e in self._attacked)
        found = len(crew.findings) + len(self.outcome.findings)
        self._say(
            f"{seconds:6.0f} s  {sent:,} requests, {sent / seconds:,.0f}/s  {lanes}"
            f"  {memory}  {found} findings"
        )
