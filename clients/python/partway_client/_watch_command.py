"""`partway watch`: an Upload that others send, shown to its end."""

import contextlib
from collections.abc import Callable

import click
from rich.console import Console

from partway_client._progress import Followed, in_words
from partway_client._saying import say_json
from partway_client.client import UploadClient
from partway_client.uploads import UploadInfo


async def follow(client: UploadClient, upload_id: str, *, as_json: bool) -> UploadInfo | None:
    """The Upload at its end; each change before is said."""
    console = Console(stderr=True)
    last: UploadInfo | None = None
    with contextlib.ExitStack() as stack:
        show: Callable[[UploadInfo], None] = say_json
        if not as_json:
            live = console.is_terminal
            show = stack.enter_context(Followed(console)).show if live else _say
        async with contextlib.aclosing(client.watch(upload_id)) as changes:
            async for last in changes:
                show(last)
    return last


def _say(upload: UploadInfo) -> None:
    click.echo(in_words(upload))
