"""The webhooks that an operator configures: one TOML file, secrets by environment variable."""

import base64
import binascii
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yarl

from partway_server.events.ssrf_guard import forbidden

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_PREFIX = "whsec_"
_MAKE = f'make one with: echo "{_PREFIX}$(openssl rand -base64 32)"'

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "url": str,
    "secret_env": (str, list),
    "types": list,
    "tenants": list,
    "timeout_seconds": (int, float),
    "give_up_seconds": (int, float),
    "allow_http": bool,
    "allow_private": bool,
}


@dataclass(frozen=True, slots=True)
class Webhook:
    """One endpoint. Its URL may hold a token, so that neither it nor the secrets are in the repr.

    `secrets` are the keys, each of which signs; without `types` or `tenants` all are meant. Raises
    ValueError, with neither URL nor secret in it, if the rules make no sense.
    """

    name: str
    url: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    types: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    timeout_seconds: float = 15.0
    give_up_seconds: float = 3 * 24 * 3600
    allow_http: bool = False
    allow_private: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a name is 1 to 64 of a-z, 0-9, _, -")
        if problem := _url_problem(self.url, self.allow_http, self.allow_private):
            raise ValueError(f"url {problem}")
        if not self.secrets:
            raise ValueError("secret_env is empty")
        if odd := sorted(name for name in self.types if not _TYPE.fullmatch(name)):
            raise ValueError(f"types: {odd[0]!r} is none; one is upload.completed")
        for rule, least, most in (("timeout_seconds", 0.1, 60), ("give_up_seconds", 0, 30 * 86400)):
            # Said this way round, so that nan is refused.
            if not least <= getattr(self, rule) <= most:
                raise ValueError(f"{rule} is not between {least} and {most}")

    def wants(self, kind: str) -> bool:
        """Whether it is to get events of this type."""
        return not self.types or kind in self.types


def load_webhooks(path: Path, environ: Mapping[str, str]) -> list[Webhook]:
    """The webhooks of a TOML file, a table [webhook.NAME] each; `environ` holds the secrets.

    Raises ValueError, in words that hold neither URL nor secret, or OSError if the file cannot be
    read.
    """
    return [_webhook(name, rules, environ) for name, rules in _tables(path).items()]


def webhook_names(path: Path) -> list[str]:
    """Their names alone, without a look at the secrets. Raises as `load_webhooks` does."""
    return list(_tables(path))


def _tables(path: Path) -> Mapping[str, Any]:
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        # It says where, and never quotes more than a character.
        raise ValueError(f"it is not TOML: {error}") from None
    except RecursionError:
        raise ValueError("its brackets are too deep") from None
    if set(tables) - {"webhook"}:
        raise ValueError("a table is not of the form [webhook.NAME]")
    named = tables.get("webhook")
    if not isinstance(named, dict) or not named:
        raise ValueError("no webhook is in it; begin one with [webhook.NAME]")
    return named


def _webhook(name: str, rules: Any, environ: Mapping[str, str]) -> Webhook:
    try:
        return Webhook(name=name, **_values(rules, environ))
    except ValueError as error:
        raise ValueError(f"webhook {name!r}: {error}") from None


def _values(rules: Any, environ: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(rules, dict):
        raise ValueError("it is no table of rules")
    if unknown := sorted(set(rules) - set(_KINDS)):
        raise ValueError(f"no rule is called {', '.join(unknown)}")
    if missing := [rule for rule in ("url", "secret_env") if rule not in rules]:
        raise ValueError(f"{missing[0]} is missing")
    for rule, value in rules.items():
        if not isinstance(value, _KINDS[rule]) or (
            isinstance(value, bool) and _KINDS[rule] is not bool
        ):
            raise ValueError(f"{rule} is of the wrong kind")
        if isinstance(value, list) and not all(isinstance(each, str) for each in value):
            raise ValueError(f"{rule} is no list of texts")
    values = {rule: frozenset(v) if isinstance(v, list) else v for rule, v in rules.items()}
    del values["secret_env"]
    given = rules["secret_env"]
    variables = [given] if isinstance(given, str) else given
    return values | {"secrets": tuple(_secret(variable, environ) for variable in variables)}


def _secret(variable: str, environ: Mapping[str, str]) -> bytes:
    """The key in a variable, as Standard Webhooks serializes it: whsec_ and base64."""
    text = environ.get(variable, "").strip()
    if not text:
        raise ValueError(f"the variable {variable} that secret_env names is not set: {_MAKE}")
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"{variable} is not {_PREFIX} and base64 of 24 to 64 bytes: {_MAKE}")
    return key


def _url_problem(url: str, allow_http: bool, allow_private: bool) -> str:
    """What is wrong with a URL, "" if nothing."""
    try:
        parts = yarl.URL(url, encoded=True)
        host, port = parts.host or "", parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "does not begin with https:// and a host"
    if parts.scheme == "http" and not allow_http:
        return "is not https, and allow_http is not set"
    if parts.raw_user or parts.raw_password or parts.raw_fragment:
        return "has a user name, a password or a fragment"
    if any(c <= " " or c >= "\x7f" for c in url):
        return "has a character that is to be percent-encoded"
    # A name is looked at when it is resolved.
    if not allow_private and _is_literal(host) and forbidden(host):
        return "names an address that is not of the public internet, and allow_private is not set"
    return ""


def _is_literal(host: str) -> bool:
    # No top-level domain is a number (RFC 3696), and inet_aton takes 127.1 and 0x7f000001.
    last = host.rstrip(".").rpartition(".")[2]
    return ":" in host or last.isdecimal() or re.fullmatch(r"0x[0-9a-f]*", last) is not None
