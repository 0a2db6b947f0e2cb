"""UploadPart: a part that passes through the service, where the policy allows it.

The caller is answered that storage took the part only if storage is not known to hold other bytes,
and only if no abort has overtaken it.
"""

from collections.abc import AsyncIterator

from partway_server.domain import errors
from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import UploadNotActive
from partway_server.domain.grant import Caller
from partway_server.domain.quota import Limit
from partway_server.domain.steps import finish
from partway_server.domain.upload import State, Upload
from partway_server.storage.base import KeyContested, KeyTaken, MultipartNotFound, StoredPart
from partway_server.workflow.deps import Deps
from partway_server.workflow.part_checks import (
    ExpectedPart,
    as_planned,
    check_checksum,
    check_number,
    check_sent,
    contradicted,
)
from partway_server.workflow.rate_limits import RateLimits
from partway_server.workflow.resolver import Resolver
from partway_server.workflow.upload_pace import UploadPace, fast_enough
from partway_server.workflow.verified_stream import checked


class UploadPart:
    """Forwards parts to storage as their bytes arrive."""

    def __init__(self, deps: Deps, resolver: Resolver, rates: RateLimits) -> None:
        self._deps = deps
        self._storage = deps.storage
        self._resolver = resolver
        self._rates = rates

    async def __call__(
        self,
        caller: Caller,
        upload_id: str,
        number: int,
        checksum: bytes,
        chunks: AsyncIterator[bytes],
        within: tuple[int, int] | None = None,
    ) -> StoredPart:
        """Forward part `number` of an ACTIVE upload, whose bytes are `chunks`.

        `within` are the first and the last part that the caller may send, None for any.

        Nothing is read of `chunks` before the upload and its policy allow it; whatever fails,
        storage keeps none of it. Raises InvalidRequest, UploadNotFound, UploadNotActive,
        ViaServiceOff, QuotaExceeded, PartChanged, PartTooSlow, CompletedOtherwise, UploadBusy, and
        what `chunks` raise.
        """
        upload = await self._resolver.load_active(caller, upload_id)
        grant, metrics = upload.grant, self._deps.metrics
        policy = self._deps.policies.get(grant.policy)
        if policy is None or not policy.via_service:
            raise errors.ViaServiceOff(upload.sid, grant.policy)
        check_sent(grant.plan)
        check_number(number, grant.plan, within)
        check_checksum(grant.checksum, checksum)
        size = grant.plan.size(number)
        await self._rates.take(caller, Limit.VIA_SERVICE_BYTES_PER_SECOND, size)
        pace = UploadPace(self._deps.least_rate, self._deps.monotonic)
        with metrics.part_via_service(policy.name):
            body = checked(
                fast_enough(chunks, pace, lambda: errors.PartTooSlow(upload.sid, number)),
                grant=grant,
                number=number,
                checksum=checksum,
                passed=lambda size: metrics.passed_via_service(policy.name, size),
            )
            stored = await self._forward(upload, number, body, checksum)
            await self._report(upload, number)
        return stored

    async def _forward(
        self, upload: Upload, number: int, body: AsyncIterator[bytes], checksum: bytes
    ) -> StoredPart:
        grant, now = upload.grant, self._deps.clock.now()
        try:
            return await self._storage.put_part(grant, number, body, checksum, now)
        except MultipartNotFound:
            await self._resolver.lost(upload)
        except KeyContested:
            raise errors.UploadBusy(upload.sid) from None
        except KeyTaken:
            # Mostly by ourselves: an earlier attempt, whose answer was lost.
            if ours := as_planned(grant.plan, await self._resolver.stored(upload)):
                return await self._sent_before(upload, ours[0], checksum)
            raise errors.StorageRefused("PutObject", "PreconditionFailed") from None

    async def _sent_before(self, upload: Upload, stored: StoredPart, checksum: bytes) -> StoredPart:
        """Return the object of a single PUT that is there, unless it has other bytes."""
        named = ExpectedPart(stored.number, stored.size_bytes, "", checksum)
        other = finish(contradicted([stored], [named]))
        by_md5 = upload.grant.checksum is Checksum.MD5
        if other and (not by_md5 or await self._storage.etags_are_md5(upload.grant)):
            raise errors.CompletedOtherwise(upload.sid)
        return stored

    async def _report(self, upload: Upload, number: int) -> None:
        """Count a part that storage took as reported.

        Raises UploadNotActive if an abort has overtaken it, which storage does not say of a single
        PUT.
        """
        row = await self._deps.sessions.report(upload, [number])
        if row is None:
            row = await self._resolver.row(upload.grant)
        if row.state in (State.ABORTING, State.ABORTED):
            raise UploadNotActive(row.sid, row.public_state, row.abort_reason or "")
