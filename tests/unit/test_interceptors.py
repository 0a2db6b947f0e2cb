"""How much time a call has, who it is by, and what the outermost layer lets through."""

from typing import Any

import pytest
from partway_server.errors import CallerUnknown
from partway_server.rpc.identity import Identity
from partway_server.rpc.interceptors import budget_seconds
from partway_server.uploads import Caller


class WithTime:
    """A call's context that knows only how much time there is."""

    def __init__(self, remaining: float | None) -> None:
        self._remaining = remaining

    def time_remaining(self) -> float | None:
        return self._remaining


@pytest.mark.parametrize(
    ("remaining", "budget"),
    [(None, 30), (1000, 30), (10, 9), (1, 0.9), (0.1, 0.08), (0.02, 0), (0.01, -0.01), (-1, -1.02)],
)
def test_a_call_is_answered_before_its_caller_gives_up(
    remaining: float | None, budget: float
) -> None:
    context: Any = WithTime(remaining)
    assert budget_seconds(context, 30) == pytest.approx(budget)


@pytest.mark.parametrize(
    ("metadata", "caller"),
    [
        ([("partway-tenant", "acme")], Caller("acme", "")),
        ([("partway-tenant", "acme"), ("partway-subject", "al")], Caller("acme", "al")),
        ([("x", "1"), ("x", "2"), ("partway-tenant", "acme")], Caller("acme", "")),
    ],
)
def test_metadata_names_the_caller(metadata: list[tuple[str, str]], caller: Caller) -> None:
    assert Identity(trust_metadata=True).caller(metadata) == caller


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        ([], "partway-tenant"),
        ([("partway-tenant", b"acme")], "partway-tenant"),
        ([("partway-tenant", "acme"), ("partway-tenant", "acme")], "partway-tenant"),
        ([("partway-tenant", "acme"), ("partway-subject", b"x")], "partway-subject"),
        ([("partway-tenant", "acme"), ("partway-subject", "x" * 129)], "partway-subject"),
    ],
)
def test_metadata_that_names_nobody_is_refused(
    metadata: list[tuple[str, str | bytes]], key: str
) -> None:
    with pytest.raises(CallerUnknown) as raised:
        Identity(trust_metadata=True).caller(metadata)
    assert raised.value.key == key


@pytest.mark.parametrize("metadata", [[], [("partway-tenant", "evil"), ("partway-subject", "x")]])
def test_metadata_that_is_not_trusted_names_nobody(metadata: list[tuple[str, str]]) -> None:
    assert Identity(trust_metadata=False).caller(metadata) == Caller("default", "")
