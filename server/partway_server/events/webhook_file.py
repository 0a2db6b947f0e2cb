"""The webhooks that an operator configures: one TOML file, secrets in variables or files."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yarl

from partway_server.config.schema import UNSET, OneOrMore, Table, Texts
from partway_server.config.secret_files import read_secret
from partway_server.config.settings_validation import range_problem, shown_variable
from partway_server.config.toml_file import FileProblem, TomlFile, TomlFileError
from partway_server.domain.rule_error import Problem, RuleError
from partway_server.events.ssrf_guard import forbidden

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*")
_PREFIX = "whsec_"
_MAKE = f'make one with: echo "{_PREFIX}$(openssl rand -base64 32)"'


@dataclass(frozen=True, slots=True)
class Webhook:
    """One endpoint. Its URL may hold a token, so neither URL nor secrets are in the repr.

    `secrets` are the keys, each of which signs; empty `types` or `tenants` mean all. Raises
    RuleError, with neither URL nor secret in it.
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
        if found := tuple(self._problems()):
            raise RuleError(f"webhook {self.name!r}", found)

    def wants(self, kind: str) -> bool:
        """Return whether the endpoint is to get events of this type."""
        return not self.types or kind in self.types

    def _problems(self) -> Iterator[Problem]:
        if not _NAME.fullmatch(self.name):
            yield "name", "is not a name for a webhook: use 1 to 64 of a-z, 0-9, _, -"
        if problem := _url_problem(self.url, self.allow_http, self.allow_private):
            yield "url", problem
        if not self.secrets:
            yield "secret_env", "is missing or empty; name the variable that holds the secret"
        for odd in sorted(name for name in self.types if not _TYPE.fullmatch(name)):
            yield "types", f"{odd!r} is not a type of event, such as upload.completed"
        if problem := range_problem(0.1, 60, self.timeout_seconds):
            yield "timeout_seconds", problem
        if problem := range_problem(0, 30 * 86400, self.give_up_seconds):
            yield "give_up_seconds", problem


class WebhookTable(Table):
    """The rules of a `[webhook.NAME]` and how each is written. `Webhook` has the defaults."""

    url: str = UNSET
    secret_env: OneOrMore = UNSET
    secret_file: OneOrMore = UNSET
    types: Texts = UNSET
    tenants: Texts = UNSET
    timeout_seconds: float = UNSET
    give_up_seconds: float = UNSET
    allow_http: bool = UNSET
    allow_private: bool = UNSET


class WebhookFileError(TomlFileError):
    """A file of webhooks cannot be used. No text of it holds a URL or a secret."""


def load_webhooks(path: Path, environ: Mapping[str, str]) -> list[Webhook]:
    """Return the webhooks of a TOML file; `environ` holds the secrets.

    Raises WebhookFileError, also if the file cannot be read.
    """
    toml = _open(path)
    tables = _tables(toml)
    webhooks = [_webhook(toml, name, rules, environ) for name, rules in tables.items()]
    toml.raise_problems()
    return [webhook for webhook in webhooks if webhook is not None]


def webhook_names(path: Path) -> list[str]:
    """Return the names of the webhooks, without their secrets. Raises as `load_webhooks` does."""
    toml = _open(path)
    names = list(_tables(toml))
    toml.raise_problems()
    return names


def secret_paths(path: Path) -> list[str]:
    """Return the files of secrets that are named, where they are written as they should be.

    Raises as `load_webhooks` does.
    """
    named = [rules.get("secret_file", ()) for rules in _tables(_open(path)).values()]
    lists = ([paths] if isinstance(paths, str) else paths for paths in named)
    return [each for paths in lists for each in paths if isinstance(each, str)]


def _open(path: Path) -> TomlFile:
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = FileProblem(0, "", f"cannot be read: {error.strerror}")
        raise WebhookFileError(str(path), [problem]) from error
    return TomlFile(str(path), content, WebhookFileError)


def _tables(toml: TomlFile) -> Mapping[str, Mapping[str, Any]]:
    toml.refuse_others("webhook")
    tables = dict(toml.named("webhook"))
    if not tables and not toml.problems:
        toml.add((), "has no webhook; begin one with [webhook.NAME]")
    return tables


def _webhook(
    toml: TomlFile, name: str, rules: Mapping[str, Any], environ: Mapping[str, str]
) -> Webhook | None:
    path = ("webhook", name)
    found, bad = toml.values(path, rules, WebhookTable)
    secrets = []
    for rule, read in (("secret_env", partial(_in_variable, environ)), ("secret_file", _in_file)):
        for where in found.pop(rule, ()):
            try:
                secrets.append(read(where))
            except ValueError as error:
                toml.add((*path, rule), str(error))
                # Those that are left may be too few, or none.
                bad.add("secret_env")
    for rule in ("types", "tenants"):
        found[rule] = frozenset(found.get(rule, ()))
    given: dict[str, Any] = {"url": "", **found, "secrets": tuple(secrets)}
    return toml.built(path, lambda: Webhook(name=name, **given), bad)


def _in_variable(environ: Mapping[str, str], variable: str) -> bytes:
    shown = f"the variable{shown_variable(variable)}"
    text = environ.get(variable, "").strip()
    if not text:
        raise ValueError(f"{shown} is not set; {_MAKE}")
    return _key(text, shown)


def _in_file(path: str) -> bytes:
    return _key(read_secret(path).strip(), path)


def _key(text: str, where: str) -> bytes:
    """Return the key in a text, as Standard Webhooks serializes it: whsec_ and base64."""
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"{where} is not {_PREFIX} and base64 of 24 to 64 bytes; {_MAKE}")
    return key


def _url_problem(url: str, allow_http: bool, allow_private: bool) -> str:
    """Return what is wrong with a URL, or ""."""
    if not url:
        return "is missing"
    try:
        parts = yarl.URL(url, encoded=True)
        host, port = parts.host or "", parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "does not begin with https:// and a host"
    if parts.scheme == "http" and not allow_http:
        return "is not https, and allow_http is not set"
    if parts.raw_user or parts.raw_password or parts.raw_fragment:
        return "has a user name, a password or a fragment"
    if any(c <= " " or c >= "\x7f" for c in url):
        return "has a character that must be percent-encoded"
    # A host name is checked when it is resolved.
    if not allow_private and _is_literal(host) and forbidden(host):
        return "names an address that is not of the public internet, and allow_private is not set"
    return ""


def _is_literal(host: str) -> bool:
    # No top-level domain is a number (RFC 3696), and inet_aton accepts 127.1 and 0x7f000001.
    last = host.rstrip(".").rpartition(".")[2]
    return ":" in host or last.isdecimal() or re.fullmatch(r"0x[0-9a-f]*", last) is not None
