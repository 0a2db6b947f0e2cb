"""Compares the parts that storage holds with the file, before they are relied on.

The fingerprint by which an Upload is found is no proof; and other clients may find ours and send
their own parts to it. A part is compared by its checksum, where storage lists it, or else by its
entity tag, where that is the MD5 of the part: on most storage without server-side encryption
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html, ETag).
"""

import asyncio
import base64
import os
import re
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from partway_client._progress_meter import ProgressMeter
from partway_client._upload.checksums import PartChecksums
from partway_client.models import Checksum, PartInfo, Phase

_MD5 = re.compile(r"[0-9a-f]{32}")
_MOST_LANES = 4


class PartVerifier:
    """Compares parts with the file, several at a time."""

    def __init__(self, *, checksums: PartChecksums, meter: ProgressMeter) -> None:
        self._checksums = checksums
        self._meter = meter

    async def same(self, listed: Iterable[PartInfo], *, trusting: bool) -> list[PartInfo]:
        """Return the parts that have the bytes of the file.

        A part with nothing to compare is included if `trusting`. Raises FileUnreadable,
        FileChanged.
        """
        found: list[PartInfo] = []
        todo: list[PartInfo] = []
        for part in listed:
            if self._is_comparable(part):
                todo.append(part)
            elif trusting:
                found.append(part)
        if todo:
            self._meter.enter(Phase.VERIFYING)
        left = iter(todo)
        lanes = min(_MOST_LANES, os.cpu_count() or 1, len(todo))
        await _all_of(self._lane(left, found) for _ in range(lanes))
        return found

    async def _lane(self, left: Iterator[PartInfo], found: list[PartInfo]) -> None:
        # All lanes share one iterator: a free lane takes the next part.
        for part in left:
            checksum, md5 = await self._checksums.with_md5(part.part_number)
            if part.checksum:
                same = part.checksum == base64.b64encode(checksum).decode("ascii")
            else:
                same = part.etag == md5
            if same:
                found.append(part)
            self._meter.verified(part.size_bytes)

    def _is_comparable(self, part: PartInfo) -> bool:
        if part.checksum:
            return self._checksums.algorithm is not Checksum.NONE
        return _MD5.fullmatch(part.etag) is not None


async def _all_of(lanes: Iterable[Coroutine[Any, Any, None]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(lane)
    except BaseExceptionGroup as failures:
        first = failures.exceptions[0]
    else:
        return
    # Outside the handler, or the group would be attached to it as its context.
    raise first
