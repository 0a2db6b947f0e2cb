"""Reads settings from an environment and from flags, by pydantic-settings.

Import it late: it takes 100 ms of CPU, and the help of the command line needs none of it.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import Field, fields
from functools import cache, partial
from typing import Annotated, Any, Literal

import pydantic
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from partway_server.config.schema import Fault, SizeText, checked, validated
from partway_server.config.settings_validation import range_problem
from partway_server.config.unknown_variables import PREFIX


class _Model(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, validate_default=False, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out the process's own environment: `_Environment` reads the one that is given."""
        return (init_settings,)


class _Environment(EnvSettingsSource):
    def __init__(self, model: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(model)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        # An empty variable is one that is not set.
        given = {name: value.strip() for name, value in self._environ.items() if name.isupper()}
        return {name.lower(): value for name, value in given.items() if value}


def read_settings(
    table: type, environ: Mapping[str, str], overrides: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Fault]]:
    """Return the values that are set, and what is wrong with some of them.

    `table` is a dataclass of settings. An override that is None is not given; one that is "" means
    the default. A value that is wrong is returned as well if it has its setting's type, so that it
    can be shown.
    """
    model = _model(table)
    given = {**_Environment(model, environ)(), **_without(overrides, None)}
    values, faults = validated(model, _without(given, ""))
    types = {setting.name: setting.type for setting in fields(table)}
    for fault in faults:
        if fault.kind == "value_error":
            name = fault.path[0]
            kind: Any = types[name]
            # Text that is not a size cannot be shown as one.
            with suppress(pydantic.ValidationError):
                values[name] = pydantic.TypeAdapter(kind).validate_python(given[name])
    return values, faults


@cache
def _model(table: type) -> type[BaseSettings]:
    found: Any = {setting.name: _field(setting) for setting in fields(table)}
    return pydantic.create_model(table.__name__, __base__=_Model, **found)


def _field(setting: Field[Any]) -> tuple[Any, Any]:
    rules = setting.metadata
    kind: Any = Literal[rules["choices"]] if rules["choices"] else setting.type
    if rules["size"]:
        kind = SizeText
    for problem in _problems(rules):
        kind = Annotated[kind, checked(problem)]
    return kind, pydantic.Field(default=setting.default, repr=not rules["secret"])


def _problems(rules: Mapping[str, Any]) -> Iterable[Any]:
    if rules["bounds"]:
        yield partial(range_problem, *rules["bounds"])
    if rules["problem"]:
        yield rules["problem"]


def _without(values: Mapping[str, Any], left_out: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != left_out}
