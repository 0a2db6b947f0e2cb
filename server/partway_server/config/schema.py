"""Validates what an operator wrote against a pydantic model, and words what is wrong with it.

Settings and the tables of TOML files pass through here, so that all of them report every problem
at once and in the same words. No ValidationError leaves this module: it holds its input, which may
be a secret.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from partway_server.config.suggestion import did_you_mean

UNSET: Any = None
"""The default of a key whose real default the domain decides."""

T = TypeVar("T")

Texts = Annotated[tuple[str, ...], Field(strict=False)]
"""A list of strings. Not strict: TOML has lists, not tuples."""

OneOrMore = Annotated[Texts, BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]
"""A string or a list of strings."""

_SIZE = re.compile(r"([0-9]{1,30}) ?(KiB|MiB|GiB|TiB)")
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def _bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not (found := _SIZE.fullmatch(value)):
        raise ValueError(f'{value!r} is not a size; write a number of bytes, or "5GiB"')
    return int(found[1]) * _UNITS[found[2]]


Size = Annotated[int, BeforeValidator(_bytes)]
"""Bytes: a number, or a string such as "5GiB"."""

SizeText = Annotated[int, BeforeValidator(lambda v: v if str(v).isdecimal() else _bytes(v))]
"""Bytes where everything is text: "5368709120" or "5GiB"."""

_EXPECTED = {
    "string_type": "a string; put it in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": 'a list of strings; write it as ["..."]',
    "dict_type": 'a table; write it as { key = "..." }',
}
"""What TOML should have held, by pydantic's type of error."""

_UNREADABLE = {
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "bool_parsing": "is neither true nor false",
    "literal_error": "is not {expected}",
}
"""What is wrong with text, by pydantic's type of error. No field with a secret has these types."""


class Fault(NamedTuple):
    """One problem: the key, with the keys inside it, and what is wrong. `kind` is pydantic's."""

    path: tuple[str, ...]
    words: str
    kind: str


class Table(BaseModel):
    """The keys that a table of a TOML file may have. TOML has types, so nothing is converted."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True
    )


def checked(problem: Callable[[T], str]) -> AfterValidator:
    """Return a validator for pydantic: `problem` says what is wrong with a value, or ""."""

    def check(value: T) -> T:
        if words := problem(value):
            raise ValueError(words)
        return value

    return AfterValidator(check)


def validated(
    model: type[BaseModel], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Fault]]:
    """Return the valid values of `given`, converted, and what is wrong with the others.

    No field of `model` may be required, so that the valid ones never depend on the others.
    """
    try:
        valid = model.model_validate(given)
    except ValidationError as error:
        faults = [_fault(each, model) for each in error.errors(include_url=False)]
    else:
        return {name: getattr(valid, name) for name in valid.model_fields_set}, []
    wrong = {fault.path[0] for fault in faults}
    rest = {name: value for name, value in given.items() if name not in wrong}
    return validated(model, rest)[0], faults


def _fault(error: ErrorDetails, model: type[BaseModel]) -> Fault:
    path = tuple(step for step in error["loc"] if isinstance(step, str))
    item = "".join(f"item {step + 1} " for step in error["loc"] if isinstance(step, int))
    return Fault(path, item + _words(error, path, model), error["type"])


def _words(error: ErrorDetails, path: tuple[str, ...], model: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return "; ".join(filter(None, ("unknown rule", did_you_mean(path[-1], model.model_fields))))
    if kind in _EXPECTED:
        return f"is {_kind_of(error['input'])}, not {_EXPECTED[kind]}"
    if kind in _UNREADABLE:
        return f"{error['input']!r} {_UNREADABLE[kind].format(**context)}"
    return f"is not valid: {error['msg']}"


def _kind_of(value: Any) -> str:
    kinds = {
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a fraction",
        list: "a list",
        dict: "a table",
    }
    return kinds.get(type(value), "a date or time")
