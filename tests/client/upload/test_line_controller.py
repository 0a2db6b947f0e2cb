"""Tests the controller of the line on simulated lines: no bytes, no clock."""

import pytest
from partway_client._upload.line_controller import FREE_SECONDS, LineController
from partway_client._upload.part_sizing import MIB

from bench.line.lines import KB, LINES, MB, SimulatedLine
from tests.client.upload.line_simulation import SimulatedUpload

STEADY = [line for line in LINES if line.reset_bytes is None]
SHARED = [line for line in STEADY if line.connection_rate >= line.rate]
SLOW = [line for line in SHARED if line.rate <= 4 * MB]
FEW_BYTES = 100 * KB


@pytest.mark.parametrize("line", STEADY, ids=lambda line: line.name)
def test_a_line_is_filled(line: SimulatedLine) -> None:
    """With limits for each connection, a long file: parts do not divide evenly among them."""
    if line.connection_rate < line.rate:
        line = SimulatedLine(
            line.name, line.rate, 4 * line.size_bytes, line.delay, line.connection_rate
        )

    upload = SimulatedUpload(line, 5 * MIB).run()

    assert upload.to_ideal < 1.3


@pytest.mark.parametrize("line", STEADY, ids=lambda line: line.name)
def test_little_is_sent_twice(line: SimulatedLine) -> None:
    upload = SimulatedUpload(line, 5 * MIB).run()

    assert upload.resent_bytes < 0.05 * line.size_bytes


@pytest.mark.parametrize("part_mib", [5, 16])
@pytest.mark.parametrize("line", SLOW, ids=lambda line: line.name)
def test_a_kill_on_a_slow_line_loses_about_one_part(line: SimulatedLine, part_mib: int) -> None:
    """On a line that stands still, the part under way leaves its place to one other."""
    upload = SimulatedUpload(line, part_mib * MIB).run()

    parts = 2.1 if line.stall_seconds else 1.1
    assert upload.most_at_risk < parts * part_mib * MIB + FREE_SECONDS * line.rate


def test_a_slow_line_has_one_part_at_a_time_after_a_trial() -> None:
    line = SimulatedLine("slow", 1 * MB, 60 * MB)
    controller = LineController()
    SimulatedUpload(line, 5 * MIB, controller=controller).run()

    first = controller.start(1000.0, 5 * MIB)
    controller.move(1000.1, first, 1)

    assert not controller.admits(1000.2, 5 * MIB)


def test_a_fast_line_has_all_parts_that_are_allowed() -> None:
    upload = SimulatedUpload(SimulatedLine("fast", 125 * MB, 1_500 * MB), 16 * MIB, most=6).run()

    assert upload.most_under_way == 6


def test_a_limit_for_each_connection_is_met_by_more_of_them() -> None:
    line = SimulatedLine("limited", 8 * MB, 400 * MB, connection_rate=1 * MB)

    upload = SimulatedUpload(line, 5 * MIB).run()

    assert upload.most_under_way == 8
    assert upload.to_ideal < 1.2


def test_small_parts_start_together_before_anything_is_known() -> None:
    controller = LineController()

    for _ in range(8):
        assert controller.admits(0.0, 64 * KB)
        controller.start(0.0, 64 * KB)


def test_a_large_part_starts_alone() -> None:
    controller = LineController()
    assert controller.admits(0.0, 16 * MIB)
    controller.start(0.0, 16 * MIB)

    assert not controller.admits(0.1, 16 * MIB)


def test_the_next_part_starts_while_an_answer_is_awaited_but_not_many() -> None:
    controller = LineController()
    first = controller.start(0.0, 16 * MIB)
    controller.begin(0.0, first)
    controller.move(10.0, first, 16 * MIB)
    controller.await_answer(10.0, first)
    assert controller.admits(10.0, 16 * MIB)

    second = controller.start(10.0, 16 * MIB)
    controller.await_answer(11.0, second)

    assert not controller.admits(11.0, 16 * MIB)


def test_a_part_that_stands_still_leaves_its_place_to_one_other() -> None:
    controller = LineController()
    first = controller.start(0.0, 16 * MIB)
    controller.begin(0.0, first)
    assert not controller.admits(4.9, 16 * MIB)
    assert controller.admits(5.1, 16 * MIB)

    second = controller.start(5.1, 16 * MIB)
    controller.begin(5.1, second)

    assert not controller.admits(20.0, 16 * MIB)


def test_a_part_that_waits_for_its_url_does_not_hold_up_the_others() -> None:
    controller = LineController()
    for _ in range(3):
        controller.start(0.0, 16 * MIB)
    assert not controller.admits(4.9, 16 * MIB)

    assert controller.admits(5.1, 16 * MIB)


def test_a_loss_halves_what_is_under_way_and_success_restores_it() -> None:
    controller = LineController()
    flights = [controller.start(0.0, FEW_BYTES) for _ in range(8)]

    controller.end(1.0, flights.pop(), done=False, lost=True)

    assert not controller.admits(1.0, FEW_BYTES)
    for flight in flights[:4]:
        controller.end(1.0, flight, done=False, lost=False)
    assert controller.admits(1.0, FEW_BYTES)
    controller.start(1.0, FEW_BYTES)
    assert not controller.admits(1.0, FEW_BYTES)
    controller.end(1.1, flights[4], done=True, lost=False)
    controller.start(1.1, FEW_BYTES)
    assert controller.admits(1.1, FEW_BYTES)


def test_losses_at_the_same_time_are_one() -> None:
    controller = LineController()
    flights = [controller.start(0.0, FEW_BYTES) for _ in range(8)]

    for flight in flights[:4]:
        controller.end(1.0, flight, done=False, lost=True)

    for flight in flights[4:7]:
        controller.end(1.0, flight, done=False, lost=False)
    assert controller.admits(1.0, FEW_BYTES)
    controller.start(1.0, FEW_BYTES)
    controller.start(1.0, FEW_BYTES)
    controller.start(1.0, FEW_BYTES)
    assert not controller.admits(1.0, FEW_BYTES)


def test_after_a_loss_parts_have_connections_of_their_own() -> None:
    controller = LineController()
    first = controller.start(0.0, FEW_BYTES)
    assert not first.fresh
    controller.end(1.0, first, done=False, lost=True)

    assert controller.start(1.0, FEW_BYTES).fresh
