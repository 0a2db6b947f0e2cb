"""PARTWAY_ variables that are no setting, so that a misspelt one is not ignored in silence."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from partway_server.config.suggestion import did_you_mean

PREFIX = "PARTWAY_"

CLIENT_VARIABLES = frozenset(
    {
        "PARTWAY_CERT",
        "PARTWAY_CONFIG",
        "PARTWAY_KEY",
        "PARTWAY_LIMIT_RATE",
        "PARTWAY_PART_SIZE",
        "PARTWAY_PROFILE",
        "PARTWAY_SERVER",
        "PARTWAY_STATE_DIR",
        "PARTWAY_SUBJECT",
        "PARTWAY_TENANT",
        "PARTWAY_TOKEN",
        "PARTWAY_TOKEN_COMMAND",
        "PARTWAY_TOKEN_FILE",
        "PARTWAY_UPLOAD_ID",
        "PARTWAY_TLS",
        "PARTWAY_TLS_CA",
    }
)
"""The variables of the Python client, which may run in the same environment."""

_TESTS = "PARTWAY_TEST_"

_SERVICE_LINK = re.compile(
    r"PARTWAY(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)"
)
"""What Kubernetes sets for each Service whose name begins with partway
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)."""

_SEE = "see docs/reference/settings.md"

_LINKED_PORT = re.compile(r"PARTWAY(_\w+)?_PORT=(tcp|udp|sctp)://.*", re.DOTALL)
"""Such a variable too, with its value: an operator may take PARTWAY_PORT=50051 for a setting."""


def unknown_variables(
    environ: Mapping[str, str], known: Collection[str], files: Collection[str]
) -> list[str]:
    """Return a line for each PARTWAY_ variable that nothing reads, with the nearest known one.

    `files` are those that name variables of their own: of policies and webhooks.
    """
    unknown = {
        name
        for name, value in environ.items()
        if name.startswith(PREFIX) and value.strip() and not _ignored(name, value)
    } - {*known, *CLIENT_VARIABLES}
    if unknown:
        try:
            unknown -= {variable for file in files if file for variable in _named_in(file)}
        except (OSError, ValueError, RecursionError):
            # It is reported where the file is read for its rules; which are known is unclear now.
            return []
    return [
        f"{name}: unknown setting; {did_you_mean(name, known, prefix=PREFIX) or _SEE}"
        for name in sorted(unknown)
    ]


def _ignored(name: str, value: str) -> bool:
    linked = _SERVICE_LINK.fullmatch(name) or _LINKED_PORT.fullmatch(f"{name}={value}")
    return name.startswith(_TESTS) or linked is not None


def _named_in(file: str) -> Iterator[str]:
    """Yield the variables that a file names, such as `secret_env = "PARTWAY_ORDERS_SECRET"`."""
    yield from _of_rules(tomllib.loads(Path(file).read_bytes().decode("utf-8-sig")))


def _of_rules(rules: Mapping[str, Any]) -> Iterator[str]:
    for rule, value in rules.items():
        if isinstance(value, dict):
            yield from _of_rules(value)
        elif rule.endswith("_env"):
            named = value if isinstance(value, list) else [value]
            yield from (each for each in named if isinstance(each, str))
