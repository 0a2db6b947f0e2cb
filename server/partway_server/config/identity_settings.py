"""What the settings about callers may be, alone and beside each other."""

from collections.abc import Collection, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from partway_server.config.settings_validation import shown_origin
from partway_server.domain.principal import Scope

if TYPE_CHECKING:
    from partway_server.config.settings import Settings

METHODS = ("metadata", "jwt", "mtls")
ALGORITHMS = (
    *(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)),
    "EdDSA",
)
"""Asymmetric, all of them: with HS256, whoever can verify a token could also make one."""


def listed(text: str) -> tuple[str, ...]:
    """Return the items of a comma-separated list."""
    return tuple(filter(None, (item.strip() for item in text.split(","))))


def identity_problem(text: str) -> str:
    """Return what is wrong with the methods of identification, or ""."""
    methods = listed(text)
    if methods == ("none",) or (methods and all(method in METHODS for method in methods)):
        return ""
    return f"{text!r} is neither none alone nor a list of {', '.join(METHODS)}"


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks of a comma-separated list. Raises ValueError."""
    return tuple(map(ip_network, listed(text)))


def networks_problem(text: str) -> str:
    """Return what is wrong with a list of networks, or ""."""
    try:
        found = networks(text)
    except ValueError as error:
        return f"{error}; write networks as 10.0.0.0/8 or fd00::/8"
    # Of a peer, such an address is read as IPv4, so no peer would be in the network.
    mapped = [each for each in found if getattr(each.network_address, "ipv4_mapped", None)]
    return f"{mapped[0]} is IPv4 written as IPv6; write it as 10.0.0.0/8" if mapped else ""


def algorithms_problem(text: str) -> str:
    """Return what is wrong with a list of signature algorithms, or ""."""
    unknown = [name for name in listed(text) if name not in ALGORITHMS]
    if unknown:
        return f"{unknown[0]!r} is not one of {', '.join(ALGORITHMS)}"
    return "" if listed(text) else "names no algorithm"


def scopes_problem(text: str) -> str:
    """Return what is wrong with scopes that are separated by spaces, or ""."""
    unknown = [word for word in text.split() if word not in list(Scope)]
    return f"{unknown[0]!r} is not one of {', '.join(Scope)}" if unknown else ""


def jwks_url_problem(url: str) -> str:
    """Return what is wrong with the URL of a JWKS, or ""."""
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        usable = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if "@" in url.partition("://")[2].partition("/")[0]:
        return "has a user or a password in it; a JWKS is public"
    if not usable or not url.isascii() or not url.isprintable() or "\\" in url or " " in url:
        return f"{shown_origin(url)!r} is not a URL"
    if parts.fragment:
        return "has a fragment (#); remove it"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return ""
    return "does not begin with https://"


def is_loopback(host: str) -> bool:
    """Return whether a host, an IPv6 address without its brackets, is this machine by its name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def identity_contradictions(
    settings: "Settings", bad: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield which settings about callers are missing or wrong beside another, and how to fix it.

    `bad` are wrong by themselves.
    """
    if {"identity", "address"} & set(bad):
        return
    methods = listed(settings.identity)
    if "none" in methods and not settings.allow_anonymous and not is_loopback(settings.host):
        yield (
            "identity",
            f"is none, but others than this machine can reach {settings.address}: whoever does is"
            " the tenant default, with every right; name a method, listen on 127.0.0.1, or set"
            " PARTWAY_ALLOW_ANONYMOUS=true",
        )
    given = [
        name for name in ("jwt_issuer", "jwt_jwks_url", "jwt_jwks_file") if getattr(settings, name)
    ]
    if "jwt" in methods:
        yield from _jwt_contradictions(settings, bad)
    elif given:
        yield given[0], "is set, but PARTWAY_IDENTITY does not name jwt; add it, or remove this"


def _jwt_contradictions(settings: "Settings", bad: Collection[str]) -> Iterator[tuple[str, str]]:
    if not settings.jwt_issuer:
        yield "jwt_issuer", "is not set, but PARTWAY_IDENTITY names jwt; set the iss of your tokens"
    if not listed(settings.jwt_audience):
        yield (
            "jwt_audience",
            "is not set, but PARTWAY_IDENTITY names jwt; set the aud of your tokens",
        )
    if bool(settings.jwt_jwks_url) == bool(settings.jwt_jwks_file):
        both = "and PARTWAY_JWT_JWKS_FILE are both set" if settings.jwt_jwks_url else "is not set"
        yield "jwt_jwks_url", f"{both}; set it or PARTWAY_JWT_JWKS_FILE, to the keys of the issuer"
    plain = settings.jwt_jwks_url.startswith("http:") and "jwt_jwks_url" not in bad
    if plain and not settings.jwt_jwks_allow_private:
        yield (
            "jwt_jwks_url",
            "begins with http://; use https://, or for development PARTWAY_JWT_JWKS_ALLOW_PRIVATE",
        )
