"""Runs a command's work with an open client, and ends the process if it fails."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, NoReturn, TypeVar

from partway_client.cli.interrupt import INTERRUPTED, end
from partway_client.cli.options import ServiceOptions
from partway_client.cli.output import print_error
from partway_client.client import UploadClient
from partway_client.errors import PartwayError

T = TypeVar("T")


def run(
    service: ServiceOptions,
    work: Callable[[UploadClient], Coroutine[Any, Any, T]],
    stopped: str = "",
    *,
    max_bytes_per_second: int = 0,
    retries: int | None = None,
) -> T:
    """Return what `work` returns. If it fails, print why and end the process."""
    try:
        client = _client(service, max_bytes_per_second, retries)
    except ValueError as error:
        _fail(str(error), 2)

    async def connected() -> T:
        with _cancelled_by_ctrl_c():
            async with client:
                return await work(client)

    try:
        return asyncio.run(connected())
    except PartwayError as error:
        _fail(str(error), 1)
    except (asyncio.CancelledError, KeyboardInterrupt):
        _fail(f"stopped; {stopped}" if stopped else "stopped", INTERRUPTED)


@contextlib.contextmanager
def _cancelled_by_ctrl_c() -> Iterator[None]:
    """Make the first Ctrl-C cancel this task, and the second raise KeyboardInterrupt.

    asyncio.run does that too, but already before there is a task, and then Python warns about a
    coroutine that was never awaited.
    """
    if signal.getsignal(signal.SIGINT) is not end:
        yield
        return
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def cancel(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        task.cancel()
        # Wake the loop, which may be waiting for its sockets.
        loop.call_soon_threadsafe(lambda: None)

    try:
        signal.signal(signal.SIGINT, cancel)
        yield
    finally:
        signal.signal(signal.SIGINT, end)


def _client(
    service: ServiceOptions, max_bytes_per_second: int, retries: int | None
) -> UploadClient:
    return UploadClient(
        service.server,
        secure=service.tls,
        tls_ca=service.tls_ca,
        cert=service.cert,
        key=service.key,
        call_metadata=service.call_metadata,
        token=service.token,
        max_bytes_per_second=max_bytes_per_second,
        retries=retries,
    )


def _fail(message: str, code: int) -> NoReturn:
    print_error(f"partway: {message}")
    sys.exit(code)
