"""Compose: make one object of others, whose bytes storage copies into the parts of its upload.

A composed upload is an upload like any other, opened on the same path; only who sends its parts
differs. The sources are named by their upload IDs, which are the authority: an ID of the caller's
tenant that decrypts says where the object is and what it must carry, and storage proves that it is
there. Each part is copied on condition of the source's entity tag, and Complete compares the sizes
with the plan, so that what is joined is what was verified.

If the session record was lost, so were the sources; the caller's repeat of the request brings them
back.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from partway_server.domain import errors
from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import FieldViolation
from partway_server.domain.grant import Caller, CopySource, Grant
from partway_server.domain.policy import Policy
from partway_server.domain.requests import ComposeParams, UploadParams
from partway_server.domain.upload import AbortReason, State, Upload
from partway_server.storage.base import MultipartNotFound
from partway_server.workflow.complete import Complete
from partway_server.workflow.deps import Deps
from partway_server.workflow.discard import Discard
from partway_server.workflow.initialize import Initialize, Turn
from partway_server.workflow.leases import Leases
from partway_server.workflow.new_upload import find_policy, is_same_composition
from partway_server.workflow.object_proof import verify_object
from partway_server.workflow.part_copy import PartCopy, SourceGone
from partway_server.workflow.resolver import Resolver

JOIN_BACKOFF_SECONDS = (0.5, 1.0, 2.0)

logger = logging.getLogger(__name__)


class Compose:
    """Opens composed uploads, has their parts copied, and completes them."""

    def __init__(
        self,
        deps: Deps,
        leases: Leases,
        discard: Discard,
        resolver: Resolver,
        initialize: Initialize,
        complete: Complete,
    ) -> None:
        self._deps = deps
        self._leases = leases
        self._discard = discard
        self._resolver = resolver
        self._initialize = initialize
        self._complete = complete
        self._part_copy = PartCopy(deps)
        self._working: dict[str, asyncio.Task[Upload]] = {}

    async def __call__(self, caller: Caller, params: ComposeParams, wait: timedelta) -> Upload:
        """Make one object of others; return the upload as it stands if `wait` was too short.

        Raises InvalidRequest, RequestIdReused, UploadNotFound, SourceUnusable, SourcesNotJoinable,
        UploadBusy, and what `Complete` raises.
        """
        until = self._deps.clock.now() + wait
        upload = await self._open(caller, params)
        if upload.state not in (State.ACTIVE, State.COMPLETING):
            return await self._resolver.current(upload)
        work = self.work(upload)
        remaining = (until - self._deps.clock.now()).total_seconds()
        done, _ = await asyncio.wait({work}, timeout=max(remaining, 0))
        return work.result() if done else await self._resolver.row(upload.grant)

    def work(self, upload: Upload) -> "asyncio.Task[Upload]":
        """Start, or join, the detached task that brings an ACTIVE or COMPLETING upload to its end.

        Its result is the upload COMPLETED, or COMPLETING if another worker has it. It raises
        SourceUnusable (the upload is ABORTED), and what `Complete.run` raises.
        """
        token = upload.grant.write_token
        if (task := self._working.get(token)) is None:
            task = self._deps.tasks.start(self._run(upload))
            self._working[token] = task
            task.add_done_callback(lambda _: self._working.pop(token))
        return task

    async def _open(self, caller: Caller, params: ComposeParams) -> Upload:
        """Return the upload for this request, opened, or as it stands if the request is a repeat.

        Nothing is created before all sources are verified.
        """
        policies = self._deps.policies
        grants = [self._source_grant(caller, upload_id) for upload_id in params.upload_ids]
        digest = params.digest(grants)
        row = await self._initialize.find_repeated(caller, params.request_id)
        if row is not None and not is_same_composition(row, digest):
            raise errors.RequestIdReused(params.request_id)
        if row is not None and row.grant.opened:
            # Its sources may be gone by now, as they should be if that was asked for.
            lost = row.state is State.ACTIVE and not row.sources
            return await self._restore_sources(row, grants) if lost else row
        policy = find_policy(policies, caller, params.policy)
        if params.delete_sources:
            _check_deletion(policies, caller, grants)
        sources = await self._verified_sources(grants, policy.backend)
        # It is opened by the present policy, which may have been reloaded meanwhile.
        _check_backend(grants, find_policy(policies, caller, params.policy).backend)
        upload_params = _upload_params(params, sources, digest)
        upload, turn = await self._initialize.begin(caller, upload_params)
        if turn is Turn.LEAVE:
            return upload
        return await self._deps.tasks.finish(
            self._initialize.open(upload, turn, upload_params.metadata)
        )

    def _source_grant(self, caller: Caller, upload_id: str) -> Grant:
        grant = self._deps.upload_ids.decrypt(upload_id)
        if grant.caller.tenant != caller.tenant:
            raise errors.UploadNotFound
        return grant

    async def _verified_sources(
        self, grants: Sequence[Grant], backend: str
    ) -> tuple[CopySource, ...]:
        """Return the sources as storage shows them. Raises SourceUnusable, SourcesNotJoinable."""
        _check_backend(grants, backend)
        heads = await asyncio.gather(*map(self._deps.storage.head, grants))
        sources: list[CopySource] = []
        for position, (grant, head) in enumerate(zip(grants, heads, strict=True)):
            stored = verify_object(grant, head)
            if head is None:
                raise errors.SourceUnusable(position, "it is not completed, or its object is gone")
            if stored is None:
                raise errors.SourceUnusable(position, "its object was replaced by another")
            sources.append(
                CopySource(
                    grant.bucket, grant.key, stored.size_bytes, stored.etag, grant.write_token
                )
            )
        return tuple(sources)

    async def _restore_sources(self, row: Upload, grants: Sequence[Grant]) -> Upload:
        """Store the sources in a record that was rebuilt, so that janitors know them, too.

        They stay in any case: that they were to be deleted was lost with the record.
        """
        deps = self._deps
        sources = await self._verified_sources(grants, row.grant.backend)
        taken = await self._leases.take(row, State.COMPLETING)
        active = replace(taken.reopened(), sources=sources)
        due = active.look_again(deps.clock.now(), deps.lease)
        if not await deps.sessions.finish(active, due):
            raise errors.UploadBusy(row.sid)
        return active

    async def _run(self, upload: Upload) -> Upload:
        for pause in JOIN_BACKOFF_SECONDS:
            try:
                return await self._copy_and_join(upload)
            except (errors.PartsMissing, errors.PartsMismatch, errors.PartsRefused) as refusal:
                # Another worker may be copying the same bytes. In SeaweedFS a part that is copied
                # again is gone for a moment (weed/s3api/s3api_object_handlers_copy.go), and where
                # entity tags are not digests it has another one after.
                logger.info("upload %s: joining its parts again: %s", upload.sid, refusal)
            await self._deps.sleep(pause)
            upload = await self._unaborted(upload)
        return await self._copy_and_join(upload)

    async def _copy_and_join(self, upload: Upload) -> Upload:
        """Raise PartsMissing, PartsMismatch, PartsRefused: then the upload is ACTIVE again."""
        if upload.state is State.COMPLETED:
            return upload
        if upload.state is State.ACTIVE:
            try:
                await self._part_copy.run(upload)
            except MultipartNotFound:
                logger.info("upload %s: it ended while its parts were copied", upload.sid)
            except SourceGone as gone:
                return await self._give_up(upload, gone.source)
        row = await self._unaborted(upload)
        if row.state is State.COMPLETED:
            return row
        taken, granted = await self._leases.try_take(row, State.COMPLETING)
        if not granted:
            # Another worker was faster; if that was an Abort, no Compose answers with what it left.
            return await self._unaborted(upload)
        return await self._complete.run(taken, resumed=row.state is State.COMPLETING)

    async def _give_up(self, upload: Upload, position: int) -> Upload:
        row = await self._unaborted(upload)
        if row.state is State.COMPLETED:
            # By another worker, which has deleted the sources.
            return row
        taken, granted = await self._leases.try_take(row, State.ABORTING)
        if not granted:
            return await self._unaborted(upload)
        outcome = await self._discard.run(taken, AbortReason.SOURCE_CHANGED)
        if outcome.state is State.COMPLETED:
            return outcome
        raise errors.SourceUnusable(position, "its object is gone, or was replaced by another")

    async def _unaborted(self, upload: Upload) -> Upload:
        """Return the session record. Raises UploadNotActive if it was aborted."""
        row = await self._resolver.row(upload.grant)
        if row.state in (State.ABORTING, State.ABORTED):
            raise errors.UploadNotActive(row.sid, row.public_state, row.abort_reason or "")
        return row


def _upload_params(
    params: ComposeParams, sources: tuple[CopySource, ...], digest: bytes
) -> UploadParams:
    return UploadParams(
        policy=params.policy,
        file_name=params.file_name,
        size_bytes=sum(source.size_bytes for source in sources),
        content_type=params.content_type,
        metadata=params.metadata,
        part_size_bytes=0,
        # No caller computes one of a part that storage copies.
        checksum=Checksum.NONE,
        fingerprint=params.fingerprint,
        request_id=params.request_id,
        sources=sources,
        delete_sources=params.delete_sources,
        composition=digest,
    )


def _check_deletion(
    policies: Mapping[str, Policy], caller: Caller, grants: Sequence[Grant]
) -> None:
    """Refuse to remove what others uploaded, unless their policies let the tenant do so.

    Those of the sources decide: the caller chooses only that of the composed upload. Raises
    InvalidRequest.
    """
    for position, grant in enumerate(grants):
        policy = policies.get(grant.policy)
        shared = policy is not None and policy.compose_delete == "tenant"
        if grant.caller != caller and not shared:
            words = f"source {position} is not the caller's own to remove; leave this out"
            raise errors.InvalidRequest([FieldViolation("delete_sources", words)])


def _check_backend(grants: Sequence[Grant], backend: str) -> None:
    """Refuse sources that storage cannot copy to this backend. Raises SourcesNotJoinable."""
    for position, grant in enumerate(grants):
        if grant.backend != backend:
            raise errors.SourcesNotJoinable(position, "it is on another backend")
