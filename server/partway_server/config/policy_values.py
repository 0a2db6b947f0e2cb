"""The values in a policy file: from what TOML holds to what rules are made of."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import GIB, MIB
from partway_server.domain.policy import known_types

_SIZE = re.compile(r"([0-9]{1,30}) ?(KiB|MiB|GiB|TiB)")
_UNITS = {"KiB": 1024, "MiB": MIB, "GiB": GIB, "TiB": 1024 * GIB}

Read = Callable[[Any], Any]
"""From a value of TOML to that of a rule. Raises ValueError, in words."""


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is {_kind(value)}, not a string; put it in quotes")
    return value


def whole(value: Any) -> int:
    # A truth value is an int to Python.
    if type(value) is not int:
        raise ValueError(f"is {_kind(value)}, not a whole number")
    return value


def size(value: Any) -> int:
    """Bytes: a number, or a string such as `5GiB`."""
    if isinstance(value, str):
        if not (found := _SIZE.fullmatch(value)):
            raise ValueError(f'{value!r} is no size; write a number of bytes, or as "5GiB"')
        return int(found[1]) * _UNITS[found[2]]
    return whole(value)


def truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is {_kind(value)}, not true or false")
    return value


def texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f'is {_kind(value)}, not a list of strings; write it as ["..."]')
    return tuple(value)


def table(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError(
            f'is {_kind(value)}, not a table of strings; write it as {{ key = "..." }}'
        )
    return value


def checksums(value: Any) -> tuple[Checksum, ...]:
    """One algorithm, or a list of them."""
    known = [each.value for each in Checksum if each is not Checksum.NONE]
    named = texts([value] if isinstance(value, str) else value)
    for each in named:
        if each not in known:
            raise ValueError(f"{each!r} is not known; known are {', '.join(known)}")
    if not named:
        raise ValueError("is empty, so nothing is allowed; leave the rule out to allow all")
    return tuple(map(Checksum, named))


def extensions(value: Any) -> Mapping[str, tuple[str, ...]]:
    """A list of extensions that Python knows the types of, or a table that says their types."""
    if isinstance(value, dict):
        return {name: texts([v] if isinstance(v, str) else v) for name, v in value.items()}
    return {name: known_types(name) for name in texts(value)}


def _kind(value: Any) -> str:
    kinds = {
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a fraction",
        list: "a list of other things",
        dict: "a table of other things",
    }
    return kinds.get(type(value), "a date or time")
