"""Capability records in files: the doctor writes what it measured, and a backend may name it.

A file has the name of the record that it begins with, `like`, and what was found to differ or to
agree; all else is as in that record.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from partway_server.config.suggestion import did_you_mean
from partway_server.domain.checksum import Checksum
from partway_server.storage.capabilities import KNOWN, Capabilities

CHECKSUMS, LIKE, SECONDS, SOURCE = "checksums", "like", "multipart_seconds", "source"

FLAGS = frozenset(field.name for field in fields(Capabilities) if field.type in (bool, "bool"))
"""What a store does or does not do."""

_ALLOWED = FLAGS | {CHECKSUMS, LIKE, SECONDS, SOURCE}


class CapabilityFileError(ValueError):
    """A file with a record cannot be used. The text says why."""


def read_record(path: str) -> Capabilities:
    """Return the record in a file. Raises CapabilityFileError."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CapabilityFileError(f"{path} cannot be read: {error.strerror}") from None
    return parse_record(content, path)


def parse_record(content: bytes, name: str) -> Capabilities:
    """Return the record that a file of that name contains. Raises CapabilityFileError."""
    try:
        found = tomllib.loads(content.decode("utf-8"))
    except ValueError as error:
        raise CapabilityFileError(f"{name} is not TOML: {error}") from None
    if problem := _problem(found):
        raise CapabilityFileError(f"{name}: {problem}")
    base = KNOWN[found.pop(LIKE)]
    checksums = frozenset(map(Checksum, found.pop(CHECKSUMS, base.checksums)))
    return replace(base, **{SOURCE: name, **found, CHECKSUMS: checksums})


def record_text(like: str, source: str, measured: Mapping[str, bool | frozenset[Checksum]]) -> str:
    """Return a file with what was measured."""
    lines = [
        "# Written by `partway-server doctor --write-record`. What is not here is as in the record",
        "# that `like` names. PARTWAY_BACKEND_RECORD, or `record` of a backend, names this file.",
        f'{SOURCE} = "{source}"',
        f'{LIKE} = "{like}"',
    ]
    for name, value in sorted(measured.items()):
        text = str(value).lower() if isinstance(value, bool) else str(sorted(map(str, value)))
        lines.append(f"{name} = {text}".replace("'", '"'))
    return "\n".join(lines) + "\n"


def _problem(found: Mapping[str, Any]) -> str:
    """Return what is wrong with the content of a file, "" if nothing is."""
    for name, value in found.items():
        if name not in _ALLOWED:
            return " ".join([f"unknown {name!r}", did_you_mean(name, _ALLOWED)]).strip()
        if name in FLAGS and not isinstance(value, bool):
            return f"{name} is neither true nor false"
    if (like := found.get(LIKE)) not in KNOWN:
        return f"{LIKE} is {like!r}; known are {', '.join(sorted(KNOWN))}"
    seconds = found.get(SECONDS, 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        return f"{SECONDS} is not a number of seconds, 0 or more"
    if not isinstance(found.get(SOURCE, ""), str):
        return f"{SOURCE} is not text"
    named = found.get(CHECKSUMS, [])
    known = {str(each) for each in Checksum}
    if not isinstance(named, list) or not known.issuperset(map(str, named)):
        return f"{CHECKSUMS} is not a list of {', '.join(sorted(known))}"
    return ""
