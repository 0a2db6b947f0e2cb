"""Work that outlives the call that began it.

grpc.aio cancels a handler when its caller's deadline passes or the caller goes away. A request
that changes storage must not be cut in the middle, so it runs as a task of its own, kept here
until it is done and waited for at shutdown.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from partway_server.domain.errors import UploadError

T = TypeVar("T")

_CANCEL_SECONDS = 1

logger = logging.getLogger(__name__)


class Tasks:
    """The detached tasks of this process."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`, which runs to its end even if the waiter is cancelled."""
        return await asyncio.shield(self.start(work))

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` to its end, even if the caller goes away.

        Wait for it with `asyncio.wait`, which leaves it running when the waiter is cancelled.
        """
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    async def drain(self, timeout_seconds: float) -> None:
        """Wait for all tasks, at most `timeout_seconds`; leases cover what is left.

        What is left is cancelled, and has a second to end while its connections are still open.
        """
        if self._running:
            await asyncio.wait(self._running, timeout=timeout_seconds)
        left = tuple(self._running)
        for task in left:
            logger.warning("left unfinished at shutdown: %s", task.get_name())
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CANCEL_SECONDS)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        # No waiter may be left to see the error: log it here, once, without its traceback if it
        # is one of ours.
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, UploadError):
                logger.info("detached work ended: %s: %s", type(error).__name__, error)
            else:
                logger.error("detached work failed", exc_info=error)
