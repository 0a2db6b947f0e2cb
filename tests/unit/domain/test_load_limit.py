"""Tests how the number of calls in work follows the delay of the event loop."""

from partway_server.domain.load_limit import LATE_SECONDS, LEAST, LoadLimit


def observed(*observations: tuple[float, float], wanted: int = 512) -> int:
    """Return a limit of 512 that has observed each of these a hundred times."""
    limit = LoadLimit(512)
    for late_seconds, busy in observations:
        for _ in range(100):
            limit.observe(late_seconds, busy, wanted)
    return int(limit)


def test_it_starts_at_the_maximum() -> None:
    assert int(LoadLimit(512)) == 512


def test_it_falls_fast_while_the_loop_is_late_and_not_below_the_least() -> None:
    limit = LoadLimit(512)
    seen = []
    for _ in range(100):
        limit.observe(2 * LATE_SECONDS, 1.0, wanted=512)
        seen.append(int(limit))
    assert seen == sorted(seen, reverse=True)
    assert seen[24] < 40 and seen[-1] == LEAST


def test_it_rises_to_the_maximum_while_the_loop_is_not_late() -> None:
    """As where calls wait for slow storage, and the CPU has nothing to do."""
    assert observed((1.0, 1.0), (0.0, 1.0)) == 512


def test_it_does_not_fall_while_others_take_the_cpu() -> None:
    assert observed((1.0, 0.5)) == 512


def test_it_does_not_rise_beyond_twice_what_is_used() -> None:
    assert 128 <= observed((1.0, 1.0), (0.0, 1.0), wanted=64) < 140


def test_one_delay_costs_little() -> None:
    limit = LoadLimit(512)
    limit.observe(1.0, 1.0, wanted=512)
    assert int(limit) > 450


def test_a_maximum_below_the_least_stays() -> None:
    limit = LoadLimit(1)
    limit.observe(1.0, 1.0, wanted=512)
    assert int(limit) == 1
    limit.observe(0.0, 1.0, wanted=512)
    assert int(limit) == 1
