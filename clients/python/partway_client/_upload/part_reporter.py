"""Reports to the service which parts were sent, for those who watch the upload.

Nothing waits for it and nothing fails because of it: Complete asks storage, and relies on no
caller's report.
"""

import asyncio
import logging
from collections.abc import Iterable

from partway_client._transport.retry_policy import RetryPolicy
from partway_client._transport.rpc_client import RpcClient
from partway_client.errors import PartwayError
from partway_client.models import UploadInfo

logger = logging.getLogger(__name__)

_BATCH = 256
_MOST = 1_000
_LONGEST_SECONDS = 30.0


class PartReporter:
    """Reports the parts of `upload`, about twice a second at most, or when 256 are waiting.

    One call at a time, started when a part is sent, so that an idle upload makes no calls.
    """

    def __init__(self, *, rpc: RpcClient, upload: UploadInfo, retry: RetryPolicy) -> None:
        self._rpc = rpc
        self._upload = upload
        self._retry = retry
        self._waiting: dict[int, int] = {}
        self._next = retry.monotonic() + retry.report_seconds
        self._failures = 0
        self._call: asyncio.Task[None] | None = None
        # An upload of one part has no progress to report.
        self._off = upload.part_count == 1

    def sent(self, numbers: Iterable[int]) -> None:
        """Record that these parts are in storage; report them if it is time."""
        if self._off:
            return
        self._waiting.update((number, self._upload.part_size(number)) for number in numbers)
        crowded = len(self._waiting) >= _BATCH and not self._failures
        if self._call is None and (crowded or self._retry.monotonic() >= self._next):
            self._call = asyncio.create_task(self._report())

    async def stop(self) -> None:
        """Stop reporting, and drop what was not reported yet."""
        self._off = True
        if self._call is not None:
            self._call.cancel()
            await asyncio.wait({self._call})

    async def _report(self) -> None:
        batch = dict(list(self._waiting.items())[:_MOST])
        try:
            accepted = await self._rpc.report(self._upload.upload_id, batch)
        except PartwayError as error:
            # An older service, or one that no longer knows the Upload: other calls find that out.
            logger.debug("no more parts are reported: %s", error)
            self._off = True
            return
        finally:
            self._call = None
        if accepted:
            for number in batch:
                self._waiting.pop(number, None)
        self._failures = 0 if accepted else self._failures + 1
        longer = self._retry.report_seconds * 2**self._failures
        self._next = self._retry.monotonic() + min(longer, _LONGEST_SECONDS)
