"""Maps the claims of a verified token to a principal. Pure: no key, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partway_server.domain.grant import Caller
from partway_server.domain.policy import valid_tenant
from partway_server.domain.principal import Principal, Scope
from partway_server.rpc.identity.metadata import valid_subject

_MAX_TIME = 2.0**53
"""More seconds than any time has."""


class Refused(Exception):
    """A token that is not accepted. The reason is one of a few fixed texts, for operators."""


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Which claims name the tenant, the subject and the scopes.

    `default_scopes` are those of a token without the claim. `leeway_seconds` is by how much the
    clocks of the issuer and the service may differ.
    """

    tenant: str
    subject: str
    scope: str
    default_scopes: frozenset[Scope]
    leeway_seconds: float


def principal_of(
    claims: Mapping[str, Any], rules: ClaimRules, now: float
) -> tuple[Principal, float]:
    """Return whom the claims identify at `now`, and until when. Raises Refused."""
    end = _seconds(claims, "exp") + rules.leeway_seconds
    if now >= end:
        raise Refused("it has expired")
    if "nbf" in claims and now + rules.leeway_seconds < _seconds(claims, "nbf"):
        raise Refused("it is not valid yet")
    tenant, subject = claim(claims, rules.tenant), claim(claims, rules.subject)
    if not isinstance(tenant, str) or not valid_tenant(tenant):
        raise Refused("the claim of the tenant is missing or invalid")
    if not isinstance(subject, str) or not subject or not valid_subject(subject):
        raise Refused("the claim of the subject is missing or invalid")
    return Principal(Caller(tenant, subject), scopes_of(claims, rules)), end


def scopes_of(claims: Mapping[str, Any], rules: ClaimRules) -> frozenset[Scope]:
    """Return the scopes that the claims grant: words of one text, or a list of texts.

    Those of other services are ignored.
    """
    found = claim(claims, rules.scope)
    if found is None:
        return rules.default_scopes
    words = found.split() if isinstance(found, str) else found
    granted = words if isinstance(words, list) else []
    return frozenset(scope for scope in Scope if scope.value in granted)


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return the claim of that name, or else of that path: `a.b` is `b` in `a`. None if absent.

    The name comes first, because the names of some issuers are URLs.
    """
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    """Return the time of a claim in seconds since 1970."""
    value = claims.get(name)
    # Asked this way round, so that nan is refused.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MAX_TIME:
        raise Refused("exp or nbf is not a time")
    return value
