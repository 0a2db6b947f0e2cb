"""Reports a run, for a person and for a program."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.crew import LANES
from tests.fuzz.finding import Finding
from tests.fuzz.lane import REQUESTS
from tests.fuzz.run import Outcome

_SHOWN = 30


def figures(outcome: Outcome, *, seed: int) -> dict[str, Any]:
    """Return everything that was counted."""
    return {
        "seed": seed,
        "seconds": round(outcome.seconds, 1),
        "requests": outcome.requests,
        "lanes": {lane: dict(sorted(counts.items())) for lane, counts in outcome.counts.items()},
        "memory_mib": {
            name: [round(each.rss_mib, 1) for each in vitals]
            for name, vitals in outcome.vitals.items()
        },
        "open_files": {
            name: [each.fds for each in vitals] for name, vitals in outcome.vitals.items()
        },
        "findings": len(outcome.findings),
    }


def table(outcome: Outcome) -> str:
    """Format the figures: a line for each lane, then the vitals."""
    lines = [f"{'lane':11} {'requests':>10}  answers"]
    for lane, counts in outcome.counts.items():
        lines.append(f"{lane:11} {counts[REQUESTS]:10,}  {_answers(counts)}")
        lines.append(f"{'':11} {'':10}  ({LANES[lane]})")
    for name, vitals in outcome.vitals.items():
        memory = " -> ".join(f"{each.rss_mib:.1f} MiB" for each in vitals)
        files = " -> ".join(str(each.fds) for each in vitals)
        lines.append(f"{name}: after a fifth of the run, and at the end: {memory}, {files} files")
    lines.append(
        f"{outcome.requests:,} requests to the service in {outcome.seconds:.0f} s,"
        f" {len(outcome.findings)} findings"
    )
    return "\n".join(lines)


def _answers(counts: Counter[str]) -> str:
    rest = [(what, n) for what, n in counts.most_common() if what != REQUESTS]
    return ", ".join(f"{what} {n:,}" for what, n in rest)


def unlike(findings: Sequence[Finding]) -> list[tuple[Finding, int]]:
    """Return findings that differ in lane or words, each with how often it came."""
    times = Counter((each.lane, each.words) for each in findings)
    first: dict[tuple[str, str], Finding] = {}
    for each in findings:
        first.setdefault((each.lane, each.words), each)
    return [(each, times[key]) for key, each in first.items()]


def stories(findings: Sequence[Finding], folder: Path) -> Iterator[str]:
    """Save each finding, and yield a line for it that says how to see it again."""
    found = unlike(findings)
    for number, (each, times) in enumerate(found[:_SHOWN], 1):
        yield f"{each.lane}: {each.words}" + (f" ({times} times)" if times > 1 else "")
        if each.again:
            path = folder / f"finding-{number}.json"
            each.save(path)
            yield f"    again: .venv/bin/python -m tests.fuzz --again {path}"
    if len(found) > _SHOWN:
        yield f"and {len(found) - _SHOWN} more"
