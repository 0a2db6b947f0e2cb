"""Tests what a sweep decides about each thing that storage lists: the whole table."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from partway_server.cleanup.expiry import last_deadline, next_step
from partway_server.cleanup.orphans import CREATE_UNDER_WAY, SweepScope, decide, scopes_of
from partway_server.cleanup.report import Action
from partway_server.domain.key_marks import KeyMark
from partway_server.domain.policy import Policy
from partway_server.domain.upload import AbortReason, State, epoch_at
from partway_server.storage.base import UnfinishedUpload
from partway_server.workflow.initialize import OPENING_LEASES

from tests.support.clock import START
from tests.support.uploads import an_upload

GRACE = timedelta(hours=2)
GRANT = an_upload().grant
MARK = KeyMark(GRANT.sid, GRANT.write_token[:8], GRANT.expire_time)
OWN = UnfinishedUpload(GRANT.multipart_id, GRANT.key, START)
OTHER = UnfinishedUpload("another", GRANT.key, START)
SECOND = timedelta(seconds=1)
LONG_AFTER = GRANT.expire_time + timedelta(days=365)

LEAVE, ABORT = Action.LEAVE, Action.ABORT


def decided(
    state: State | None,
    listed: UnfinishedUpload = OWN,
    *,
    mark: KeyMark | None = MARK,
    now: datetime = LONG_AFTER,
) -> Action:
    row = None if state is None else an_upload(state)
    action, reason = decide(mark, listed, row, now, GRACE)
    assert reason
    return action


@pytest.mark.parametrize("state", [None, *State])
@pytest.mark.parametrize("listed", [OWN, OTHER])
def test_what_has_no_mark_is_left_for_ever(state: State | None, listed: UnfinishedUpload) -> None:
    assert decided(state, listed, mark=None) is LEAVE


def test_what_has_no_row_is_left_until_its_deadline_and_the_grace_are_over() -> None:
    for now in (START, MARK.expire_time, MARK.expire_time + GRACE - SECOND):
        assert decided(None, now=now) is LEAVE
    assert decided(None, now=MARK.expire_time + GRACE) is ABORT
    assert decided(None) is ABORT


@pytest.mark.parametrize(
    ("state", "of_its_own", "of_another"),
    [
        (State.INITIATING, LEAVE, LEAVE),
        (State.ACTIVE, LEAVE, ABORT),
        (State.COMPLETING, LEAVE, LEAVE),
        (State.COMPLETED, LEAVE, ABORT),
        (State.ABORTING, LEAVE, LEAVE),
        (State.ABORTED, ABORT, ABORT),
    ],
)
def test_with_a_row_the_state_decides(state: State, of_its_own: Action, of_another: Action) -> None:
    assert decided(state, OWN) is of_its_own
    assert decided(state, OTHER) is of_another


def test_a_stray_beside_an_active_upload_is_left_while_a_create_may_be_under_way() -> None:
    assert decided(State.ACTIVE, OTHER, now=START + CREATE_UNDER_WAY - SECOND) is LEAVE
    assert decided(State.ACTIVE, OTHER, now=START + CREATE_UNDER_WAY) is ABORT
    assert decided(State.ACTIVE, replace(OTHER, initiated=None)) is LEAVE


def test_each_place_is_looked_at_once() -> None:
    def policy(bucket: str, prefix: str) -> Policy:
        name = f"p{abs(hash((bucket, prefix)))}"
        return Policy(name, bucket, key_template=f"{prefix}{{tenant}}/{{date}}/{{sid}}")

    policies = [
        policy("a", "films/"),
        policy("a", "films/long/"),
        policy("a", "music/"),
        policy("b", "films/"),
        policy("b", ""),
        policy("b", ""),
    ]
    assert scopes_of(policies) == [
        SweepScope("default", "a", "films/"),
        SweepScope("default", "a", "music/"),
        SweepScope("default", "b", ""),
    ]


# ---- the same for rows that are due

LEASE = timedelta(seconds=30)
DEADLINE = GRANT.expire_time
KEPT = timedelta(days=7)


@pytest.mark.parametrize(
    ("state", "before", "after"),
    [
        (State.INITIATING, Action.OPEN, Action.OPEN),
        (State.ACTIVE, LEAVE, ABORT),
        (State.COMPLETING, Action.COMPLETE, Action.COMPLETE),
        (State.COMPLETED, Action.FORGET, Action.FORGET),
        (State.ABORTING, ABORT, ABORT),
        (State.ABORTED, Action.BURY, Action.BURY),
    ],
)
def test_what_is_due_is_dealt_with_by_its_state(
    state: State, before: Action, after: Action
) -> None:
    upload = an_upload(state)
    assert next_step(upload, DEADLINE - SECOND, LEASE, KEPT, DEADLINE)[0] is before
    assert next_step(upload, DEADLINE, LEASE, KEPT, DEADLINE)[0] is after


@pytest.mark.parametrize(
    ("state", "after"), [(State.COMPLETED, Action.FORGET), (State.ABORTED, Action.BURY)]
)
def test_what_ended_since_it_came_up_is_remembered(state: State, after: Action) -> None:
    ended = an_upload(state, epoch=epoch_at(DEADLINE))
    assert next_step(ended, DEADLINE + KEPT - SECOND, LEASE, KEPT, DEADLINE)[0] is LEAVE
    assert next_step(ended, DEADLINE + KEPT, LEASE, KEPT, DEADLINE)[0] is after


def test_an_upload_that_is_being_opened_is_left_to_its_caller_at_first() -> None:
    upload = an_upload(State.INITIATING)
    over = upload.grant.create_time + OPENING_LEASES * LEASE
    assert next_step(upload, over - SECOND, LEASE, KEPT, DEADLINE)[0] is LEAVE
    assert next_step(upload, over, LEASE, KEPT, DEADLINE)[0] is Action.OPEN


def test_a_burial_that_was_broken_off_is_carried_on() -> None:
    upload = an_upload(State.ABORTING, abort_reason=AbortReason.EXPIRED)
    assert next_step(upload, DEADLINE, LEASE, KEPT, DEADLINE)[0] is Action.BURY


def test_only_a_record_that_was_rebuilt_may_have_a_later_deadline_than_it_says() -> None:
    later = KeyMark(GRANT.sid, GRANT.write_token[:8], DEADLINE + timedelta(days=24))
    rebuilt, original = an_upload(), an_upload(request_digest=b"digest")
    assert last_deadline(original, later) == DEADLINE
    assert last_deadline(rebuilt, later) == later.expire_time
    assert last_deadline(rebuilt, MARK) == last_deadline(rebuilt, None) == DEADLINE
    extended = original.extended(later.expire_time)
    assert last_deadline(extended, MARK) == later.expire_time


def test_a_deadline_that_an_id_may_have_is_waited_for() -> None:
    last = DEADLINE + timedelta(days=24)
    assert next_step(an_upload(), last - SECOND, LEASE, KEPT, last)[0] is LEAVE
    assert next_step(an_upload(), last, LEASE, KEPT, last)[0] is ABORT
