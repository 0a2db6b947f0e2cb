"""Finds Uploads by the content of their file, such as one that another machine began."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from partway_client._transport.rpc_client import RpcClient
from partway_client.models import UploadInfo

WORTH_BYTES = 5 * 1024 * 1024
"""Up to this size a file is one part on most storage: resuming would save nothing."""

_MOST_PAGES = 2
"""Some ten thousand of the caller's newest Uploads: searching more would cost more than it saves,
since for every new file the search finds nothing."""

_LEFT = timedelta(minutes=15)
"""An Upload that expires sooner is not resumed."""


async def find_open(
    rpc: RpcClient, *, fingerprint: str, size_bytes: int, now: datetime
) -> UploadInfo | None:
    """Return the newest ACTIVE Upload with this fingerprint that fits the file, or None.

    The fingerprint proves nothing about the parts already sent to it.
    """
    async with contextlib.aclosing(rpc.open_uploads(fingerprint, _MOST_PAGES)) as uploads:
        async for upload in uploads:
            fits = upload.size_bytes == size_bytes and not upload.source_count
            if fits and upload.expire_time - now > _LEFT:
                return upload
    return None


async def first_with_content(
    listing: AsyncGenerator[UploadInfo, None], content: str, limit: int
) -> list[UploadInfo]:
    """Return the first Uploads of the listing whose fingerprint begins so, at most `limit`."""
    found: list[UploadInfo] = []
    async with contextlib.aclosing(listing) as uploads:
        while len(found) < limit and (upload := await anext(uploads, None)) is not None:
            if upload.fingerprint.startswith(content):
                found.append(upload)
    return found
