"""How much a tenant, and each of its subjects, may take: the limits, and who has which."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from partway_server.domain.errors import QuotaExceeded
from partway_server.domain.grant import Caller
from partway_server.domain.usage import CallerUsage, Usage

SUBJECT_PREFIX = "subject_"
"""What the name of a limit begins with in a `[tenant.NAME]` table, if it is for each subject."""

UNVERIFIED_SHARE = 512
"""Which fraction of a limit a process may use up before it reads what others have used.

A process may do so again when it has read, while what it added before is still on its way to Redis:
so a quarter as many processes use up half a limit at most before one of them sees it.
"""

_MOST_REMEMBERED = 10_000


class Limit(StrEnum):
    """A limit, by its name in settings, files, errors and usage."""

    OPEN_UPLOADS = "open_uploads"
    OPEN_BYTES = "open_bytes"
    DAILY_BYTES = "daily_bytes"
    PARTS_PER_MINUTE = "parts_per_minute"
    CALLS_PER_SECOND = "calls_per_second"
    WATCHES = "watches"
    STREAMS = "streams"
    VIA_SERVICE = "via_service"
    VIA_SERVICE_BYTES_PER_SECOND = "via_service_bytes_per_second"


RATES: Mapping[Limit, int] = {
    Limit.PARTS_PER_MINUTE: 60,
    Limit.CALLS_PER_SECOND: 1,
    Limit.VIA_SERVICE_BYTES_PER_SECOND: 1,
}
"""The limits on how much in a time, with that time in seconds."""

CONCURRENT = (Limit.WATCHES, Limit.STREAMS, Limit.VIA_SERVICE)
"""The limits on how many at a time, which each process counts for itself."""


class Owner(StrEnum):
    """Whom a limit is for."""

    TENANT = "tenant"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one owner; 0 is no limit."""

    open_uploads: int = 0
    open_bytes: int = 0
    daily_bytes: int = 0
    parts_per_minute: int = 0
    calls_per_second: int = 0
    watches: int = 0
    streams: int = 0
    via_service: int = 0
    via_service_bytes_per_second: int = 0

    def of(self, limit: Limit) -> int:
        """Return the maximum, 0 for none."""
        most: int = getattr(self, limit)
        return most


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """The limits of a tenant as a whole, and of each of its subjects."""

    tenant: Limits = Limits()
    subject: Limits = Limits()

    def of(self, owner: Owner) -> Limits:
        return self.tenant if owner is Owner.TENANT else self.subject

    def changed(self, values: Mapping[str, int]) -> "TenantLimits":
        """Return the limits with those of a `[tenant.NAME]` table in place of these."""
        own = {name: most for name, most in values.items() if not name.startswith(SUBJECT_PREFIX)}
        each = {
            name.removeprefix(SUBJECT_PREFIX): most
            for name, most in values.items()
            if name.startswith(SUBJECT_PREFIX)
        }
        return TenantLimits(replace(self.tenant, **own), replace(self.subject, **each))


class LimitRegistry:
    """The limits in force, which a reload replaces while the service runs.

    `overrides` are the `[tenant.NAME]` tables, where NAME may be a pattern. A tenant has those of
    the table with its very name or else of the first pattern that matches, and never of two; for
    the rest `defaults` apply.
    """

    def __init__(
        self,
        defaults: TenantLimits | None = None,
        overrides: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        self._defaults = defaults or TenantLimits()
        self._overrides: Mapping[str, Mapping[str, int]] = {}
        self._known: dict[str, TenantLimits] = {}
        self.replace(overrides or {})

    def replace(self, overrides: Mapping[str, Mapping[str, int]]) -> None:
        """Put these overrides in force, and no others."""
        self._overrides = dict(overrides)
        self._known = {}

    def of(self, tenant: str) -> TenantLimits:
        """Return the limits of a tenant."""
        if (found := self._known.get(tenant)) is None:
            if len(self._known) == _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[tenant] = self._found(tenant)
        return found

    def _found(self, tenant: str) -> TenantLimits:
        matching = (name for name in self._overrides if fnmatchcase(tenant, name))
        name = tenant if tenant in self._overrides else next(matching, "")
        values = self._overrides.get(name)
        return self._defaults.changed(values) if values else self._defaults


@dataclass(frozen=True, slots=True)
class Rate:
    """So many tokens in so many seconds; as many may be taken at once after a pause."""

    amount: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The tokens of one rate of a tenant or, if `subject` is not None, of that subject."""

    limit: Limit
    tenant: str
    subject: str | None = None

    @property
    def owner(self) -> Owner:
        return Owner.TENANT if self.subject is None else Owner.SUBJECT


def bucket_of(owner: Owner, caller: Caller, limit: Limit) -> Bucket:
    """Return what counts a limit of the caller, as its tenant or as its subject."""
    return Bucket(limit, caller.tenant, None if owner is Owner.TENANT else caller.subject)


def check_usage(limits: TenantLimits, usage: CallerUsage, *, seconds_of_day_left: float) -> None:
    """Raise QuotaExceeded if the usage, with what is asked for, exceeds a limit."""
    for owner, limit, used, most in _limited(limits, usage):
        if used > most:
            wait = seconds_of_day_left if limit is Limit.DAILY_BYTES else None
            raise QuotaExceeded(limit, used, most, owner=owner, retry_seconds=wait)


def is_far(limits: TenantLimits, usage: CallerUsage, unverified: CallerUsage) -> bool:
    """Return whether the usage is so far from every limit that it need not be verified.

    `unverified` is what this process has added since it read the usage, which includes it.
    """
    spent = {(owner, limit): used for owner, limit, used, _ in _limited(limits, unverified)}
    return all(
        used * 2 <= most and spent[owner, limit] * UNVERIFIED_SHARE <= most
        for owner, limit, used, most in _limited(limits, usage)
    )


def limits_uploads(limits: TenantLimits) -> bool:
    """Return whether there is any limit on open uploads, their bytes, or those of a day."""
    return any(True for _ in _limited(limits, CallerUsage()))


def _limited(limits: TenantLimits, usage: CallerUsage) -> Iterator[tuple[Owner, Limit, int, int]]:
    """Yield whose limit, which, how much is used, and of how much, for those that exist."""
    for owner, used in ((Owner.TENANT, usage.tenant), (Owner.SUBJECT, usage.subject)):
        own = limits.of(owner)
        for counted in fields(Usage):
            limit = Limit(counted.name)
            if most := own.of(limit):
                yield owner, limit, getattr(used, counted.name), most
