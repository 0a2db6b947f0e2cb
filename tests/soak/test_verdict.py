"""Tests that a soak finds what leaks, and nothing else."""

from tests.soak.plot import draw
from tests.soak.samples import Sample
from tests.soak.verdict import judge

HOURS, MINUTES = 7200.0, 180.0


def samples(seconds: float, *, mib_an_hour: float = 0.0, descriptors: float = 0.0) -> list[Sample]:
    """Return those of a process that warms up, grows and breathes, and opens descriptors."""
    return [
        Sample(
            at=at,
            rss=100 + min(at, 45) * 0.1 + mib_an_hour * at / 3600 + at // 5 % 7 * 0.2,
            descriptors=50 + int(at // 5 % 3) + int(descriptors * at / seconds),
            threads=9,
            cpu=at / 10,
        )
        for at in range(0, int(seconds), 5)
    ]


def test_a_process_that_breathes_is_well() -> None:
    for seconds in (HOURS, MINUTES):
        assert judge(samples(seconds), seconds).problems == []


def test_two_megabytes_an_hour_are_found_in_two_hours() -> None:
    [problem] = judge(samples(HOURS, mib_an_hour=2), HOURS).problems
    assert problem == "memory gains 2.00 MiB an hour"
    assert judge(samples(HOURS, mib_an_hour=0.8), HOURS).problems == []


def test_three_minutes_find_large_leaks_and_say_that_they_are_too_short_for_others() -> None:
    assert judge(samples(MINUTES, mib_an_hour=50), MINUTES).problems == []
    found = judge(samples(MINUTES, mib_an_hour=400), MINUTES)
    [problem] = found.problems
    assert problem.startswith("memory has gained ")
    assert found.judged == "too short for leaks of less than 270 MiB an hour"


def test_descriptors_that_are_not_closed_are_found() -> None:
    for seconds in (HOURS, MINUTES):
        [problem] = judge(samples(seconds, descriptors=100), seconds).problems
        assert problem.startswith("descriptors went from ")


def test_the_plot_has_both_and_ends_where_the_run_does() -> None:
    drawn = draw(samples(HOURS), 1200)
    assert "resident memory, MiB: " in drawn
    assert "open file descriptors: " in drawn
    assert drawn.count(" after 120 minutes") == 2
    assert drawn.count("stroke-dasharray") == 2
