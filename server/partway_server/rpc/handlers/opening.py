"""The RPCs that open an Upload, prolong it, or let others act on it."""

import contextlib

from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import QuotaExceeded, UploadNotActive
from partway_server.domain.grant import Grant
from partway_server.domain.steps import in_turns, spend
from partway_server.domain.upload import State
from partway_server.domain.upload_token import allowed_actions
from partway_server.rpc import batch_validation, conversion, upload_token_conversion, validation
from partway_server.rpc.batch_results import initialize_result
from partway_server.rpc.handlers.base import Handlers, current_caller
from partway_server.rpc.identity.base import PRINCIPAL, Context
from partway_server.workflow.batch import StorageTurn, at_once


class OpeningHandlers(Handlers):
    """Initialize, BatchInitialize, ExtendUpload and CreateUploadToken."""

    async def Initialize(
        self, request: pb.InitializeRequest, context: Context
    ) -> pb.InitializeResponse:
        return await self._initialize(request, at_once)

    async def _initialize(
        self, request: pb.InitializeRequest, storage_turn: StorageTurn
    ) -> pb.InitializeResponse:
        caller = current_caller()
        validation.initialize(request)
        params = conversion.upload_params(request)
        if params.token:
            # Before anything is opened.
            allowed_actions(params.token, PRINCIPAL.get().scopes)
        # Read the policy before awaiting: a reload may remove it during the call.
        policy = self.policies.get(params.policy)
        upload = await self.coordinator.initialize(caller, params, storage_turn)
        response = pb.InitializeResponse(
            upload=self.message(upload), limits=conversion.limits(policy) if policy else None
        )
        if request.presign_parts and upload.state is State.ACTIVE and _signable(upload.grant):
            selection = conversion.first_parts(upload, request.presign_parts)
            # The items of a batch get on together, and many parts at once would hold the loop.
            await spend(conversion.PART_COST * request.presign_parts)
            # The Upload of a repeated request may be over, or end at this moment. And one that is
            # open must be answered, even if no parts may be presigned now.
            with contextlib.suppress(UploadNotActive, QuotaExceeded):
                presigned = await self.coordinator.presign.opened(upload, selection)
                await in_turns(conversion.write_parts(presigned, response.parts))
        if params.token:
            make = self.coordinator.create_upload_token.for_initialized
            with contextlib.suppress(UploadNotActive):
                made = make(PRINCIPAL.get(), upload, params.token)
                upload_token_conversion.write_token(*made, response.upload_token)
        return response

    async def BatchInitialize(
        self, request: pb.BatchInitializeRequest, context: Context
    ) -> pb.BatchInitializeResponse:
        batch_validation.batch_initialize(request)
        answers = await self.batches.run(
            "BatchInitialize", current_caller(), context, request.requests, self._initialize
        )
        return pb.BatchInitializeResponse(results=map(initialize_result, answers))

    async def ExtendUpload(
        self, request: pb.ExtendUploadRequest, context: Context
    ) -> pb.ExtendUploadResponse:
        caller = current_caller()
        validation.extend_upload(request)
        expire_time = conversion.whole_second(request.expire_time)
        upload = await self.coordinator.extend(caller, request.upload_id, expire_time)
        return pb.ExtendUploadResponse(upload=self.message(upload))

    async def CreateUploadToken(
        self, request: pb.CreateUploadTokenRequest, context: Context
    ) -> pb.CreateUploadTokenResponse:
        validation.create_upload_token(request)
        made = await self.coordinator.create_upload_token(
            PRINCIPAL.get(),
            request.upload_id,
            upload_token_conversion.token_params(request.spec, "spec"),
        )
        response = pb.CreateUploadTokenResponse()
        upload_token_conversion.write_token(*made, response.upload_token)
        return response


def _signable(grant: Grant) -> bool:
    """Return whether parts can be signed with no more than Initialize was given."""
    only_part = bool(grant.whole_checksum) and grant.plan.part_count == 1
    return grant.checksum is Checksum.NONE or only_part
