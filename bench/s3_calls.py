"""Compares the CPU that calls to storage take with the lean client and with the AWS SDK.

Run it as `python -m bench.s3_calls`. A stub in another process answers at once. Each round makes
each call by both clients in turn; the figures are CPU of this process, and ratios are taken within
a round. The last line of output is one JSON object.
"""

import asyncio
import json
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.part_plan import MIB, Plan
from partway_server.storage.base import StoredPart
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.s3 import S3Storage
from partway_server.storage.s3_calls import Client

ROUNDS = 5
CLIENTS: tuple[Client, ...] = ("lean", "sdk")
ETAG = "0123456789abcdef0123456789abcdef"

Call = Callable[[S3Storage], Coroutine[Any, Any, Any]]


def _response(body: str, headers: str = "") -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode()


def _page(count: int) -> bytes:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><LastModified>2026-03-01T10:20:30.000Z"
        f"</LastModified><ETag>&quot;{ETAG}&quot;</ETag><Size>8388608</Size></Part>"
        for number in range(1, count + 1)
    )
    return _response(
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListPartsResult'
        ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>'
        f"{parts}</ListPartsResult>"
    )


CREATED = _response(
    "<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>"
)
COMPLETED = _response(
    f"<CompleteMultipartUploadResult><ETag>{ETAG}-9</ETag></CompleteMultipartUploadResult>"
)
FOUND = (
    f"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nETag: {ETAG}\r\nx-amz-meta-partway-token: t\r\n\r\n"
).encode()
PAGES = {count: _page(count) for count in (100, 1_000)}


class Stub(asyncio.Protocol):
    """Answers requests; the key of an upload says how many parts are listed."""

    def __init__(self) -> None:
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while True:
            head, end, rest = self._read.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if len(rest) < int(length or 0):
                return
            self._read = rest[int(length or 0) :]
            self._transport.write(_answer_to(head))


def _answer_to(head: bytes) -> bytes:
    method, path, _ = head.split(b" ", 2)
    if method == b"HEAD":
        return FOUND
    if method == b"POST":
        return CREATED if path.endswith(b"?uploads") else COMPLETED
    return PAGES[int(path.split(b"/")[2].split(b"?")[0])]


def _serve(port: Any) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def stub() -> Iterator[str]:
    """Run the stub in a process of its own; yield its URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _grant(parts: int) -> Grant:
    now = datetime.now(UTC)
    return Grant(
        sid="0" * 32,
        caller=Caller("acme", "alice"),
        policy="default",
        backend="bench",
        bucket="bucket",
        key=str(parts),
        single=False,
        plan=Plan(parts * 8 * MIB, 8 * MIB),
        content_type="video/mp4",
        checksum=Checksum.NONE,
        write_token="t" * 32,
        create_time=now,
        expire_time=now + timedelta(days=1),
    )


def calls() -> dict[str, tuple[int, Call]]:
    """Return each call by name, and how often a round makes it."""
    hundred, thousand = (replace(_grant(n), multipart_id="id") for n in (100, 1_000))
    stored = [StoredPart(number, 8 * MIB, ETAG) for number in range(1, 10_001)]
    return {
        "Create": (50, lambda storage: storage.create(hundred, {"origin": "camera"})),
        "HEAD": (50, lambda storage: storage.head(hundred)),
        "ListParts of 100": (20, lambda storage: storage.list_parts(hundred)),
        "ListParts of 1,000": (5, lambda storage: storage.list_parts(thousand)),
        "Complete of 100": (20, lambda storage: storage.complete(hundred, stored[:100])),
        "Complete of 10,000": (2, lambda storage: storage.complete(hundred, stored)),
    }


async def _cpu_ms(storage: S3Storage, call: Call, times: int) -> float:
    before = time.process_time()
    for _ in range(times):
        await call(storage)
    return (time.process_time() - before) * 1000 / times


async def _longest_step_ms(storage: S3Storage, call: Call) -> float:
    """Return the most CPU that one call takes without letting others have their turn."""
    longest, run = 0.0, asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        nonlocal longest
        before = time.thread_time()
        run(handle)
        longest = max(longest, time.thread_time() - before)

    asyncio.Handle._run = timed  # type: ignore[method-assign,assignment]
    try:
        # A task of its own, so that no step of it is one of ours too.
        await asyncio.create_task(call(storage))
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
    return longest * 1000


async def measure(url: str) -> dict[str, dict[str, float]]:
    """Return the median of each figure by call."""
    options: Any = {
        "name": "bench",
        "capabilities": KNOWN["seaweedfs"],
        "region": "us-east-1",
        "endpoint_url": url,
        "access_key": "AKID",
        "secret_key": "secret",
    }
    async with (
        aclosing(await S3Storage.open(**options, client="lean")) as lean,
        aclosing(await S3Storage.open(**options, client="sdk")) as sdk,
    ):
        clients = {"lean": lean, "sdk": sdk}
        found = {}
        for name, (times, call) in calls().items():
            for storage in clients.values():
                await call(storage)  # The connection, and what is imported late.
            rounds = [
                {client: await _cpu_ms(clients[client], call, times) for client in CLIENTS}
                for _ in range(ROUNDS)
            ]
            steps = {
                # The least of three, since a collection of garbage may fall into any step.
                client: min([await _longest_step_ms(clients[client], call) for _ in range(3)])
                for client in CLIENTS
            }
            found[name] = {
                **{f"{c}_ms": statistics.median(r[c] for r in rounds) for c in CLIENTS},
                "ratio": statistics.median(r["lean"] / r["sdk"] for r in rounds),
                **{f"{client}_longest_step_ms": steps[client] for client in CLIENTS},
            }
    return found


def main() -> None:
    """Print a table, and its figures as JSON."""
    with stub() as url:
        found = asyncio.run(measure(url))
    print("CPU a call, ms         lean      sdk    ratio   longest step, ms: lean      sdk")
    for name, row in found.items():
        print(
            f"{name:20}{row['lean_ms']:7.2f}{row['sdk_ms']:9.2f}{row['ratio']:9.3f}"
            f"{row['lean_longest_step_ms']:26.2f}{row['sdk_longest_step_ms']:9.2f}"
        )
    print(json.dumps({"python": platform.python_version(), "calls": found}), file=sys.stdout)


if __name__ == "__main__":
    main()
