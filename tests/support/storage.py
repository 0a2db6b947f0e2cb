"""Sends parts, makes storage fail, and answers in storage's place."""

import asyncio
import io
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

import aiohttp
import yarl
from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.base import Head, Presigner, Storage, StoredPart, UnfinishedUpload
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.memory import MemoryStorage
from partway_server.storage.memory_urls import PutRefused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """Storage's answer to a PUT. `etag` has no quotes; `code` is the S3 code of a refusal."""

    status: int
    etag: str = ""
    code: str = ""


Put = Callable[[str, bytes, Mapping[str, str]], Awaitable[Reply]]
"""Sends a body to a presigned URL with the headers that belong to it."""


def put_into(memory: MemoryStorage) -> Put:
    """PUT to `memory://` URLs."""

    async def put(url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            return Reply(200, memory.put(url, body, headers))
        except PutRefused as refusal:
            return Reply(refusal.status, code=refusal.code)

    return put


def put_by(http: aiohttp.ClientSession) -> Put:
    """PUT by real HTTP; the content-length is that of the body, whatever `headers` say."""

    async def put(url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        sent = {name: value for name, value in headers.items() if name != "content-length"}
        # `encoded`: yarl would rewrite the query, and the signature would be of another.
        target = yarl.URL(url, encoded=True)
        async with http.put(
            target, data=io.BytesIO(body), headers=sent, skip_auto_headers=["Content-Type"]
        ) as reply:
            text = (await reply.read()).decode()
            code = re.search("<Code>(.*?)</Code>", text)
            etag = reply.headers.get("ETag", "").strip('"')
            return Reply(reply.status, etag, code[1] if code else "")

    return put


Fault = Callable[[], Awaitable[Any]]
"""Awaited in the middle of a call: it may raise, or wait for the test."""


def failing(error: Exception) -> Fault:
    """Return a fault that raises `error`."""

    async def fail() -> None:
        raise error

    return fail


class Gate:
    """A fault that blocks a call until the test opens it; `reached` is set once one is blocked."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._opened = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self._opened.wait()

    def open(self) -> None:
        self._opened.set()


class FaultyObjects:
    """Storage whose calls fail or wait on demand; `calls` are the names of those made.

    Each fault is used up by one call. With `before`, the call does not reach storage; with `after`,
    storage has carried it out and only the reply is affected:

        objects.after("complete", failing(CompleteUnknown()))
        objects.before("abort", gate.wait)
    """

    def __init__(self, storage: Storage) -> None:
        self.calls: list[str] = []
        self._storage = storage
        self._before: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._after: defaultdict[str, deque[Fault]] = defaultdict(deque)

    def before(self, operation: str, *faults: Fault) -> None:
        """Fail or block the next calls of `operation` before they reach storage."""
        self._before[operation].extend(faults)

    def after(self, operation: str, *faults: Fault) -> None:
        """Fail or block the replies to the next calls of `operation`."""
        self._after[operation].extend(faults)

    def capabilities_of(self, backend: str) -> Capabilities:
        return self._storage.capabilities_of(backend)

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        return await self._call("create", self._storage.create, grant, metadata)

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        return await self._call("list_multiparts", self._storage.list_multiparts, grant)

    async def unfinished(
        self, backend: str, bucket: str, prefix: str
    ) -> AsyncIterator[UnfinishedUpload]:
        self.calls.append("unfinished")
        if faults := self._before["unfinished"]:
            await faults.popleft()()
        async for found in self._storage.unfinished(backend, bucket, prefix):
            yield found

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        return await self._call("list_parts", self._storage.list_parts, grant, after, limit)

    async def copy_part(
        self, grant: Grant, number: int, source: CopySource, begin: int, size: int
    ) -> None:
        await self._call("copy_part", self._storage.copy_part, grant, number, source, begin, size)

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        await self._call("complete", self._storage.complete, grant, parts, checksum)

    async def abort(self, grant: Grant) -> None:
        await self._call("abort", self._storage.abort, grant)

    async def head(self, grant: Grant) -> Head | None:
        return await self._call("head", self._storage.head, grant)

    async def etags_are_md5(self, grant: Grant) -> bool:
        return await self._call("etags_are_md5", self._storage.etags_are_md5, grant)

    async def delete(self, grant: Grant, head: Head) -> None:
        await self._call("delete", self._storage.delete, grant, head)

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        return await self._call("presigner", self._storage.presigner, grant, lifetime, now)

    async def put_part(
        self, grant: Grant, number: int, body: AsyncIterator[bytes], checksum: bytes, now: datetime
    ) -> StoredPart:
        return await self._call(
            "put_part", self._storage.put_part, grant, number, body, checksum, now
        )

    async def time(self, backend: str, bucket: str) -> datetime | None:
        return await self._call("time", self._storage.time, backend, bucket)

    async def check(self, backend: str, bucket: str) -> None:
        await self._call("check", self._storage.check, backend, bucket)

    async def aclose(self) -> None:
        await self._storage.aclose()

    async def _call(
        self, operation: str, method: Callable[..., Awaitable[T]], *arguments: Any
    ) -> T:
        self.calls.append(operation)
        if faults := self._before[operation]:
            await faults.popleft()()
        result = await method(*arguments)
        if faults := self._after[operation]:
            await faults.popleft()()
        return result


@dataclass(slots=True)
class CannedS3:
    """A server with canned responses. `requests` are the heads of the requests it received."""

    endpoint: str
    requests: list[str]


@asynccontextmanager
async def canned_s3(*answers: bytes) -> AsyncIterator[CannedS3]:
    """Serve `answers`, whole HTTP responses, one per request; b"" closes the connection instead."""
    requests: list[str] = []
    left = deque(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            requests.append(head)
            if length := re.search(r"(?i)content-length: (\d+)", head):
                await reader.readexactly(int(length[1]))
            writer.write(left.popleft())
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield CannedS3(f"http://127.0.0.1:{port}", requests)


def answer(status: str, body: str = "", headers: str = "") -> bytes:
    """Return a whole HTTP response, such as `answer("200 OK", "<Error/>")`."""
    length = f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    text = f"HTTP/1.1 {status}\r\n{length}{headers}\r\n{body}"
    return text.encode()


def error_answer(status: str, code: str) -> bytes:
    """Return the response of S3 to a request that failed."""
    return answer(status, f"<Error><Code>{code}</Code><Message>so it is</Message></Error>")
