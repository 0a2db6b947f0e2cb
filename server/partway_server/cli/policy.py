"""`partway-server policy check`: prints what a policy file amounts to, or all its problems."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import click

from partway_server.config.backends import Backend
from partway_server.config.load import default_backend, read_file
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.config.settings import Settings
from partway_server.domain.grant import Caller
from partway_server.domain.key_marks import SEGMENT_CHARS
from partway_server.domain.object_keys import METADATA, fields_of
from partway_server.domain.part_plan import GIB, MIB
from partway_server.domain.policy import Policy

NO_BUCKET = "PARTWAY_BUCKET"
"""Shown as the bucket of a policy that names none, if the settings have none either."""

_CALLER = Caller("acme", "alice")
_DAY = datetime(2026, 3, 1, tzinfo=UTC)
_UNITS = ((1024 * GIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (1024, "KiB"))


def check(file: str, settings: Settings, *, as_json: bool) -> bool:
    """Print what the file amounts to and return whether it can be used. Reads the file alone."""
    try:
        default = default_backend(settings)
        rules = read_file(file, bucket=settings.bucket or NO_BUCKET, default=default)
    except PolicyFileError as error:
        if as_json:
            problems = [asdict(problem) for problem in error.problems]
            click.echo(json.dumps({"file": file, "problems": problems}, indent=2))
        for line in error.lines:
            click.echo(f"partway-server: {line}", err=True)
        return False
    click.echo(json.dumps(_as_dict(file, rules), indent=2) if as_json else _as_text(rules))
    return True


def example_key(policy: Policy) -> str:
    """Return a key that the policy makes."""
    extension = next(iter(policy.extensions), "mp4")
    used = fields_of(policy.key_template)
    metadata = {key: f"my-{key}" for key in policy.key_metadata if METADATA + key in used}
    sid = ("9f86d081884c7d65" * 8)[:SEGMENT_CHARS]
    return policy.key(_CALLER, sid, f"film.{extension}", _DAY, metadata)


def _as_dict(file: str, rules: Rules) -> dict[str, Any]:
    return {
        "file": file,
        "problems": [],
        "policies": {
            name: {**_rules(policy), "example_key": example_key(policy)}
            for name, policy in rules.policies.items()
        },
        "backends": {name: _described(backend) for name, backend in rules.backends.items()},
    }


def _described(backend: Backend) -> dict[str, Any]:
    """Return the rules of a backend by the names that they have in a file, and its name."""
    found = {**asdict(backend), "kind": backend.known_as}
    del found["measured"]
    return found


def _rules(policy: Policy) -> dict[str, Any]:
    """Return the rules by the names that they have in a file."""
    found = {f.name: getattr(policy, f.name) for f in fields(policy) if f.name != "name"}
    found["checksum"] = found.pop("checksums")
    return found


def _as_text(rules: Rules) -> str:
    blocks = [_block(f"policy {name}", _shown(policy)) for name, policy in rules.policies.items()]
    for name, backend in rules.backends.items():
        shown = _described(backend)
        del shown["name"]
        shown["addressing"] = "path" if backend.in_path else "virtual"
        blocks.append(_block(f"backend {name}", {k: v or "-" for k, v in shown.items()}))
    return "\n\n".join(blocks)


def _shown(policy: Policy) -> dict[str, str]:
    shown = {rule: _text(rule, value) for rule, value in _rules(policy).items()}
    return {**shown, "example key": example_key(policy)}


def _block(title: str, lines: Mapping[str, str]) -> str:
    width = max(map(len, lines))
    return "\n".join([title, *(f"  {name:<{width}}  {words}" for name, words in lines.items())])


def _text(rule: str, value: Any) -> str:
    if rule.endswith("_bytes"):
        return _size(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        shown = {k: v if isinstance(v, str) else " or ".join(v) for k, v in value.items()}
        return ", ".join(f"{k} = {v}" for k, v in shown.items()) or "-"
    if isinstance(value, tuple):
        return ", ".join(value) or "-"
    return str(value) or "-"


def _size(value: int) -> str:
    for size, unit in _UNITS:
        if value and value % size == 0:
            return f"{value // size} {unit}"
    return f"{value:,} bytes"
