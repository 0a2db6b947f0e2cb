"""The event audit after failovers finds an end that no event announces."""

import pytest

from tests.chaos.failover_event_audit import unheard

REPORTED = {
    "open": {"upload.initialized"},
    "done": {"upload.initialized", "upload.completed"},
    "late": {"upload.aborted", "upload.completed"},
    "gone": {"upload.failed"},
}


@pytest.mark.parametrize("ends", [{"done": True, "late": True, "gone": False}, {"late": False}])
def test_an_announced_end_passes(ends: dict[str, bool]) -> None:
    assert list(unheard(ends, REPORTED)) == []


@pytest.mark.parametrize(
    ("key", "completed"), [("open", True), ("open", False), ("gone", True), ("another", False)]
)
def test_an_unannounced_end_is_found(key: str, completed: bool) -> None:
    assert len(list(unheard({key: completed}, REPORTED))) == 1
