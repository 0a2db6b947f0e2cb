"""PresignParts: choose the parts, and sign them batch by batch as the caller takes them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from partway_server.domain.grant import Caller
from partway_server.domain.part_plan import Plan, gaps, leading, unroll
from partway_server.domain.quota import Limit
from partway_server.domain.steps import in_turns
from partway_server.domain.upload import Upload
from partway_server.storage.base import PresignedPart, Presigner
from partway_server.workflow.deps import Deps
from partway_server.workflow.leases import ORPHAN_URL_SECONDS
from partway_server.workflow.part_checks import (
    check_checksums,
    check_ranges,
    check_sent,
    planned,
    refusal,
)
from partway_server.workflow.rate_limits import RateLimits
from partway_server.workflow.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Selection:
    """The parts to presign: (first, last) ranges, or none for all that storage does not hold.

    `within` are the first and the last part that the caller may presign, None for any.
    """

    ranges: Sequence[tuple[int, int]] = ()
    checksums: Mapping[int, bytes] | None = None
    lifetime: timedelta | None = None
    limit: int | None = None
    within: tuple[int, int] | None = None


class PresignedParts:
    """The selected parts of one call, signed when they are taken.

    Kept as ranges: a hundred streams of ten thousand numbers each would be tens of megabytes.
    """

    def __init__(
        self,
        plan: Plan,
        ranges: Sequence[tuple[int, int]],
        checksums: Mapping[int, bytes],
        signer: Presigner,
    ) -> None:
        self.plan = plan
        self.expire_time: datetime = signer.expire_time
        self.remaining = sum(last - first + 1 for first, last in ranges)
        self._signed: Iterator[PresignedPart] = signer.sign(unroll(ranges), checksums)

    def take(self, count: int) -> list[PresignedPart]:
        """Sign the next `count` parts, or those that remain."""
        taken = list(islice(self._signed, count))
        self.remaining -= len(taken)
        return taken

    def take_all(self) -> list[PresignedPart]:
        """Sign all parts that remain."""
        return self.take(self.remaining)


class Presign:
    """Presigns parts, as the policy allows and as storage needs them."""

    def __init__(self, deps: Deps, resolver: Resolver, rates: RateLimits) -> None:
        self._deps = deps
        self._resolver = resolver
        self._rates = rates

    async def __call__(
        self, caller: Caller, upload_id: str, selection: Selection
    ) -> PresignedParts:
        """Select parts of an ACTIVE upload and prepare to sign them.

        Raises InvalidRequest, UploadNotFound, UploadNotActive, QuotaExceeded.
        """
        return await self._prepare(await self._resolver.load_active(caller, upload_id), selection)

    async def opened(self, upload: Upload, selection: Selection) -> PresignedParts:
        """Do the same for an upload that was just opened or read, without another look at it."""
        return await self._prepare(self._resolver.active(upload), selection)

    async def _prepare(self, upload: Upload, selection: Selection) -> PresignedParts:
        grant = upload.grant
        checksums = selection.checksums or {}
        # One time for the policy and the signature: taken before storage is asked.
        now = self._deps.clock.now()
        policy = self._deps.policies.get(grant.policy)
        check_sent(grant.plan)
        if selection.ranges:
            check_ranges(selection.ranges, grant.plan, selection.within)
            ranges = selection.ranges
        else:
            ranges = await self._missing(upload, selection)
        await in_turns(check_checksums(grant.checksum, unroll(ranges), checksums))
        longest = policy.max_url_seconds if policy else ORPHAN_URL_SECONDS
        default = policy.url_seconds if policy else longest
        lifetime = selection.lifetime or timedelta(seconds=default)
        if lifetime.total_seconds() > longest:
            raise refusal("url_lifetime", f"the policy allows at most {longest} seconds")
        count = sum(last - first + 1 for first, last in ranges)
        await self._rates.take(grant.caller, Limit.PARTS_PER_MINUTE, count)
        signer = await self._deps.storage.presigner(grant, lifetime, now)
        return PresignedParts(grant.plan, ranges, checksums, signer)

    async def _missing(self, upload: Upload, selection: Selection) -> Sequence[tuple[int, int]]:
        """Return ranges of the first parts that storage does not hold as planned."""
        plan = upload.grant.plan
        stored = await self._resolver.stored(upload)
        held = {part.number for part in await in_turns(planned(plan, stored))}
        first, last = selection.within or (1, plan.part_count)
        missing = gaps(held, (max(first, 1), min(last, plan.part_count)))
        return list(missing if selection.limit is None else leading(missing, selection.limit))
