"""Enforce what a tenant, and a subject, may take in a time: calls, presigned parts, bytes.

The tokens are in Redis, for all processes together. A process takes a few at once, a tenth of a
second's worth, so that most calls ask nothing; and nothing is asked for what has no limit. While
Redis does not answer, no rate is enforced: calls that need no Redis go on.
"""

import asyncio
import logging
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from partway_server.domain.concurrency import RecentCounts
from partway_server.domain.errors import QuotaExceeded, SessionsUnavailable
from partway_server.domain.grant import Caller
from partway_server.domain.quota import RATES, Bucket, Limit, Owner, Rate, bucket_of
from partway_server.workflow.deps import Deps

_PATIENCE_SECONDS = 0.25
_KEPT = timedelta(seconds=1)
_REFUSED = timedelta(seconds=0.1)
_AWAY = timedelta(seconds=1)
_BATCHES_A_SECOND = 10
_MOST_REMEMBERED = 20_000
_NEVER = datetime.fromtimestamp(0, UTC)

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Purse:
    """The tokens of a bucket that this process holds, until `kept_until`.

    While `empty_until` lies ahead, Redis is not asked again; there may be tokens at `retry_at`.
    """

    tokens: int = 0
    kept_until: datetime = _NEVER
    empty_until: datetime = _NEVER
    retry_at: datetime = _NEVER
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimits:
    """The rates of all callers, as far as this process takes part in them."""

    def __init__(self, deps: Deps) -> None:
        self._limits = deps.limits
        self._sessions = deps.sessions
        self._clock = deps.clock
        self._purses: dict[Bucket, _Purse] = {}
        self._away_until = _NEVER
        self.recent = RecentCounts()

    async def take(self, caller: Caller, limit: Limit, amount: int = 1) -> None:
        """Take so many tokens of the subject and of the tenant. Raises QuotaExceeded."""
        limits, seconds = self._limits.of(caller.tenant), RATES[limit]
        taken: list[_Purse] = []
        for owner in (Owner.SUBJECT, Owner.TENANT):
            if not (most := limits.of(owner).of(limit)):
                continue
            bucket = bucket_of(owner, caller, limit)
            purse = self._purse(bucket)
            try:
                async with purse.lock:
                    await self._take(purse, bucket, Rate(most, seconds), amount)
            except QuotaExceeded:
                for earlier in taken:
                    earlier.tokens += amount
                raise
            taken.append(purse)
        for owner in Owner:
            self.recent.add(bucket_of(owner, caller, limit), amount, seconds, self._clock.now())

    async def take_each(
        self, caller: Caller, limit: Limit, count: int
    ) -> tuple[int, QuotaExceeded | None]:
        """Take one token for each of so many calls at once, as far as there are any.

        Returns for how many there was one, and what the others are refused with.
        """
        limits, seconds = self._limits.of(caller.tenant), RATES[limit]
        granted, refusal = count, None
        taken: list[tuple[_Purse, int]] = []
        for owner in (Owner.SUBJECT, Owner.TENANT):
            if not (most := limits.of(owner).of(limit)):
                continue
            bucket = bucket_of(owner, caller, limit)
            purse = self._purse(bucket)
            async with purse.lock:
                own, refused = await self._take_most(purse, bucket, Rate(most, seconds), granted)
            taken.append((purse, own))
            if refused is not None:
                granted, refusal = own, refused
        for purse, own in taken:
            purse.tokens += own - granted
        for owner in Owner:
            self.recent.add(bucket_of(owner, caller, limit), granted, seconds, self._clock.now())
        return granted, refusal

    async def _take_most(
        self, purse: _Purse, bucket: Bucket, rate: Rate, amount: int
    ) -> tuple[int, QuotaExceeded | None]:
        """Take up to `amount` tokens; return how many, and the refusal of the next."""
        taken = 0
        while taken < amount:
            try:
                await self._take(purse, bucket, rate, 1, welcome=amount - taken)
            except QuotaExceeded as refusal:
                return taken, refusal
            more = min(purse.tokens, amount - taken - 1)
            purse.tokens -= more
            taken += 1 + more
        return taken, None

    async def _take(
        self, purse: _Purse, bucket: Bucket, rate: Rate, amount: int, welcome: int = 0
    ) -> None:
        now = self._clock.now()
        if now >= purse.kept_until:
            purse.tokens = 0
        if purse.tokens >= amount:
            purse.tokens -= amount
            return
        if now < purse.empty_until:
            raise _refusal(bucket, rate, purse.retry_at - now)
        if now < self._away_until:
            return
        needed = amount - purse.tokens
        batch = math.ceil(rate.amount / rate.seconds / _BATCHES_A_SECOND)
        welcome = max(needed, welcome, batch)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                granted, wait = await self._sessions.take_tokens(bucket, rate, needed, welcome)
        except (TimeoutError, SessionsUnavailable):
            self._away_until = now + _AWAY
            logger.warning("rates are not enforced while Redis does not answer")
            return
        if not granted:
            purse.retry_at = now + timedelta(seconds=wait)
            purse.empty_until = min(purse.retry_at, now + _REFUSED)
            raise _refusal(bucket, rate, purse.retry_at - now)
        purse.tokens += granted - amount
        purse.kept_until = now + _KEPT

    def _purse(self, bucket: Bucket) -> _Purse:
        if (purse := self._purses.get(bucket)) is None:
            if len(self._purses) >= _MOST_REMEMBERED:
                # What they hold is lost, a tenth of a second's worth each.
                self._purses.clear()
            purse = self._purses[bucket] = _Purse()
        return purse


def _refusal(bucket: Bucket, rate: Rate, wait: timedelta) -> QuotaExceeded:
    seconds = max(wait.total_seconds(), 0.001)
    return QuotaExceeded(
        bucket.limit, rate.amount, rate.amount, owner=bucket.owner, retry_seconds=seconds
    )
