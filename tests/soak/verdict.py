"""Judges the samples of a soak. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.soak.samples import Sample

MIB_PER_HOUR = 1.0
LONG_SECONDS = 3600.0
"""A shorter run cannot tell a megabyte an hour from how Python's heap settles."""

SHORT_RISE_MIB = 6.0
"""What a shorter run may gain between the first and the last third of its samples."""

MORE_DESCRIPTORS = 8
"""Connections come and go with the calls in flight."""

_MOST_WARM_UP_SECONDS = 1200.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the samples say, of those after `begin`, when caches and pools had filled."""

    begin: float
    slope: float
    rise: float
    descriptors: tuple[float, float]
    judged: str
    problems: Sequence[str]

    def summary(self) -> dict[str, Any]:
        """Return the figures, for a person to read."""
        return {
            "judged after, seconds": round(self.begin),
            "memory, MiB an hour": round(self.slope, 2),
            "memory, MiB from the first to the last third": round(self.rise, 2),
            "descriptors, first and last third": self.descriptors,
            "judged": self.judged,
        }


def judge(samples: Sequence[Sample], seconds: float) -> Verdict:
    """Return what the samples say of a run of that length."""
    begin = min(seconds / 3, _MOST_WARM_UP_SECONDS)
    later = [each for each in samples if each.at >= begin]
    third = max(len(later) // 3, 1)
    first, last = later[:third], later[-third:]
    slope = _slope(later) * 3600
    rise = _middle([s.rss for s in last]) - _middle([s.rss for s in first])
    descriptors = tuple(_middle([s.descriptors for s in part]) for part in (first, last))
    problems = []
    if seconds >= LONG_SECONDS:
        judged = f"memory must gain less than {MIB_PER_HOUR:g} MiB an hour"
        if slope >= MIB_PER_HOUR:
            problems.append(f"memory gains {slope:.2f} MiB an hour")
    else:
        # The middles of the two thirds are two thirds of the time apart.
        least = SHORT_RISE_MIB / ((seconds - begin) * 2 / 3) * 3600
        judged = f"too short for leaks of less than {least:.0f} MiB an hour"
        if rise >= SHORT_RISE_MIB:
            problems.append(f"memory has gained {rise:.1f} MiB")
    if descriptors[1] - descriptors[0] > MORE_DESCRIPTORS:
        problems.append(f"descriptors went from {descriptors[0]:g} to {descriptors[1]:g}")
    return Verdict(begin, slope, rise, (descriptors[0], descriptors[1]), judged, problems)


def _slope(samples: Sequence[Sample]) -> float:
    """Return the slope of memory over time, by least squares, in MiB a second."""
    if len(samples) < 2:
        return 0.0
    fit = statistics.linear_regression([s.at for s in samples], [s.rss for s in samples])
    return fit.slope


def _middle(values: Sequence[float]) -> float:
    return statistics.median(values)
