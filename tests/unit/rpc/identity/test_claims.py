"""Tests what the claims of a verified token amount to."""

from dataclasses import replace
from typing import Any

import pytest
from partway_server.domain.grant import Caller
from partway_server.domain.principal import Scope
from partway_server.rpc.identity.claims import ClaimRules, Refused, claim, principal_of, scopes_of

from tests.support.issuer import NOW, RULES, claims

CLAIMS = RULES.claims


def test_claims_name_the_caller_until_they_expire() -> None:
    principal, end = principal_of(claims(), CLAIMS, NOW)
    assert principal.caller == Caller("acme", "alice")
    assert principal.scopes == frozenset(Scope)
    assert end == NOW + 630


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 29.5},
        {"exp": 2.0**52},
        {"nbf": NOW + 30},
        {"nbf": NOW - 1},
        {"iat": NOW + 10_000},
        {"sub": "~" * 128},
        {"tenant": "a" * 64},
    ],
)
def test_the_limits_of_a_valid_token(changes: dict[str, Any]) -> None:
    principal_of(claims(**changes), CLAIMS, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 30},
        {"exp": str(NOW + 600)},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": 10**400},
        {"exp": [NOW + 600]},
        {"nbf": NOW + 31},
        {"nbf": "soon"},
        {"nbf": {}},
        {"tenant": None},
        {"tenant": ""},
        {"tenant": 7},
        {"tenant": ["acme"]},
        {"tenant": {"id": "acme"}},
        {"tenant": "../acme"},
        {"tenant": ".acme"},
        {"tenant": "a" * 65},
        {"tenant": "acme\n"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 129},
        {"sub": "al\x00ice"},
        {"sub": "alicé"},
        {"sub": "alice\n"},
    ],
)
def test_what_no_token_may_claim(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        principal_of(claims(**changes), CLAIMS, NOW)


@pytest.mark.parametrize(
    ("granted", "scopes"),
    [
        ("upload read", {"upload", "read"}),
        ("  upload   openid profile ", {"upload"}),
        (["upload", "compose", "x", 7, None, {}], {"upload", "compose"}),
        ("upload,read", set()),
        ("Upload", set()),
        ("uploads", set()),
        ("", set()),
        ([], set()),
        ({"upload": True}, set()),
        (7, set()),
        ("admin", {"admin"}),
        (["upload read"], set()),
    ],
)
def test_scopes_are_those_that_are_known(granted: Any, scopes: set[str]) -> None:
    rules = replace(CLAIMS, default_scopes=frozenset({Scope.ADMIN}))
    assert scopes_of({"scope": granted}, rules) == scopes


def test_a_token_without_the_claim_has_the_default_scopes() -> None:
    assert scopes_of({}, CLAIMS) == frozenset()
    rules = replace(CLAIMS, default_scopes=frozenset({Scope.READ}))
    assert scopes_of({}, rules) == {"read"}
    assert scopes_of({"scope": ""}, rules) == frozenset()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a", {"b": {"c": "nested"}}),
        ("a.b.c", "nested"),
        ("https://example.com/tenant", "namespaced"),
        ("x.y", "whole"),
        ("a.x", None),
        ("a.b.c.d", None),
        ("", None),
        (".", None),
        ("list.0", None),
    ],
)
def test_a_claim_is_found_by_name_or_by_path(name: str, value: Any) -> None:
    found = {
        "a": {"b": {"c": "nested"}},
        "https://example.com/tenant": "namespaced",
        "x.y": "whole",
        "x": {"y": "nested"},
        "list": ["first"],
    }
    assert claim(found, name) == value


def test_the_claims_to_use_are_configured() -> None:
    rules = ClaimRules("org.id", "azp", "realm_access.roles", frozenset(), leeway_seconds=0)
    given = claims(
        **{"org": {"id": "acme"}, "azp": "worker", "realm_access": {"roles": ["read"]}},
        tenant="evil",
        sub=None,
        scope=None,
    )
    principal, end = principal_of(given, rules, NOW)
    assert principal.caller == Caller("acme", "worker")
    assert principal.scopes == {"read"}
    assert end == NOW + 600
