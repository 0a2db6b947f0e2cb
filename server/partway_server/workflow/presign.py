"""Which parts are presigned, and how long their URLs work."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from partway_server.domain.clock import Clock
from partway_server.domain.part_plan import Plan, runs, unroll
from partway_server.domain.policy import Policy
from partway_server.domain.upload import Upload
from partway_server.storage.base import Presigner, Storage
from partway_server.workflow.freshness import Reader
from partway_server.workflow.part_checks import (
    as_planned,
    check_checksums,
    check_ranges,
    check_sent,
    refusal,
)

ORPHAN_URL_SECONDS = 900
"""How long URLs work at most where the Upload's policy is no longer configured."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The parts to presign: (first, last) runs, or none for all that storage does not hold."""

    ranges: Sequence[tuple[int, int]] = ()
    checksums: Mapping[int, bytes] | None = None
    lifetime: timedelta | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Presigned:
    """Parts ready to be signed: iterate `signer.sign(numbers, checksums)`, lazily.

    Kept as runs: a hundred streams of ten thousand numbers each would be tens of megabytes.
    """

    plan: Plan
    ranges: Sequence[tuple[int, int]]
    checksums: Mapping[int, bytes]
    signer: Presigner

    @property
    def count(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def numbers(self) -> Iterator[int]:
        return unroll(self.ranges)


class Selector:
    """Chooses what is signed, by the policy and by what storage holds."""

    def __init__(
        self, *, policies: Mapping[str, Policy], storage: Storage, reader: Reader, clock: Clock
    ) -> None:
        self._policies = policies
        self._storage = storage
        self._reader = reader
        self._clock = clock

    async def select(self, upload: Upload, selection: Selection) -> Presigned:
        """Choose the parts of an ACTIVE Upload. Raises InvalidRequest, UploadNotActive."""
        grant, now = upload.grant, self._clock.now()
        policy = self._policies.get(grant.policy)
        checksums = selection.checksums or {}
        check_sent(grant.plan)
        if selection.ranges:
            check_ranges(selection.ranges, grant.plan)
            ranges = selection.ranges
        else:
            stored = await self._reader.stored(upload)
            held = {part.number for part in as_planned(grant.plan, stored)}
            missing = (n for n in grant.plan.numbers() if n not in held)
            ranges = runs(islice(missing, selection.limit))
        check_checksums(grant.checksum, unroll(ranges), checksums)
        most = policy.max_url_seconds if policy else ORPHAN_URL_SECONDS
        lifetime = selection.lifetime or timedelta(seconds=policy.url_seconds if policy else most)
        if lifetime.total_seconds() > most:
            raise refusal("url_lifetime", f"the policy allows {most} seconds")
        signer = await self._storage.presigner(grant, lifetime, now)
        return Presigned(grant.plan, ranges, checksums, signer)
