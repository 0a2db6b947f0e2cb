"""Tests what is shown of a transfer: rate, time left, and what stands still."""

import pytest
from partway_client.cli.files_progress import FilesLines, FilesMeter
from partway_client.cli.progress_bar import ProgressLines
from partway_client.cli.recent_rate import RecentRate
from partway_client.models import Phase, Progress

MB = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def progress(bytes_done: int, phase: Phase = Phase.SENDING, total: int = 100 * MB) -> Progress:
    return Progress(phase, bytes_done, total, 0, 0, 1)


def test_the_rate_is_that_of_the_last_seconds(clock: Clock) -> None:
    rate = RecentRate(clock)
    for second in range(1, 61):
        clock.now += 1
        # Ten times slower in the second half.
        rate.moved(second * MB if second <= 30 else 30 * MB + (second - 30) * MB // 10)
    assert rate.words(53 * MB) == "100.0 kB/s, 3 min left"


def test_nothing_is_left_to_say_of_what_is_done(clock: Clock) -> None:
    rate = RecentRate(clock)
    clock.now += 1
    rate.moved(MB)
    assert rate.words(MB) == "1.0 MB/s"
    assert rate.words(0) == "1.0 MB/s"


@pytest.mark.parametrize(
    ("total", "left"), [(40 * MB, "39 s"), (601 * MB, "10 min"), (36_001 * MB, "10 h")]
)
def test_the_time_left_is_as_rough_as_it_is_known(clock: Clock, total: int, left: str) -> None:
    rate = RecentRate(clock)
    clock.now += 1
    rate.moved(MB)
    assert rate.words(total) == f"1.0 MB/s, {left} left"


def test_what_stands_still_is_said_until_it_moves(clock: Clock) -> None:
    rate = RecentRate(clock)
    clock.now += 1
    rate.moved(MB)
    clock.now += 12
    assert rate.words(2 * MB) == "nothing moved for 12 s"
    rate.moved(MB + 1)
    assert rate.words(2 * MB) == "0 bytes/s"


def test_what_must_be_sent_again_is_no_negative_rate(clock: Clock) -> None:
    rate = RecentRate(clock)
    rate.restart(10 * MB)
    clock.now += 1
    rate.moved(5 * MB)
    assert rate.words(20 * MB) == "0 bytes/s"


def test_what_was_there_before_is_no_part_of_the_rate(clock: Clock) -> None:
    lines: list[str] = []
    shown = ProgressLines(name="movie", write=lines.append, monotonic=clock)
    shown.show(progress(50 * MB))
    clock.now += 10
    shown.show(progress(60 * MB))
    assert lines == [
        "movie: sending 50.0 MB",
        "movie: 60%, 60.0 MB of 100.0 MB, 1.0 MB/s, 40 s left",
    ]


def test_a_line_comes_every_ten_seconds_though_nothing_is_reported(clock: Clock) -> None:
    lines: list[str] = []
    shown = ProgressLines(name="movie", write=lines.append, monotonic=clock)
    shown.show(progress(0))
    for _ in range(25):
        clock.now += 1
        shown.tick()
    assert lines[1:] == [
        "movie: 0%, 0 bytes of 100.0 MB, nothing moved for 10 s",
        "movie: 0%, 0 bytes of 100.0 MB, nothing moved for 20 s",
    ]


def test_what_takes_long_without_bytes_is_named(clock: Clock) -> None:
    lines: list[str] = []
    shown = ProgressLines(name="movie", write=lines.append, monotonic=clock)
    shown.show(progress(100 * MB, Phase.COMPLETING))
    clock.now += 10
    shown.tick()
    assert lines == ["movie: completing", "movie: completing, for 10 s now"]


def test_the_progress_of_all_files_is_one(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    meter = FilesMeter(3, 300)
    meter.show = FilesLines(meter, clock).show
    with meter.file("one") as one, meter.file("two") as two:
        one(progress(100))
        two(progress(40))
        assert capsys.readouterr().err == ""
        clock.now += 10
        two(progress(50))
    assert capsys.readouterr().err == (
        "0 of 3 files, 50%, 150 bytes of 300 bytes, 15 bytes/s, 10 s left\n"
    )
    assert (meter.files_done, meter.bytes_done) == (2, 150)
