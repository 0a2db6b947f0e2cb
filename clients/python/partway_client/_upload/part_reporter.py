"""Tells the service which parts were sent, for who watches.

Nothing waits for it and nothing fails by it: Complete asks storage, and takes no caller's word.
"""

import asyncio
import logging
from collections.abc import Iterable

from partway_client._transport.retry import Pace
from partway_client._transport.rpc import Calls
from partway_client.errors import PartwayError
from partway_client.models import UploadInfo

logger = logging.getLogger(__name__)

_BATCH = 256
_MOST = 1_000
_LONGEST_SECONDS = 30.0


class Reporter:
    """Reports the parts of `upload`, at most about twice a second or when 256 wait.

    One call at a time, begun when a part is sent, so that an upload at rest makes none.
    """

    def __init__(self, *, calls: Calls, upload: UploadInfo, pace: Pace) -> None:
        self._calls = calls
        self._upload = upload
        self._pace = pace
        self._waiting: dict[int, int] = {}
        self._next = pace.monotonic() + pace.report_seconds
        self._failures = 0
        self._calling: asyncio.Task[None] | None = None
        # Of one part there is no progress to tell.
        self._off = upload.part_count == 1

    def sent(self, numbers: Iterable[int]) -> None:
        """These parts are in storage."""
        if self._off:
            return
        self._waiting.update((number, self._upload.part_size(number)) for number in numbers)
        crowded = len(self._waiting) >= _BATCH and not self._failures
        if self._calling is None and (crowded or self._pace.monotonic() >= self._next):
            self._calling = asyncio.create_task(self._report())

    async def stop(self) -> None:
        """Report no more; what was not reported yet never is."""
        self._off = True
        if self._calling is not None:
            self._calling.cancel()
            await asyncio.wait({self._calling})

    async def _report(self) -> None:
        batch = dict(list(self._waiting.items())[:_MOST])
        try:
            taken = await self._calls.report(self._upload.upload_id, batch)
        except PartwayError as error:
            # An older service, or one that no longer knows the Upload: others find that out.
            logger.debug("no more parts are reported: %s", error)
            self._off = True
            return
        finally:
            self._calling = None
        if taken:
            for number in batch:
                self._waiting.pop(number, None)
        self._failures = 0 if taken else self._failures + 1
        longer = self._pace.report_seconds * 2**self._failures
        self._next = self._pace.monotonic() + min(longer, _LONGEST_SECONDS)
