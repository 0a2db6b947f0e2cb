"""URLs for the parts that are about to be sent: asked for in windows, dropped when they run out.

Where parts carry checksums, which are signed into the URLs, the next parts are read and asked for
while others are sent, so that none waits for it.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from partway.v1 import upload_pb2 as pb

from partway_client._transport.retry import Pace
from partway_client._transport.rpc import Calls
from partway_client._upload.checksums import Sums
from partway_client.errors import CallFailed, PartwayError
from partway_client.models import Checksum

_MARGIN_SECONDS = 20.0
"""A URL that ends sooner is not used: a request takes time to begin."""


@dataclass(frozen=True, slots=True)
class _Held:
    part: pb.PresignedPart = field(repr=False)
    until: float
    batch: int


class Urls:
    """The URLs of one Upload, at most `window` ahead of the parts being sent.

    With checksums, `batch` of them are asked for at once.
    """

    def __init__(
        self, *, calls: Calls, upload_id: str, sums: Sums, window: int, batch: int, pace: Pace
    ) -> None:
        self._calls = calls
        self._upload_id = upload_id
        self._sums = sums
        self._reads = sums.algorithm is not Checksum.NONE
        self._window = batch if self._reads else window
        self._pace = pace
        self._fetching: asyncio.Task[None] | None = None
        self._wanted: Sequence[int] = ()
        self._held: dict[int, _Held] = {}
        self._taken: set[int] = set()
        self._batch = 0
        self._asking = asyncio.Lock()

    def want(self, numbers: Sequence[int]) -> None:
        """The parts to be sent, in ascending order. None of them has been begun."""
        self._wanted = numbers
        self._taken.clear()

    def keep(self, parts: Iterable[pb.PresignedPart]) -> None:
        """Hold URLs that the service gave."""
        self._batch += 1
        for part in parts:
            until = self._pace.monotonic() + self._good_for(part)
            self._held[part.part_number] = _Held(part, until, self._batch)

    async def take(self, number: int) -> pb.PresignedPart:
        """How to send the part, asking the service if need be."""
        # Who has a URL does not wait while others are asked for.
        if not self._usable(number):
            await self._fetch(number)
        held = self._held.get(number)
        if held is None:
            raise CallFailed(f"the service gave no URL for part {number}")
        self._taken.add(number)
        if self._reads:
            self._fetch_next(number)
        return held.part

    async def stop(self) -> None:
        """Ask for no more."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})
            self._fetching = None

    def done(self, number: int) -> None:
        """The part is in storage."""
        self._held.pop(number, None)

    def refused(self, number: int) -> None:
        """Storage refuses the URL of the part. Those that came with it will do no better."""
        refused = self._held.pop(number, None)
        if refused is not None:
            self._held = {n: h for n, h in self._held.items() if h.batch > refused.batch}

    async def _fetch(self, number: int) -> None:
        async with self._asking:
            if self._usable(number):
                return
            numbers = list(self._ahead(number))
            checksums = await self._sums.of(numbers)
            self.keep(await self._calls.presign(self._upload_id, runs(numbers), checksums))

    def _fetch_next(self, number: int) -> None:
        """Begin to fetch what follows, if fewer than a batch are left, and nobody is at it."""
        if self._asking.locked() or (self._fetching and not self._fetching.done()):
            return
        following = bisect_left(self._wanted, number) + 1
        for n in self._wanted[following : following + self._window]:
            if n not in self._taken and not self._usable(n):
                self._fetching = asyncio.create_task(self._fetch_quietly(n))
                return

    async def _fetch_quietly(self, number: int) -> None:
        # Whoever needs the URL asks for it again, and is told.
        with suppress(PartwayError):
            await self._fetch(number)

    def _usable(self, number: int) -> bool:
        held = self._held.get(number)
        return held is not None and held.until > self._pace.monotonic()

    def _ahead(self, number: int) -> Iterator[int]:
        """The part, and those after it that nobody has begun and that have no URL."""
        first = bisect_left(self._wanted, number)
        for n in self._wanted[first : first + self._window]:
            if n == number or not (n in self._taken or self._usable(n)):
                yield n

    def _good_for(self, part: pb.PresignedPart) -> float:
        """Seconds. A URL that seems to have run out on arrival tells of our clock: use it."""
        seconds = part.expire_time.seconds - self._pace.now().timestamp()
        if seconds <= _MARGIN_SECONDS:
            return float("inf")
        return seconds - _MARGIN_SECONDS


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as (first, last) runs: 1, 2, 3, 7 is (1, 3), (7, 7)."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
