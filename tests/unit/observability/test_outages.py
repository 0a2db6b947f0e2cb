"""Tests when an outage is logged, and with what, by a clock of the test."""

import logging

import pytest
from partway_server.observability.outages import Dependency, Outages

PATIENT = frozenset({"Complete"})


class Watched:
    """A dependency, the time, and what was to be logged."""

    def __init__(self) -> None:
        self.dependency, self.now, self.lines = Dependency("storage (a)", PATIENT), 100.0, [""]
        self.lines.clear()
        self._calls = 0

    def call(self, failure: str = "", seconds: float = 0.0) -> None:
        """Make a call that takes so long."""
        self._calls += 1
        self.dependency.start(self._calls, "Head", self.now)
        self.wait(seconds)
        self.dependency.end(self._calls, failure, self.now)

    def wait(self, seconds: float) -> None:
        """Let time pass, and look each second."""
        for _ in range(int(seconds)):
            self.now += 1
            self.look()

    def look(self) -> None:
        if (line := self.dependency.look(self.now)) is not None:
            self.lines.append(f"{'WARN' if line.warning else 'INFO'} {line.text}")


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_while_all_is_well_nothing_is_logged(watched: Watched) -> None:
    for _ in range(200):
        watched.call(seconds=1)
    assert watched.lines == []


def test_a_failure_is_logged_within_a_second_and_its_end_after_ten(watched: Watched) -> None:
    watched.call()
    for _ in range(3):
        watched.call("Head SlowDown")
    watched.wait(1)
    assert watched.lines == [
        "WARN storage (a) is in trouble: 3 calls failed (Head SlowDown: 3); 1 call went well"
    ]
    watched.call()
    watched.wait(9)
    assert len(watched.lines) == 2
    assert watched.lines[1] == (
        "INFO storage (a) is well again: in 0 s 3 calls failed (Head SlowDown: 3) and 1 call went"
        " well; the longest took 0.0 s"
    )
    watched.wait(1000)
    assert len(watched.lines) == 2


def test_calls_that_hang_are_logged_before_they_end(watched: Watched) -> None:
    for call in range(2):
        watched.dependency.start(f"hangs {call}", "Head", watched.now)
    watched.wait(4)
    assert watched.lines == []
    watched.wait(1)
    assert watched.lines == [
        "WARN storage (a) is in trouble: 2 calls under way for 5 s or more, the longest for 5.0 s"
        " (Head: 2); 0 calls went well"
    ]
    watched.wait(7)
    for call in range(2):
        watched.dependency.end(f"hangs {call}", "", watched.now)
    watched.wait(20)
    assert len(watched.lines) == 2
    assert watched.lines[1].startswith("INFO storage (a) is well again: in 7 s 0 calls failed and")
    assert watched.lines[1].endswith("2 calls went well; the longest took 12.0 s")


def test_a_long_outage_has_one_warning_a_minute(watched: Watched) -> None:
    for _ in range(300):
        watched.call("Head timeout")
        watched.wait(1)
    assert len(watched.lines) == 5
    assert all(line.startswith("WARN") for line in watched.lines)
    assert "60 calls failed (Head timeout: 60)" in watched.lines[2]
    assert watched.lines[2].endswith("; it has lasted for 121 s")


def test_what_comes_and_goes_is_one_outage(watched: Watched) -> None:
    for second in range(120):
        watched.call("Head SlowDown" if second % 9 == 0 else "")
        watched.wait(1)
    assert [line[:4] for line in watched.lines] == ["WARN", "WARN"]


def test_a_second_outage_within_the_minute_has_no_warning_at_once(watched: Watched) -> None:
    for _ in range(2):
        watched.call("Head SlowDown")
        watched.call()
        watched.wait(20)
    assert [line[:4] for line in watched.lines] == ["WARN", "INFO", "INFO"]


def test_silence_is_no_end_and_no_news(watched: Watched) -> None:
    watched.call("Head connection")
    watched.wait(300)
    assert len(watched.lines) == 1
    watched.call()
    watched.wait(1)
    assert len(watched.lines) == 2


def test_patient_operations_never_hang_but_may_fail(watched: Watched) -> None:
    watched.dependency.start("long", "Complete", watched.now)
    watched.wait(600)
    assert watched.lines == []
    watched.dependency.end("long", "Complete timeout", watched.now)
    watched.wait(1)
    assert "1 call failed (Complete timeout: 1)" in watched.lines[0]


def test_a_call_that_is_given_up_at_once_tells_nothing(watched: Watched) -> None:
    watched.dependency.start("gone", "Head", watched.now)
    watched.dependency.give_up("gone")
    watched.wait(60)
    assert watched.lines == []


def test_kinds_of_failures_are_bounded(watched: Watched) -> None:
    for number in range(100):
        watched.call(f"Head Code{number}")
    watched.look()
    assert "100 calls failed" in watched.lines[0] and "others: 80" in watched.lines[0]


def test_a_process_that_stood_still_blames_no_one(caplog: pytest.LogCaptureFixture) -> None:
    time = [0.0]
    outages = Outages(now=lambda: time[0])
    outages.of("Redis").start("call", "claim", 0.0)
    time[0] = 60.0
    outages.look()
    outages.of("Redis").end("call", "", 60.0)
    time[0] = 61.0
    outages.look()
    assert caplog.messages == []


async def test_what_is_to_be_said_is_logged_with_its_fields(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outages = Outages(now=lambda: 7.0)
    outages.of("Redis").end("call", "claim timeout", 7.0)
    assert outages.of("Redis") is outages.of("Redis")
    with caplog.at_level(logging.INFO):
        outages.look()
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert {"dependency": "Redis", "failed_calls": 1}.items() <= vars(record).items()
