"""The event audit finds planted violations and passes what is promised."""

import pytest

from tests.chaos.bucket_reader import Found, Holdings
from tests.chaos.consumer_process import Heard
from tests.chaos.event_audit import judge_deliveries, judge_events
from tests.chaos.ledger import NEVER, Answer, Ledger, Sending, Story
from tests.chaos.upload_audit import Kind

KEY = "default/2026/01/01/sid-token/u000001.bin"
THERE = Holdings({KEY: Found(4, "e", "")})
GONE = Holdings()

OPENED, DONE, ABORTED = "upload.initialized", "upload.completed", "upload.aborted"


def heard(kind: str, place: int, *, id: str = "", etag: str = "e", key: str = KEY) -> Heard:
    return Heard(float(place), (place, 0), id or kind, kind, "sid", key, etag, 4)


def judged(
    state: str,
    events: list[Heard],
    holdings: Holdings,
    *forgets: tuple[float, float],
    removable: float = NEVER,
) -> list[Kind]:
    story = Story(1, "plain", "u000001.bin", 4, "", 0.0, key=KEY, removable=removable)
    story.answers = [Answer(3.0, 3.1, "Complete", state, key=KEY)]
    story.sendings = [Sending(1, True, 1.0, 2.0, 200)]
    ledger = Ledger(0.0, [story], list(forgets))
    return [violation.kind for violation in judge_events(ledger, holdings, events)]


def test_what_is_promised_is_let_pass() -> None:
    reported = [heard(OPENED, 1), heard(DONE, 2)]
    assert judged("COMPLETED", reported, THERE) == []
    assert judged("COMPLETED", [reported[1], reported[0], reported[1]], THERE) == []
    assert judged("ABORTED", [heard(OPENED, 1), heard(ABORTED, 2)], GONE) == []
    assert judged("ACTIVE", [], GONE) == []
    late = [heard(OPENED, 1), heard(ABORTED, 2), heard(DONE, 3)]
    assert judged("COMPLETED", late, THERE) == []


LOST = {
    "a completion": ("COMPLETED", [heard(OPENED, 1)], THERE),
    "a completion that was announced as another end": (
        "COMPLETED",
        [heard(OPENED, 1), heard(ABORTED, 2)],
        THERE,
    ),
    "an abort": ("ABORTED", [heard(OPENED, 1)], GONE),
    "a beginning": ("COMPLETED", [heard(DONE, 2)], THERE),
}
FALSE = {
    "no object": ([heard(OPENED, 1), heard(DONE, 2)], GONE),
    "another object": ([heard(OPENED, 1), heard(DONE, 2, etag="f")], THERE),
    "an end before the beginning": ([heard(DONE, 1), heard(OPENED, 2)], THERE),
    "an end after the completion": (
        [heard(OPENED, 1), heard(DONE, 2), heard(ABORTED, 3)],
        THERE,
    ),
    "two ids": ([heard(OPENED, 1), heard(DONE, 2), heard(DONE, 3, id="x")], THERE),
    "one id of two changes": ([heard(OPENED, 1), heard(DONE, 2, id=OPENED)], THERE),
}


@pytest.mark.parametrize(("state", "events", "holdings"), LOST.values(), ids=LOST)
def test_an_unannounced_change_is_found(
    state: str, events: list[Heard], holdings: Holdings
) -> None:
    assert judged(state, events, holdings) == [Kind.EVENT_LOST]


@pytest.mark.parametrize(("events", "holdings"), FALSE.values(), ids=FALSE)
def test_what_is_untrue_is_found(events: list[Heard], holdings: Holdings) -> None:
    assert judged("COMPLETED", events, holdings) == [Kind.EVENT_FALSE]


def test_a_loss_of_redis_excuses_no_more_than_a_beginning() -> None:
    assert judged("COMPLETED", [heard(DONE, 2)], THERE, (1.0, 1.5)) == []
    assert judged("COMPLETED", [heard(OPENED, 1)], THERE, (1.0, 1.5)) == [Kind.EVENT_LOST]
    assert judged("COMPLETED", [], GONE, (1.0, 1.5)) == [Kind.EVENT_LOST]


def delivered(state: str, *events: Heard) -> list[Kind]:
    story = Story(1, "plain", "u000001.bin", 4, "", 0.0, key=KEY)
    story.answers = [Answer(3.0, 3.1, "Complete", state, key=KEY)]
    ledger = Ledger(0.0, [story])
    reported = [heard(OPENED, 1), heard(DONE, 2)]
    return [each.kind for each in judge_deliveries(ledger, [story], events, reported)]


def test_a_webhook_is_held_to_the_same() -> None:
    first, last = heard(OPENED, 1), heard(DONE, 2)
    assert delivered("COMPLETED", first, last, last) == []
    assert delivered("COMPLETED", first) == [Kind.EVENT_LOST]
    assert delivered("COMPLETED", heard(OPENED, 2), heard(DONE, 1)) == [Kind.EVENT_FALSE]
    assert delivered("COMPLETED", first, heard(DONE, 2, id="x")) == [Kind.EVENT_FALSE]


def test_what_compose_removed_may_be_gone_and_its_end_only_if_redis_lost_it() -> None:
    reported, later = [heard(OPENED, 1), heard(DONE, 2)], heard("upload.failed", 4)
    assert judged("COMPLETED", reported, GONE, removable=3.0) == []
    assert judged("COMPLETED", reported[:1], GONE, removable=3.0) == [Kind.EVENT_LOST]
    assert judged("COMPLETED", reported[:1], GONE, (2.0, 3.5), removable=3.0) == []
    assert judged("COMPLETED", [*reported, later], GONE, removable=3.0) == [Kind.EVENT_FALSE]
    assert judged("COMPLETED", [*reported, later], GONE, (2.0, 3.5), removable=3.0) == []
