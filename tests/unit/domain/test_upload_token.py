"""Tests what an upload token may allow."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partway_server.domain.errors import InvalidRequest, PermissionDenied
from partway_server.domain.part_plan import MIB, Plan
from partway_server.domain.principal import ALL_SCOPES, Permission, Principal, Scope, UploadAction
from partway_server.domain.upload_token import (
    ACTION_SCOPES,
    PART_ACTIONS,
    TokenParams,
    allowed_actions,
    new_token,
)

from tests.support.clock import START
from tests.support.uploads import an_upload

GRANT = an_upload(plan=Plan(10 * MIB, 5 * MIB)).grant
COMPOSED = an_upload(plan=Plan(10 * MIB, 5 * MIB, (5 * MIB, 5 * MIB))).grant

scopes = st.frozensets(st.sampled_from(Scope))
actions = st.lists(st.sampled_from(UploadAction), max_size=9)


@given(scopes, actions)
def test_a_token_is_never_wider_than_its_maker(
    held: frozenset[Scope], wanted: list[UploadAction]
) -> None:
    maker = Principal(GRANT.caller, held)
    try:
        token = new_token(GRANT, TokenParams("spec", wanted), held, START)
    except PermissionDenied as denied:
        assert denied.needed not in held and Scope.ADMIN not in held
        assert denied.needed in {ACTION_SCOPES[action] for action in wanted}
        return
    assert not wanted or token.actions == set(wanted)
    for action in token.actions:
        maker.require(Permission(ACTION_SCOPES[action]))


def test_without_actions_a_token_has_all_that_its_maker_may_do() -> None:
    asked = TokenParams("spec")
    assert allowed_actions(asked, ALL_SCOPES) == set(UploadAction)
    assert allowed_actions(asked, {Scope.ADMIN}) == set(UploadAction)
    assert allowed_actions(asked, {Scope.UPLOAD}) == {
        UploadAction.PRESIGN,
        UploadAction.REPORT,
        UploadAction.COMPLETE,
        UploadAction.ABORT,
    }
    more = allowed_actions(asked, {Scope.UPLOAD, Scope.VIA_SERVICE, Scope.READ})
    assert more == set(UploadAction)


@pytest.mark.parametrize(
    ("lifetime", "end"),
    [
        (None, GRANT.expire_time),
        (timedelta(days=3650), GRANT.expire_time),
        (timedelta(days=999_999_999), GRANT.expire_time),
        (timedelta(seconds=1), START + timedelta(seconds=1)),
        (timedelta(seconds=1, microseconds=1), START + timedelta(seconds=2)),
        (GRANT.expire_time - START - timedelta(microseconds=1), GRANT.expire_time),
    ],
)
def test_a_token_ends_as_asked_and_never_after_its_upload(
    lifetime: timedelta | None, end: object
) -> None:
    params = TokenParams("spec", lifetime=lifetime)
    assert new_token(GRANT, params, ALL_SCOPES, START).expire_time == end


def test_a_token_names_the_upload_and_its_owner() -> None:
    token = new_token(GRANT, TokenParams("spec", parts=(1, 2)), ALL_SCOPES, START)
    assert (token.sid, token.write_token) == (GRANT.sid, GRANT.write_token)
    assert (token.caller, token.parts) == (GRANT.caller, (1, 2))


def test_parts_outside_the_plan_are_refused() -> None:
    with pytest.raises(InvalidRequest) as raised:
        new_token(GRANT, TokenParams("spec", parts=(2, 3)), ALL_SCOPES, START)
    assert [v.field for v in raised.value.violations] == ["spec.parts"]


def test_a_token_of_a_composed_upload_has_no_actions_about_parts() -> None:
    token = new_token(COMPOSED, TokenParams("spec"), ALL_SCOPES, START)
    assert token.actions == set(UploadAction) - PART_ACTIONS
    wanted = [UploadAction.STATUS, *sorted(PART_ACTIONS)]
    with pytest.raises(InvalidRequest) as raised:
        new_token(COMPOSED, TokenParams("spec", wanted), ALL_SCOPES, START)
    fields = [v.field for v in raised.value.violations]
    assert fields == ["spec.actions[1]", "spec.actions[2]", "spec.actions[3]"]
