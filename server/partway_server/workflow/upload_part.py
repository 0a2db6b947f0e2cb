"""A part that passes through the service, where the policy allows it.

The caller is told that storage took the part only if it is not known to hold other bytes, and only
if no abort has overtaken it.
"""

from collections.abc import AsyncIterator, Mapping

from partway_server.domain import errors
from partway_server.domain.checksum import Checksum
from partway_server.domain.clock import Clock
from partway_server.domain.errors import UploadNotActive
from partway_server.domain.policy import Policy
from partway_server.domain.upload import State, Upload
from partway_server.observability.metrics import Metrics
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import (
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    Storage,
    StoredPart,
)
from partway_server.workflow.freshness import Reader
from partway_server.workflow.part_checks import (
    ExpectedPart,
    as_planned,
    check_checksum,
    check_number,
    check_sent,
    contradicted,
)
from partway_server.workflow.recovery import Loader
from partway_server.workflow.verified_stream import checked


class ViaService:
    """Passes parts on to storage as their bytes come."""

    def __init__(
        self,
        *,
        policies: Mapping[str, Policy],
        sessions: SessionStore,
        storage: Storage,
        loader: Loader,
        reader: Reader,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._policies = policies
        self._sessions = sessions
        self._storage = storage
        self._loader = loader
        self._reader = reader
        self._clock = clock
        self._metrics = metrics

    async def put(
        self, upload: Upload, number: int, checksum: bytes, chunks: AsyncIterator[bytes]
    ) -> StoredPart:
        """Pass on part `number` of an ACTIVE Upload, whose bytes are `chunks`.

        Raises InvalidRequest, UploadNotActive, ViaServiceOff, PartChanged, CompletedOtherwise,
        UploadBusy, and what `chunks` raise.
        """
        grant = upload.grant
        policy = self._policies.get(grant.policy)
        if policy is None or not policy.via_service:
            raise errors.ViaServiceOff(upload.sid, grant.policy)
        check_sent(grant.plan)
        check_number(number, grant.plan)
        check_checksum(grant.checksum, checksum)
        with self._metrics.part_via_service(policy.name):
            body = checked(
                chunks,
                grant=grant,
                number=number,
                checksum=checksum,
                passed=lambda size: self._metrics.passed_via_service(policy.name, size),
            )
            stored = await self._pass_on(upload, number, body, checksum)
            await self._passed(upload, number)
        return stored

    async def _pass_on(
        self, upload: Upload, number: int, body: AsyncIterator[bytes], checksum: bytes
    ) -> StoredPart:
        grant = upload.grant
        try:
            return await self._storage.put_part(grant, number, body, checksum, self._clock.now())
        except MultipartNotFound:
            await self._reader.lost(upload)
        except KeyContested:
            raise errors.UploadBusy(upload.sid) from None
        except KeyTaken:
            # Mostly by ourselves: an earlier try, whose answer was lost.
            if ours := as_planned(grant.plan, await self._reader.stored(upload)):
                return await self._sent_before(upload, ours[0], checksum)
            raise errors.StorageRefused("PutObject", "PreconditionFailed") from None

    async def _sent_before(self, upload: Upload, stored: StoredPart, checksum: bytes) -> StoredPart:
        """The object of a single PUT that is there, if it is not known to have other bytes."""
        named = ExpectedPart(stored.number, stored.size_bytes, "", checksum)
        other = contradicted(stored, [named])
        by_md5 = upload.grant.checksum is Checksum.MD5
        if other and (not by_md5 or await self._storage.etags_are_md5(upload.grant)):
            raise errors.CompletedOtherwise(upload.sid)
        return stored

    async def _passed(self, upload: Upload, number: int) -> None:
        """Count a part that storage took as reported.

        An abort may have overtaken it, of which a single PUT hears nothing from storage.
        """
        row = await self._sessions.report(upload, [number])
        if row is None:
            row = await self._loader.row(upload.grant)
        if row.state in (State.ABORTING, State.ABORTED):
            raise UploadNotActive(row.sid, row.public_state, row.abort_reason or "")
