"""Reports a run, for a person and for a program."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.failpoints import every_failpoint
from tests.chaos.ledger import ABORTED, COMPLETED, NEVER, Ledger, moments
from tests.chaos.run import Outcome
from tests.chaos.upload_audit import EXCUSED, Kind, Violation

_STORIES = 10
_LOG_LINES = 60
_URL = re.compile(r"https?://\S+")
_REDIS_KILLS = ("redis killed", "redis lost a second")
_ELSEWHERE = ("strikes", "failpoints_not_hit")
"""Shown in separate parts of the table."""


def figures(outcome: Outcome, *, seed: str, seconds: float) -> dict[str, Any]:
    """Return everything that was counted."""
    ledger, deaths, strikes = outcome.ledger, outcome.fleet.deaths, outcome.strikes
    counts = {kind: sum(v.kind is kind for v in outcome.violations) for kind in Kind}
    reachable = every_failpoint()
    return {
        "uploads": len(ledger.stories),
        "kills": deaths.kills,
        **{str(kind): counts[kind] for kind in Kind},
        "seed": seed,
        "seconds": seconds,
        "seconds_in_all": round(outcome.seconds, 1),
        "completed": ledger.count(COMPLETED),
        "aborted": ledger.count(ABORTED),
        "abandoned": sum(story.abandoned for story in ledger.stories),
        "answers": sum(len(story.answers) for story in ledger.stories),
        "puts": sum(len(story.sendings) for story in ledger.stories),
        "parts_via_service": sum(s.by_service for story in ledger.stories for s in story.sendings),
        "watch_messages": sum(a.verb == "Watch" for story in ledger.stories for a in story.answers),
        "composed": sum(bool(s.sources and s.said(COMPLETED)) for s in ledger.stories),
        "sources_removed": sum(
            bool(
                s.removable < NEVER and s.said(COMPLETED) and s.key not in outcome.holdings.objects
            )
            for s in ledger.stories
        ),
        "bytes_read": sum(found.size_bytes for found in outcome.holdings.objects.values()),
        "random_kills": deaths.killed,
        "failpoint_kills": deaths.failpoints.total(),
        "failpoints": len(reachable),
        "failpoints_hit": len(deaths.failpoints),
        "failpoints_not_hit": [str(p) for p in reachable if p not in deaths.failpoints],
        "terminations": deaths.terminated,
        "pauses": deaths.paused,
        "failed_starts": deaths.failed_starts,
        "odd_exits": deaths.odd,
        "client_kills": ledger.client_kills,
        "redis_kills": sum(n for name, n in strikes.items() if name in _REDIS_KILLS),
        "events": len(outcome.heard),
        "events_twice": len(outcome.heard) - len({event.id for event in outcome.heard}),
        "delivered": len(outcome.delivered),
        "consumer_kills": strikes.get("consumer killed", 0),
        "flushes": strikes.get("redis flushed", 0),
        "strikes": dict(strikes),
        "redis_keys_left": outcome.keys_left,
    }


def failed(reported: Mapping[str, Any]) -> bool:
    """Return whether a run with these figures broke a promise."""
    return any(reported[kind] for kind in Kind if kind not in EXCUSED) or bool(
        reported["odd_exits"]
    )


def table(reported: Mapping[str, Any], outcome: Outcome) -> str:
    """Format the figures and the deaths by failpoint."""
    lines = [f"{name:28} {_plain(reported[name])}" for name in reported if name not in _ELSEWHERE]
    lines += ["", "deaths by failpoint"]
    hits = outcome.fleet.deaths.failpoints
    lines += [f"  {str(point):34} {hits[point]:5}" for point in every_failpoint()]
    lines += ["", "other harm"]
    lines += [f"  {name:34} {count:5}" for name, count in sorted(outcome.strikes.items())]
    return "\n".join(lines)


def stories(violations: Sequence[Violation], ledger: Ledger, logs: Sequence[Path]) -> Iterator[str]:
    """Yield, for each violation that counts, what happened to its upload, without URLs.

    And for a composed object that no caller knows of, though it is excused: it is to be rare.
    """
    reported = [v for v in violations if v.kind not in EXCUSED or v.kind is Kind.UNREPORTED]
    for violation in reported[:_STORIES]:
        yield _headline(violation)
        if violation.story is not None:
            yield from _of_story(violation, ledger, logs)


def findings(violations: Sequence[Violation]) -> Iterator[str]:
    """Yield a line for each violation that counts."""
    counting = [v for v in violations if v.kind not in EXCUSED]
    yield from map(_headline, counting[:_STORIES])
    if len(counting) > _STORIES:
        yield f"and {len(counting) - _STORIES} more"


def _headline(violation: Violation) -> str:
    story = violation.story
    whose = f" (upload {story.number}, {story.kind})" if story is not None else ""
    return f"{violation.kind}: {violation.words}{whose}"


def _of_story(violation: Violation, ledger: Ledger, logs: Sequence[Path]) -> Iterator[str]:
    story = violation.story
    assert story is not None
    yield (
        f"  upload {story.number} ({story.kind}), sid {story.sid or 'unknown'}, {story.size_bytes}"
        f" bytes in {story.part_count} parts, {'one PUT' if story.single else 'multipart'}"
    )
    reported = list(moments(story))
    ends = [story.began, *(at for at, _ in reported)]
    around = [(at, f"-- {name}") for at, name in ledger.strikes if min(ends) <= at <= max(ends)]
    for at, words in sorted([*reported, *around]):
        yield f"  {at - ledger.began:9.3f} s  {words}"
    for line in _logged(story.sid, logs):
        yield f"  | {line}"


def _logged(sid: str, logs: Sequence[Path]) -> list[str]:
    if not sid:
        return []
    found = [
        f"{_URL.sub('URL', line.rstrip())}"
        for log in logs
        for line in log.read_text("utf-8", "replace").splitlines()
        if sid in line
    ]
    return sorted(found)[:_LOG_LINES]


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value)


def wall_clock(ledger: Ledger) -> str:
    """Format when the run began, so that a story's seconds can be found in the logs."""
    began = time.time() - (time.monotonic() - ledger.began)
    return time.strftime("%H:%M:%S", time.localtime(began)) + f",{int(began % 1 * 1000):03d}"
