"""Notices that an Upload's parts are too large for the line, and what to do about it."""

import asyncio
import logging

from partway_client._transport.rpc_client import RpcClient
from partway_client._upload.context import UploadContext
from partway_client._upload.part_sizing import (
    CARRIED_SECONDS,
    LEAST_BYTES,
    USUAL_BYTES,
    PartSizeAdvice,
    carried_in_time,
)
from partway_client.errors import PartwayError
from partway_client.models import UploadInfo

logger = logging.getLogger(__name__)


class SmallerParts(PartwayError):
    """The Upload is to begin again with parts of `part_bytes`; the message says why."""

    def __init__(self, problem: str, part_bytes: int) -> None:
        super().__init__(problem)
        self.part_bytes = part_bytes


class PartSizeWatch:
    """Watches one Upload of `upload.part_size_bytes`, of which storage holds `stored_bytes`."""

    def __init__(self, context: UploadContext, upload: UploadInfo, stored_bytes: int) -> None:
        self._context = context
        self._upload = upload
        self._part_bytes = min(upload.part_size_bytes, upload.size_bytes)
        self._advice = PartSizeAdvice(upload.size_bytes, self._part_bytes, stored_bytes)
        controller = context.line.controller
        self._before = controller.busy_seconds, controller.moved_bytes
        self._doubtful = asyncio.Event()
        self._least = LEAST_BYTES
        # Of an Upload that was stopped before a part was whole.
        self._known_rate = context.record.rate() if context.entry.found else 0.0
        if self._for_rate():
            self._doubtful.set()

    def moved(self) -> None:
        """Look at what moved so far. Called at each piece."""
        if not self._doubtful.is_set() and self._for_rate():
            self._doubtful.set()

    def broke(self, sent_bytes: int) -> None:
        """Record that a connection broke within a part."""
        self._advice.broke(sent_bytes)
        if self._advice.for_breaks(self._least):
            self._doubtful.set()

    def finished(self, size_bytes: int) -> None:
        """Record that a part got through."""
        self._advice.finished(size_bytes)

    async def watch(self) -> None:
        """Wait until smaller parts would help. Raises SmallerParts, or says what would help."""
        options = self._context.options
        await self._doubtful.wait()
        self._least, _ = await part_size_bounds(self._context.rpc, self._upload.policy)
        while True:
            slow, broken = self._for_rate(), self._advice.for_breaks(self._least)
            if slow or broken:
                problem = self._broken_words() if broken else self._slow_words()
                if not (options.part_size or options.upload_id):
                    raise SmallerParts(problem, broken or slow)
                if broken:
                    logger.warning(
                        "%s; smaller parts would help: the part size is given, and %.0f MiB would"
                        " do",
                        *(problem, broken / 1024**2),
                    )
                    return
            self._doubtful.clear()
            await self._doubtful.wait()

    def _for_rate(self) -> int:
        controller = self._context.line.controller
        if self._known_rate and (
            size := self._advice.for_known_rate(self._known_rate, self._least)
        ):
            return size
        if controller.under_way > 1:
            return 0
        seconds, moved = self._before
        return self._advice.for_rate(
            controller.moved_bytes - moved, controller.busy_seconds - seconds, self._least
        )

    def _slow_words(self) -> str:
        rate = self._known_rate or self._context.line.controller.rate
        seconds = self._part_bytes / max(rate, 1.0)
        return f"a part of {_size(self._part_bytes)} takes {seconds:.0f} s on this line"

    def _broken_words(self) -> str:
        distances = self._advice.distances
        return (
            f"parts of {_size(self._part_bytes)} do not get through, since connections break after"
            f" {_size(min(distances))} to {_size(max(distances))}"
        )


async def part_size_bounds(rpc: RpcClient, policy: str) -> tuple[int, int]:
    """Return the least and the usual part size of a policy; those of S3 if the service is older."""
    try:
        capabilities = await rpc.capabilities()
    except PartwayError as error:
        logger.debug("the bounds of the part size are not known: %s", error)
        return LEAST_BYTES, USUAL_BYTES
    for each in capabilities.policies:
        if each.name == (policy or "default"):
            return each.min_part_size_bytes, each.default_part_size_bytes
    return LEAST_BYTES, USUAL_BYTES


async def first_part_size(context: UploadContext) -> int:
    """Return the part size to ask for, by what the line carried lately; 0: the service's own.

    Never more than that: larger parts are no faster, and lose more if the upload is stopped.
    """
    rate = context.record.rate()
    if not rate or carried_in_time(rate, 1) >= context.source.size_bytes:
        return 0
    if context.source.size_bytes <= LEAST_BYTES or rate * CARRIED_SECONDS >= 4 * USUAL_BYTES:
        return 0
    least, usual = await part_size_bounds(context.rpc, context.options.policy)
    wanted = carried_in_time(rate, least)
    return wanted if wanted < usual else 0


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
