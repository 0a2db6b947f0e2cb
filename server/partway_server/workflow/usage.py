"""GetUsage: how much of each limit a caller's tenant, and the caller itself, use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from partway_server.domain.concurrency import ConcurrencyCounts
from partway_server.domain.grant import Caller
from partway_server.domain.quota import CONCURRENT, RATES, Limit, Owner, bucket_of
from partway_server.domain.usage import Usage
from partway_server.workflow.deps import Deps
from partway_server.workflow.rate_limits import RateLimits


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """How much of a limit is used; `maximum` is 0 if there is no limit."""

    limit: Limit
    used: int
    maximum: int


class GetUsage:
    """Reads what is used: uploads from Redis, all else as this process counts it."""

    def __init__(self, deps: Deps, rates: RateLimits, concurrency: ConcurrencyCounts) -> None:
        self._deps = deps
        self._rates = rates
        self._concurrency = concurrency

    async def __call__(self, caller: Caller) -> Mapping[Owner, Sequence[LimitUsage]]:
        """Return an entry for each limit, in the order of `Limit`."""
        usage = await self._deps.sessions.usage(caller)
        return {
            Owner.TENANT: self._entries(Owner.TENANT, caller, usage.tenant),
            Owner.SUBJECT: self._entries(Owner.SUBJECT, caller, usage.subject),
        }

    def _entries(self, owner: Owner, caller: Caller, usage: Usage) -> list[LimitUsage]:
        limits, now = self._deps.limits.of(caller.tenant).of(owner), self._deps.clock.now()
        entries = []
        for limit in Limit:
            bucket = bucket_of(owner, caller, limit)
            if limit in CONCURRENT:
                used = self._concurrency.of(bucket)
            elif limit in RATES:
                used = self._rates.recent.of(bucket, RATES[limit], now)
            else:
                used = getattr(usage, limit)
            entries.append(LimitUsage(limit, used, limits.of(limit)))
        return entries
