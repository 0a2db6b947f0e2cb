"""The `partway watch` command: shows an Upload that others send, until it has ended."""

import contextlib

from partway_client.cli.output import print_json
from partway_client.cli.progress_bar import showing_watch
from partway_client.client import UploadClient
from partway_client.models import UploadInfo


async def follow(client: UploadClient, upload_id: str, *, as_json: bool) -> UploadInfo | None:
    """Show each change of the Upload, and return it as it ended."""
    last: UploadInfo | None = None
    with contextlib.nullcontext(print_json) if as_json else showing_watch() as show:
        async with contextlib.aclosing(client.watch(upload_id)) as changes:
            async for last in changes:
                show(last)
    return last
