"""What single values of settings may be, and how they are shown: nothing here knows the table."""

import base64
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

SEALING_KEY_BYTES = 64
HIDDEN = "***"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_URI_REFERENCE = re.compile(r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_REDIS_SCHEMES = re.compile(r"rediss?(\+sentinel|\+cluster)?|unix")
_HOST = r"([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_HARMLESS_REDIS_URL = re.compile(
    rf"rediss?://{_HOST}(/[0-9]*)?"
    rf"|rediss?\+sentinel://{_HOST}(,{_HOST})*/[\w.-]+(/[0-9]*)?"
    rf"|rediss?\+cluster://{_HOST}(,{_HOST})*(/[0-9]*)?"
    r"|unix://[\w./-]*",
    re.ASCII,
)


def parsed(kind: Any, choices: Collection[str], given: Any) -> Any:
    """`given`, mostly text, as a `kind`. Raises ValueError, in words."""
    if kind is bool:
        return given if isinstance(given, bool) else _bool(given)
    if kind is int or kind is float:
        try:
            return kind(given)
        except ValueError:
            words = "a whole number" if kind is int else "a number"
            raise ValueError(f"{given!r} is not {words}") from None
    if choices and given not in choices:
        raise ValueError(f"{given!r} is not one of {', '.join(choices)}")
    return given


def _bool(given: str) -> bool:
    if given.lower() in _TRUE | _FALSE:
        return given.lower() in _TRUE
    raise ValueError(f"{given!r} is neither true nor false")


def text(value: Any) -> str:
    """A value for a person to read."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def is_address(address: str) -> bool:
    """Whether it is host:port, an IPv6 address in brackets."""
    return _ADDRESS.fullmatch(address) is not None and int(address.rpartition(":")[2]) < 65536


def is_origin(url: str) -> bool:
    """Whether it is http:// or https:// with a host, and a port or not, and nothing else."""
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        bare = parts.port is None or parts.port > 0
    except ValueError:
        return False
    rest = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    return bare and parts.scheme in ("http", "https") and bool(parts.hostname) and not rest


def is_uri_reference(text: str) -> bool:
    """Whether it has only what RFC 3986 lets stand in a URI, or a part of one, and something."""
    return _URI_REFERENCE.fullmatch(text) is not None


def is_redis_url(url: str) -> bool:
    """Whether it begins as the URLs of Redis clients do."""
    scheme, mark, _ = url.partition("://")
    return bool(mark) and _REDIS_SCHEMES.fullmatch(scheme) is not None


def without_password(url: str) -> str:
    """A Redis URL without its user, password and query, or `***` where those cannot be told.

    A password may hold /, # and ? as they are, so that only the last @ can be where it ends.
    """
    scheme, _, rest = url.partition("://")
    before, at, place = rest.rpartition("@")
    place, question, _ = place.partition("?")
    # With a ? before the last @, that @ may be part of a password in the query.
    if "?" in before or not _HARMLESS_REDIS_URL.fullmatch(f"{scheme}://{place}"):
        return url and HIDDEN
    hidden_user, hidden_query = at and f"{HIDDEN}@", question and f"?{HIDDEN}"
    return f"{scheme}://{hidden_user}{place}{hidden_query}"


def sealing_keys(keys: str) -> list[str]:
    """The keys of a comma-separated list, without white space: openssl breaks lines."""
    return "".join(keys.split()).split(",") if keys else []


def is_sealing_key(key: str) -> bool:
    """Whether it is base64 of as many bytes as a sealing key has."""
    try:
        return len(base64.b64decode(key, validate=True)) == SEALING_KEY_BYTES
    except ValueError:
        return False
