"""The synchronous client, for code that does not use asyncio."""

import asyncio
import contextlib
import functools
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from partway_client.client import UploadClient
from partway_client.models import UploadInfo

P = ParamSpec("P")
T = TypeVar("T")

_CANCEL_SECONDS = 5.0


def _constructed(
    make: Callable[P, UploadClient],
) -> Callable[
    [Callable[["SyncUploadClient", UploadClient], None]],
    Callable[Concatenate["SyncUploadClient", P], None],
]:
    """Give `__init__` the arguments of `make`, and pass it the client that `make` returns."""

    def decorate(
        take: Callable[["SyncUploadClient", UploadClient], None],
    ) -> Callable[Concatenate["SyncUploadClient", P], None]:
        def __init__(self: "SyncUploadClient", /, *args: P.args, **kwargs: P.kwargs) -> None:
            take(self, make(*args, **kwargs))

        return __init__

    return decorate


def _blocking(
    method: Callable[Concatenate[UploadClient, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["SyncUploadClient", P], T]:
    """Return a blocking version of a method of UploadClient."""

    @functools.wraps(method)
    def call(self: "SyncUploadClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.run(method(self._client, *args, **kwargs))

    return call


class SyncUploadClient:
    """UploadClient as a plain context manager, with the same arguments and methods.

    An event loop in a thread of its own does the work, and calls `on_progress` there. Ctrl-C while
    a method waits cancels its work. Threads may share a client. A process that was forked may not
    use its parent's, and gets a RuntimeError: it opens one of its own.
    """

    @_constructed(UploadClient)
    def __init__(self, client: UploadClient) -> None:
        self._client = client
        self._loop = _LoopThread()

    def __enter__(self) -> Self:
        self._loop.start()
        try:
            self._loop.run(self._client.__aenter__())
        except BaseException:
            self._loop.stop()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        try:
            self._loop.run(self._client.__aexit__(exc_type, exc_value, traceback))
        finally:
            self._loop.stop()

    upload_file = _blocking(UploadClient.upload_file)
    compose = _blocking(UploadClient.compose)
    status = _blocking(UploadClient.status)
    parts = _blocking(UploadClient.parts)
    abort = _blocking(UploadClient.abort)
    extend = _blocking(UploadClient.extend)
    capabilities = _blocking(UploadClient.capabilities)
    usage = _blocking(UploadClient.usage)
    list_uploads = _blocking(UploadClient.list_uploads)

    def watch(self, upload_id: str) -> Iterator[UploadInfo]:
        """Yield Uploads as UploadClient.watch does. Close it, if it is left before its end."""
        changes = self._client.watch(upload_id)
        try:
            while (upload := self._loop.run(_next_of(changes))) is not None:
                yield upload
        finally:
            # The client may be closed already, and with it the stream.
            with contextlib.suppress(RuntimeError):
                self._loop.run(changes.aclose())


async def _next_of(changes: AsyncGenerator[T, None]) -> T | None:
    return await anext(changes, None)


class _LoopThread:
    """An event loop that runs in a thread of its own from `start` to `stop`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="partway-client", daemon=True)
        self._ready = threading.Event()
        self._pid = 0

    def start(self) -> None:
        self._pid = os.getpid()
        self._thread.start()
        self._ready.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`. If interrupted, cancel `work` and wait for it to end."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the client is not open: use it in `with`")
        if self._pid != os.getpid():
            # fork copies no thread: no one would ever run the work.
            work.close()
            raise RuntimeError("the client was opened before the fork; open one in this process")
        ended = threading.Event()

        async def work_to_end() -> T:
            try:
                return await work
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(work_to_end(), self._loop)
        try:
            return future.result()
        except BaseException:
            # Quick if `work` itself raised; on KeyboardInterrupt this ends it.
            future.cancel()
            ended.wait(_CANCEL_SECONDS)
            raise

    def stop(self) -> None:
        """End the loop and the thread. A second call does nothing, nor does one after a fork."""
        if self._loop is not None and self._pid == os.getpid():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = None

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._loop.call_soon(self._ready.set)
            self._loop.run_forever()
