"""What an operator allows: named rules, and the object keys they lead to."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from string import Formatter
from typing import Any, Self

from partway_server.marks import SEGMENT_CHARS
from partway_server.plan import GIB, MIB
from partway_server.uploads import Caller

MAX_KEY_BYTES = 1024
"""The longest key (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""

MAX_NAME_BYTES = 200
MIN_URL_SECONDS = 120
MAX_URL_SECONDS = 7 * 24 * 3600
"""The longest life of a SigV4 URL
(https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html)."""

MAX_UPLOAD_SECONDS = 365 * 24 * 3600

_POLICY_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_TENANT = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
_LONGEST = {
    "tenant": "t" * 64,
    "subject": "s" * MAX_NAME_BYTES,
    "date": "yyyy/mm/dd",
    "sid": "0" * SEGMENT_CHARS,
    "name": "n" * MAX_NAME_BYTES,
}
_KEY_FIELDS = frozenset(_LONGEST)


@dataclass(frozen=True, slots=True)
class Policy:
    """One named set of rules. Raises ValueError if the rules contradict each other."""

    name: str
    bucket: str
    key_template: str = "{tenant}/{date}/{sid}/{name}"
    max_size_bytes: int = 5 * 1024 * GIB
    part_size_bytes: int = 16 * MIB
    single_put_max_bytes: int = 16 * MIB
    content_types: tuple[str, ...] = ("*",)
    upload_seconds: int = 6 * 24 * 3600
    url_seconds: int = 900
    max_url_seconds: int = 3600
    via_service: bool = False

    def __post_init__(self) -> None:
        if not _POLICY_NAME.fullmatch(self.name):
            raise ValueError(f"policy {self.name!r}: a name is 1 to 64 of a-z, 0-9, _, -")
        if not self.bucket:
            raise ValueError(f"policy {self.name!r}: bucket is empty")
        if problem := _template_problem(self.key_template):
            raise ValueError(f"policy {self.name!r}: key_template {problem}")
        if min(self.max_size_bytes, self.part_size_bytes, self.single_put_max_bytes) < 0:
            raise ValueError(f"policy {self.name!r}: a size is negative")
        if not MIN_URL_SECONDS <= self.url_seconds <= self.max_url_seconds <= MAX_URL_SECONDS:
            raise ValueError(
                f"policy {self.name!r}: {MIN_URL_SECONDS} <= url_seconds <= max_url_seconds"
                f" <= {MAX_URL_SECONDS} does not hold"
            )
        if self.upload_seconds < self.url_seconds:
            raise ValueError(f"policy {self.name!r}: upload_seconds is shorter than url_seconds")
        if self.upload_seconds > MAX_UPLOAD_SECONDS:
            raise ValueError(
                f"policy {self.name!r}: upload_seconds is more than {MAX_UPLOAD_SECONDS}, a year"
            )
        if not self.content_types:
            raise ValueError(f'policy {self.name!r}: content_types is empty; ["*"] allows all')

    @classmethod
    def from_mapping(cls, name: str, rules: Mapping[str, Any]) -> Self:
        """A policy from a table of a policy file. Raises ValueError for a rule it does not know."""
        wanted = {**{f.name: type(f.default) for f in fields(cls)}, "bucket": str}
        if unknown := set(rules) - set(wanted) | ({"name"} & set(rules)):
            raise ValueError(f"policy {name!r}: no rule is called {', '.join(sorted(unknown))}")
        values: dict[str, Any] = {
            rule: tuple(v) if isinstance(v, list) else v for rule, v in rules.items()
        }
        for rule, value in values.items():
            if type(value) is not wanted[rule]:
                raise ValueError(f"policy {name!r}: {rule} is no {wanted[rule].__name__}")
            if isinstance(value, tuple) and not all(isinstance(each, str) for each in value):
                raise ValueError(f"policy {name!r}: {rule} is no list of str")
        return cls(name=name, **values)

    def allows_type(self, content_type: str) -> bool:
        """Whether the media type, without its parameters, matches one of `content_types`."""
        bare = content_type.partition(";")[0].strip().lower()
        return any(fnmatchcase(bare, pattern.lower()) for pattern in self.content_types)

    @property
    def key_prefix(self) -> str:
        """What all keys begin with: the template up to its first field."""
        prefix = ""
        for literal, name, _, _ in Formatter().parse(self.key_template):
            prefix += literal
            if name is not None:
                break
        return prefix

    def key(self, caller: Caller, sid: str, file_name: str, now: datetime) -> str:
        """The object's key. No text of the caller's can leave its own segment of it."""
        return self.key_template.format(
            tenant=caller.tenant,
            subject=safe_name(caller.subject),
            date=now.strftime("%Y/%m/%d"),
            sid=sid,
            name=safe_name(file_name),
        )


def _template_problem(template: str) -> str:
    """What is wrong with a key template, "" if nothing."""
    try:
        pieces = [piece for piece in Formatter().parse(template) if piece[1] is not None]
    except ValueError as error:
        return f"cannot be read: {error}"
    used = {name for _, name, _, _ in pieces}
    if used - _KEY_FIELDS:
        return f"knows only {sorted(_KEY_FIELDS)}"
    if any(spec or conversion for _, _, spec, conversion in pieces):
        return "takes no format: it could cut what keeps keys apart"
    if not {"tenant", "date", "sid"} <= used:
        return (
            "needs {tenant}, {date} and {sid}, so that tenants stay apart and no key is used twice"
        )
    if any(unicodedata.category(character) == "Cc" for character in template):
        return "has a control character"
    if {"", ".", ".."} & set(template.split("/")):
        return "has a segment that is empty or a dot"
    if len(template.format_map(_LONGEST).encode()) > MAX_KEY_BYTES:
        return f"can make keys of more than {MAX_KEY_BYTES} bytes"
    return ""


def load_policies(path: Path, bucket: str) -> dict[str, Policy]:
    """The policies of a TOML file, one table each; `bucket` stands in where none is named.

    Raises ValueError, or OSError if the file cannot be read.
    """
    tables = tomllib.loads(path.read_text("utf-8"))
    if loose := [name for name, rules in tables.items() if not isinstance(rules, dict)]:
        raise ValueError(f"{', '.join(loose)}: not a table of rules; begin one with [default]")
    return {
        name: Policy.from_mapping(name, {"bucket": bucket, **rules})
        for name, rules in tables.items()
    }


def valid_tenant(tenant: str) -> bool:
    """Whether a tenant can stand in a key: 1 to 64 of `A-Z a-z 0-9 . _ -`, no leading dot."""
    return _TENANT.fullmatch(tenant) is not None


def safe_name(name: str) -> str:
    """A form of `name` that is one harmless segment of a key, and still tells a person what it was.

    Letters, their marks and digits of any script stay, so do dots, dashes and underscores; runs of
    anything else become one underscore. At most 200 bytes of UTF-8; the extension survives.
    """
    kept = (c if _harmless(c) else "_" for c in unicodedata.normalize("NFC", name))
    clean = re.sub(r"_+", "_", re.sub(r"\.{2,}", ".", "".join(kept))).lstrip("._").rstrip("._")
    if not clean:
        return "file"
    stem, dot, extension = clean.rpartition(".")
    if not stem or len(extension.encode()) > 20:
        return _cut(clean, MAX_NAME_BYTES)
    return _cut(stem, MAX_NAME_BYTES - len(extension.encode()) - 1) + dot + extension


def _harmless(character: str) -> bool:
    # A mark belongs to the letter before it: without its vowels a Hindi word is another one.
    mark = unicodedata.category(character).startswith("M")
    return mark or character.isalnum() or character in "._-"


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore").rstrip("._")
