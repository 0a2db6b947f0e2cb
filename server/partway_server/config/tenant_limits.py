"""Limits of tenants: defaults in the settings, and `[tenant.NAME]` tables in the policy file."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from partway_server.config.schema import UNSET, Size, Table
from partway_server.config.settings import Settings
from partway_server.config.toml_file import TomlFile
from partway_server.domain.quota import Limit, Limits, Owner, TenantLimits

_NAME = re.compile(r"(?!\.)[A-Za-z0-9._*?\[\]!-]{1,64}")
"""A tenant's name, or a pattern of names."""

_MOST = 2**63 - 1


def _allowed(value: int) -> int:
    if value < 0:
        raise ValueError("is negative; write 0 for no limit")
    if value > _MOST:
        raise ValueError(f"is more than {_MOST}; write 0 for no limit")
    return value


_Count = Annotated[int, AfterValidator(_allowed)]
_Bytes = Annotated[Size, AfterValidator(_allowed)]


class TenantTable(Table):
    """The limits of a `[tenant.NAME]`; the settings have the defaults."""

    open_uploads: _Count = UNSET
    open_bytes: _Bytes = UNSET
    daily_bytes: _Bytes = UNSET
    parts_per_minute: _Count = UNSET
    calls_per_second: _Count = UNSET
    watches: _Count = UNSET
    streams: _Count = UNSET
    via_service: _Count = UNSET
    via_service_bytes_per_second: _Bytes = UNSET
    subject_open_uploads: _Count = UNSET
    subject_open_bytes: _Bytes = UNSET
    subject_daily_bytes: _Bytes = UNSET
    subject_parts_per_minute: _Count = UNSET
    subject_calls_per_second: _Count = UNSET
    subject_watches: _Count = UNSET
    subject_streams: _Count = UNSET
    subject_via_service: _Count = UNSET
    subject_via_service_bytes_per_second: _Bytes = UNSET


OF_TENANT = TenantTable.model_fields
"""The limits of a tenant, by their names in a file."""


def read_limits(toml: TomlFile) -> Mapping[str, Mapping[str, int]]:
    """Return the limits in each `[tenant.NAME]`, in the order of the file."""
    limits: dict[str, Mapping[str, int]] = {}
    for name, rules in toml.named("tenant"):
        if not _NAME.fullmatch(name):
            words = "is not a tenant or a pattern: use 1 to 64 of A-Z, a-z, 0-9, ., _, -, and * ?"
            toml.add(("tenant", name), words)
        limits[name], _ = toml.values(("tenant", name), rules, TenantTable)
    return limits


def default_limits(settings: Settings) -> TenantLimits:
    """Return the limits of a tenant that the policy file does not name."""
    tenant, subject = (
        Limits(**{limit.value: getattr(settings, f"{owner}_{limit}") for limit in Limit})
        for owner in (Owner.TENANT, Owner.SUBJECT)
    )
    return TenantLimits(tenant, subject)
