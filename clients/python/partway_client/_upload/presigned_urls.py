"""Keeps URLs for the parts about to be sent: fetched in windows, dropped before they expire.

Where parts carry checksums, which are signed into the URLs, the next parts are read and their URLs
fetched while others are sent, so that no part waits for it.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from partway_client._transport.messages import PartUrl
from partway_client._upload.checksums import PartChecksums
from partway_client._upload.context import UploadContext
from partway_client.errors import CallFailed, PartwayError
from partway_client.models import Checksum, UploadInfo

_MARGIN_SECONDS = 20.0
"""A URL that expires sooner is not used: a request takes time to start."""


@dataclass(frozen=True, slots=True)
class _CachedUrl:
    part: PartUrl = field(repr=False)
    until: float
    batch: int


class PresignedUrls:
    """The URLs of one Upload, fetched at most one window ahead of the parts being sent.

    With checksums, a window is the smaller batch of parts that are read at once.
    """

    def __init__(
        self, context: UploadContext, *, upload: UploadInfo, checksums: PartChecksums
    ) -> None:
        self._rpc = context.rpc
        self._retry = context.retry
        self._upload_id = upload.upload_id
        self._checksums = checksums
        self._has_checksums = checksums.algorithm is not Checksum.NONE
        options = context.options
        batch = options.batch(upload.part_size_bytes)
        self._window = batch if self._has_checksums else options.window
        self._prefetch: asyncio.Task[None] | None = None
        self._numbers: Sequence[int] = ()
        self._cached: dict[int, _CachedUrl] = {}
        self._taken: set[int] = set()
        self._batch = 0
        self._fetch_lock = asyncio.Lock()

    def expect(self, numbers: Sequence[int]) -> None:
        """Set the parts to be sent, in ascending order. None of them has been started."""
        self._numbers = numbers
        self._taken.clear()

    def keep(self, parts: Iterable[PartUrl]) -> None:
        """Cache URLs that the service returned."""
        self._batch += 1
        for part in parts:
            until = self._retry.monotonic() + self._good_for(part)
            self._cached[part.part_number] = _CachedUrl(part, until, self._batch)

    async def take(self, number: int) -> PartUrl:
        """Return the URL of the part, asking the service if necessary."""
        # A part that has a URL does not wait while others are fetched.
        if not self._usable(number):
            await self._fetch(number)
        cached = self._cached.get(number)
        if cached is None:
            raise CallFailed(f"the service returned no URL for part {number}")
        self._taken.add(number)
        if self._has_checksums:
            self._fetch_next(number)
        return cached.part

    async def stop(self) -> None:
        """Stop fetching ahead."""
        if self._prefetch is not None:
            self._prefetch.cancel()
            await asyncio.wait({self._prefetch})
            self._prefetch = None

    def done(self, number: int) -> None:
        """Drop the URL of a part that is in storage."""
        self._cached.pop(number, None)

    def refused(self, number: int) -> None:
        """Drop a URL that storage refused, and those that came with it: they would fail too."""
        refused = self._cached.pop(number, None)
        if refused is not None:
            self._cached = {n: h for n, h in self._cached.items() if h.batch > refused.batch}

    async def _fetch(self, number: int) -> None:
        async with self._fetch_lock:
            if self._usable(number):
                return
            numbers = list(self._ahead(number))
            checksums = await self._checksums.of(numbers)
            self.keep(await self._rpc.presign(self._upload_id, runs(numbers), checksums))

    def _fetch_next(self, number: int) -> None:
        """Start fetching what follows, if fewer than a batch are left and no fetch is running."""
        if self._fetch_lock.locked() or (self._prefetch and not self._prefetch.done()):
            return
        following = bisect_left(self._numbers, number) + 1
        for n in self._numbers[following : following + self._window]:
            if n not in self._taken and not self._usable(n):
                self._prefetch = asyncio.create_task(self._fetch_quietly(n))
                return

    async def _fetch_quietly(self, number: int) -> None:
        # The part that needs the URL fetches it again, and gets the error.
        with suppress(PartwayError):
            await self._fetch(number)

    def _usable(self, number: int) -> bool:
        cached = self._cached.get(number)
        return cached is not None and cached.until > self._retry.monotonic()

    def _ahead(self, number: int) -> Iterator[int]:
        """Yield the part, and those after it that have no URL and have not been started."""
        first = bisect_left(self._numbers, number)
        for n in self._numbers[first : first + self._window]:
            if n == number or not (n in self._taken or self._usable(n)):
                yield n

    def _good_for(self, part: PartUrl) -> float:
        """Return for how many seconds to use a URL.

        One that seems to have expired on arrival means that our clock is wrong: use it.
        """
        seconds = part.expires_at - self._retry.now().timestamp()
        if seconds <= _MARGIN_SECONDS:
            return float("inf")
        return seconds - _MARGIN_SECONDS


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as (first, last) runs: 1, 2, 3, 7 becomes (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
