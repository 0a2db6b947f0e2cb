"""Lists Uploads, page by page."""

import contextlib
import logging
from collections.abc import AsyncGenerator
from datetime import datetime

from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb

from partway_client._transport.conversion import state_to_proto, time_to_proto, upload_from_proto
from partway_client._transport.retrying_caller import RetryingCaller
from partway_client.errors import CallFailed
from partway_client.models import State, UploadInfo

logger = logging.getLogger(__name__)

_MOST_UPLOADS = 200


async def list_uploads(
    caller: RetryingCaller,
    *,
    state: State | None,
    fingerprint: str,
    policy: str,
    created_from: datetime | None,
    created_before: datetime | None,
) -> AsyncGenerator[UploadInfo, None]:
    """Yield the caller's Uploads that match, newest first."""
    request = service_pb.ListUploadsRequest(
        state=pb.UPLOAD_STATE_UNSPECIFIED if state is None else state_to_proto(state),
        fingerprint=fingerprint,
        policy=policy,
        created_from=time_to_proto(created_from),
        created_before=time_to_proto(created_before),
        page_size=_MOST_UPLOADS,
    )
    async with contextlib.aclosing(_listed(caller, request)) as uploads:
        async for upload in uploads:
            yield upload_from_proto(upload)


async def open_uploads(
    caller: RetryingCaller, fingerprint: str, most_pages: int
) -> AsyncGenerator[UploadInfo, None]:
    """Yield the ACTIVE Uploads with this fingerprint, newest first.

    Uploads with a checksum that this client cannot compute are skipped.
    """
    request = service_pb.ListUploadsRequest(state=pb.UPLOAD_STATE_ACTIVE, fingerprint=fingerprint)
    async with contextlib.aclosing(_listed(caller, request, most_pages)) as uploads:
        async for upload in uploads:
            try:
                known = upload_from_proto(upload)
            except CallFailed as error:
                logger.debug("an upload is left to newer clients: %s", error)
                continue
            yield known


async def _listed(
    caller: RetryingCaller, request: service_pb.ListUploadsRequest, most_pages: int | None = None
) -> AsyncGenerator[pb.Upload, None]:
    pages = 0
    while pages != most_pages:
        pages += 1
        page = await caller.unary(caller.connection.stub.ListUploads, request)
        for upload in page.uploads:
            yield upload
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
