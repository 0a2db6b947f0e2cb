"""What a caller does with every peer: open an upload, get its URLs, store the parts, complete."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp
from yarl import URL

PART_BYTES = 5 * 1024 * 1024
SMALL_BODY = bytes(1024)


@dataclass(slots=True)
class Upload:
    """An open upload: its id at the peer, its number of parts, and what else the peer answered."""

    id: str
    parts: int
    known: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartUrl:
    """Where a part is sent, and with which headers."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Driver(ABC):
    """Calls one peer at `address`. End it with `aclose`."""

    through = False
    """Whether the bytes go through the peer, so that there are no URLs."""

    def __init__(self, address: str, storage: str) -> None:
        self.address = address
        self.storage = storage
        # A caller in the same place as the peer keeps its connections.
        self.http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(600)
        )

    @abstractmethod
    async def open(self, parts: int) -> Upload:
        """Open an upload of so many parts."""

    @abstractmethod
    async def urls(self, upload: Upload, count: int) -> list[PartUrl]:
        """Return the URLs of the first `count` parts."""

    @abstractmethod
    async def complete(self, upload: Upload, etags: Sequence[str]) -> None:
        """Complete an upload whose parts have these ETags."""

    @abstractmethod
    async def small(self) -> None:
        """Make one call of little work, as others do while someone asks for much."""

    async def prepare_urls(self, parts: int) -> Callable[[], Awaitable[object]]:
        """Return the call that gets all URLs of an upload."""
        upload = await self.open(parts)
        return lambda: self.urls(upload, parts)

    async def whole(self, parts: int) -> None:
        """Run a whole upload."""
        upload = await self.open(parts)
        await self.complete(upload, await self.store(await self.urls(upload, parts), parts))

    async def prepare_complete(self, parts: int) -> Callable[[], Awaitable[object]]:
        """Return the call that completes an upload, all of whose parts are stored."""
        upload = await self.open(parts)
        etags = await self.store(await self.urls(upload, 1), parts)
        return lambda: self.complete(upload, etags)

    async def store(self, urls: Sequence[PartUrl], parts: int) -> list[str]:
        """Store the parts of an upload, and return their ETags.

        A single part is sent. More are stored by the stub on request, because their bytes would
        pass no peer and only occupy the machine.
        """
        if parts == 1:
            [part] = urls
            target = URL(part.url, encoded=True)
            async with self.http.put(target, data=SMALL_BODY, headers=part.headers) as answer:
                answer.raise_for_status()
                return [answer.headers["ETag"].strip('"')]
        split = urlsplit(urls[0].url)
        bucket, _, key = unquote(split.path).lstrip("/").partition("/")
        [upload_id] = parse_qs(split.query)["uploadId"]
        where = {"bucket": bucket, "key": key, "uploadId": upload_id}
        what = {"count": str(parts), "size": str(PART_BYTES)}
        async with self.http.post(f"{self.storage}/_stub/fill", params=where | what) as answer:
            answer.raise_for_status()
        return [f"{number:032x}" for number in range(1, parts + 1)]

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON that the peer answers."""
        async with self.http.request(method, f"http://{self.address}{path}", **options) as answer:
            answer.raise_for_status()
            return await answer.json(content_type=None)

    async def ask_stub(self, method: str, name: str) -> Any:
        """Return what the stub answers about itself, if it does."""
        async with self.http.request(method, f"{self.storage}/_stub/{name}") as answer:
            answer.raise_for_status()
            return await answer.json() if answer.content_type == "application/json" else None

    async def acquaint(self) -> None:
        """Do what makes the peer as fast as it is after a while."""
        for _ in range(5):
            await self.whole(1)

    async def aclose(self) -> None:
        await self.http.close()


def file_size(parts: int) -> int:
    """Return the size of a file of so many parts."""
    return len(SMALL_BODY) if parts == 1 else parts * PART_BYTES
