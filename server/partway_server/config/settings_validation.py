"""What single values of settings may be, and how they are shown. Nothing here knows the table."""

import base64
import re
from typing import Any
from urllib.parse import urlsplit

SEALING_KEY_BYTES = 64
HIDDEN = "***"

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[1-9][0-9]{0,4})?/?")
_URI_REFERENCE = re.compile(r"([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
_REDIS_SCHEMES = re.compile(r"rediss?(\+sentinel|\+cluster)?|unix")
_HOST = r"([A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_HARMLESS_REDIS_URL = re.compile(
    rf"rediss?://{_HOST}(/[0-9]*)?"
    rf"|rediss?\+sentinel://{_HOST}(,{_HOST})*/[\w.-]+(/[0-9]*)?"
    rf"|rediss?\+cluster://{_HOST}(,{_HOST})*(/[0-9]*)?"
    r"|unix://[\w./-]*",
    re.ASCII,
)


def text(value: Any) -> str:
    """Return a value for a person to read."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def range_problem(least: float, most: float, value: float) -> str:
    """Return what is wrong with a number, or ""."""
    # Asked this way round, so that nan is refused.
    return "" if least <= value <= most else f"{text(value)} is not between {least} and {most}"


def is_address(address: str) -> bool:
    """Return whether it is host:port, an IPv6 address in brackets."""
    return _ADDRESS.fullmatch(address) is not None and int(address.rpartition(":")[2]) < 65536


def address_problem(address: str) -> str:
    """Return what is wrong with host:port, or ""."""
    return "" if is_address(address) else f"{address!r} is not host:port"


def origin_problem(url: str) -> str:
    """Return what is wrong with http:// or https://, a host and perhaps a port, or ""."""
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        bare = parts.port is None or parts.port > 0
    except ValueError:
        bare = False
    else:
        rest = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
        bare = bare and parts.scheme in ("http", "https") and bool(parts.hostname) and not rest
    words = "is not http://HOST or https://HOST, with or without a port"
    if bare and not _ORIGIN.fullmatch(url):
        # What could be read, but has another spelling than the one that is signed.
        words += "; write the scheme in lower case and the host in ASCII"
        bare = False
    return "" if bare else f"{shown_origin(url)!r} {words}"


def shown_origin(url: str) -> str:
    """Return an origin, or `***` for what is none and may hold a password."""
    return HIDDEN if re.search("[@?#]", url) else url


def uri_reference_problem(text: str) -> str:
    """Return what is wrong with a URI, or the path of one (RFC 3986), or ""."""
    return "" if _URI_REFERENCE.fullmatch(text) else f"{text!r} is not a URI or the path of one"


def redis_url_problem(url: str) -> str:
    """Return what is wrong with how a Redis URL begins, or "". The URL may hold a password."""
    scheme, mark, rest = url.partition("://")
    if not (mark and _REDIS_SCHEMES.fullmatch(scheme)):
        return "does not begin as a Redis URL does, for example with redis://"
    return _UNENCODED if scheme != "unix" and _is_unencoded(rest) else ""


_UNENCODED = (
    "has a user name or password with a / ? or # in it; percent-encode everything in them but"
    " letters and digits"
)


def _is_unencoded(rest: str) -> bool:
    """Return whether a password seems to end the host early: an @ follows where none can be."""
    place = re.split("[/?#]", rest, maxsplit=1)[0]
    tail = rest[len(place) :]
    before, at, _ = tail.rpartition("@")
    if "@" in place or not at:
        return False
    # An option may hold an @, as in ?client_name=a@b.
    return not ("?" in before and "=" in before.partition("?")[2]) or not _is_host(place)


def _is_host(place: str) -> bool:
    return all(re.fullmatch(_HOST, each) for each in place.split(","))


def sealing_keys_problem(keys: str) -> str:
    """Return what is wrong with the sealing keys, or ""."""
    return "; ".join(
        f"key {number} is not base64 of {SEALING_KEY_BYTES} bytes"
        for number, key in enumerate(sealing_keys(keys), 1)
        if not _is_sealing_key(key)
    )


def sealing_keys(keys: str) -> list[str]:
    """Return the keys of a comma-separated list, without white space: openssl breaks lines."""
    return "".join(keys.split()).split(",") if keys else []


def _is_sealing_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == SEALING_KEY_BYTES
    except ValueError:
        return False


def without_password(url: str) -> str:
    """Return a URL without its user, password and query, or `***` where they cannot be located.

    A password may hold an unescaped /, # or ?, so only the last @ can be where it ends.
    """
    scheme, _, rest = url.partition("://")
    before, at, place = rest.rpartition("@")
    place, question, _ = place.partition("?")
    # With a ? before the last @, that @ may be part of a password in the query.
    if "?" in before or not _HARMLESS_REDIS_URL.fullmatch(f"{scheme}://{place}"):
        return url and HIDDEN
    hidden_user, hidden_query = at and f"{HIDDEN}@", question and f"?{HIDDEN}"
    return f"{scheme}://{hidden_user}{place}{hidden_query}"


def shown_variable(name: str) -> str:
    """Return " NAME", or "" for what may be a secret in the place of its variable's name."""
    return f" {name}" if _VARIABLE.fullmatch(name) else ""
