"""The open Upload that somebody else began with the same file, if there is one."""

import contextlib
from datetime import datetime, timedelta

from partway_client._transport.rpc import Calls
from partway_client.models import UploadInfo

WORTH_BYTES = 5 * 1024 * 1024
"""Up to here a file is one part on most storage: there is nothing that need not be sent again."""

_MOST_PAGES = 2
"""Some ten thousand of the caller's newest Uploads: to look through more costs more than it saves,
and every upload of a new file looks in vain."""

_LEFT = timedelta(minutes=15)
"""What ends sooner is left alone."""


async def find_open(
    calls: Calls, *, fingerprint: str, size_bytes: int, now: datetime
) -> UploadInfo | None:
    """The newest ACTIVE Upload with this fingerprint that can take the file's parts, or None.

    That it has the fingerprint proves nothing of what was sent to it.
    """
    async with contextlib.aclosing(calls.open_uploads(fingerprint, _MOST_PAGES)) as uploads:
        async for upload in uploads:
            fits = upload.size_bytes == size_bytes and not upload.source_count
            if fits and upload.expire_time - now > _LEFT:
                return upload
    return None
