"""`partway watch`: an Upload that others send, shown to its end."""

import contextlib

from partway_client.cli.output import say_json
from partway_client.cli.progress_bar import followed
from partway_client.client import UploadClient
from partway_client.models import UploadInfo


async def follow(client: UploadClient, upload_id: str, *, as_json: bool) -> UploadInfo | None:
    """The Upload at its end; each change before is said."""
    last: UploadInfo | None = None
    with contextlib.nullcontext(say_json) if as_json else followed() as show:
        async with contextlib.aclosing(client.watch(upload_id)) as changes:
            async for last in changes:
                show(last)
    return last
