"""The stores that the suite of `storage/` runs over, each accessible from both sides.

What a store can do is stated in its capability record: in the service if an operator can name it,
here if it is for tests only.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import boto3
import botocore.config
import pytest
import yarl
from partway_server.devstack.servers import S3
from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.part_plan import MIB, Plan
from partway_server.storage.base import PresignedPart, Storage
from partway_server.storage.capabilities import KEPT, KNOWN, Capabilities
from partway_server.storage.memory import MemoryStorage
from partway_server.storage.router import StorageRouter
from partway_server.storage.s3 import S3Storage
from partway_server.storage.s3_calls import Client

from tests.support.storage import Put, Reply, put_by, put_into

SIGNATURES = "verifies signatures and their end"
SIGNED_HEADERS = "holds a PUT to the headers that were signed"
BYTES = "gives the bytes back"
RESENDS = "shows which of two sendings in one second came last"
MANY_PARTS = "takes a thousand parts in a second or two"
BEGINNINGS = "shows when an upload began"
CONNECTIONS = "is reached by a connection"
COPIES = "copies objects into parts"
COPY_CONDITIONS = "copies only the object that is meant"
COPY_OVER = "says that the upload which a part is copied into is over"
ENDED = "remembers which uploads are over"
IN_FLIGHT = "lists the parts of an upload while one of them is sent"
REFUSALS_HEARD = "is heard when it refuses a part that the service passes on"
DAMAGE = "names a changed byte by a code that is known"

MOTO = Capabilities(
    source="measured on moto 5.2.5",
    conditional_put=True,
    conditional_complete=True,
    conditional_delete=True,
    idempotent_complete=True,
    md5_etags=True,
    keeps=KEPT,
    # It joins parts in the order of the request.
    part_order=False,
)

RCLONE = Capabilities(
    source="measured on rclone 1.75.2; https://rclone.org/commands/rclone_serve_s3/#limitations",
    # In memory only, and gone when it ends. So the service does not start over it.
    metadata=False,
    checksums=frozenset({Checksum.MD5}),
    # It streams parts to where they belong as they come: there is no way back,
    part_resends=False,
    # none to leave one out,
    part_gaps=False,
    # and what Complete refused is gone.
    refusals_spare=False,
    part_minimum=False,
)

BODY = b"123456789"
"""What the catalogue of CRCs has check values of."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object as a reader finds it. `body` is None where storage keeps none."""

    content_type: str
    disposition: str
    metadata: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """An implementation under test, and access to it from the other side.

    `prefix` is what all keys begin with, `lacks` why a claim is not made.
    """

    storage: Storage
    bucket: str
    put: Put
    read: Callable[[Grant], Awaitable[Found]]
    lacks: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""

    @property
    def can(self) -> Capabilities:
        return self.storage.capabilities_of("test")

    def claims(self, category: str) -> None:
        """Skip the test if the implementation does not claim this category."""
        if reason := self.lacks.get(category):
            pytest.skip(f"no claim that it {category}: {reason}")

    def grant(self, body: bytes = BODY, *, name: str = "file.bin", **changes: Any) -> Grant:
        """Return a grant for one part of `body` at a key that no one else has."""
        now = datetime.now(UTC).replace(microsecond=0)
        sid = secrets.token_hex(16)
        grant = Grant(
            sid=sid,
            caller=Caller("acme", "alice"),
            policy="default",
            backend="test",
            bucket=self.bucket,
            key=f"{self.prefix}acme/{sid}/{name}",
            single=False,
            plan=Plan(len(body), max(len(body), 5 * MIB)),
            content_type="image/png",
            checksum=Checksum.NONE,
            write_token=secrets.token_hex(16),
            create_time=now,
            expire_time=now + timedelta(days=1),
        )
        return replace(grant, **changes)

    async def opened(self, grant: Grant, metadata: Mapping[str, str] | None = None) -> Grant:
        """Return the grant with a multipart upload opened for it."""
        return grant.with_multipart(await self.storage.create(grant, metadata or {}))

    async def sign(
        self, grant: Grant, number: int = 1, checksum: bytes | None = None
    ) -> PresignedPart:
        signer = await self.storage.presigner(grant, timedelta(minutes=5), datetime.now(UTC))
        [part] = signer.sign([number], {number: checksum} if checksum else {})
        return part

    async def send(self, grant: Grant, body: bytes = BODY, number: int = 1) -> Reply:
        """PUT `body` as a part planned at its size."""
        planned = replace(grant, plan=Plan(len(body), max(len(body), 1)))
        signer = await self.storage.presigner(planned, timedelta(minutes=5), datetime.now(UTC))
        [part] = signer.sign([number], {})
        return await self.put(part.url, body, part.headers)

    async def stored(self, grant: Grant, body: bytes = BODY) -> Grant:
        """Complete an upload of one part; return its grant."""
        grant = await self.opened(grant)
        await self.send(grant, body)
        await self.storage.complete(grant, await self.storage.list_parts(grant))
        return grant


def memory_store(*, routed: bool = False) -> Store:
    """Create a store in memory; if `routed`, it is one of two, and calls to the other are lost."""
    memory = MemoryStorage(buckets=["partway"])
    backends = {"other": MemoryStorage(buckets=[]), "test": memory}

    async def read(grant: Grant) -> Found:
        stored = memory.objects[grant.bucket, grant.key]
        return Found(stored.content_type, stored.disposition, stored.metadata, stored.headers)

    lacks = {
        SIGNATURES: "a memory:// URL is not signed and never ends",
        BYTES: "it keeps no bytes",
        CONNECTIONS: "it has no address",
    }
    storage = StorageRouter(backends) if routed else memory
    return Store(storage, "partway", put_into(memory), read, lacks)


@asynccontextmanager
async def s3_store(
    s3: S3,
    capabilities: Capabilities,
    lacks: Mapping[str, str],
    client: Client = "lean",
    prefix: str = "",
) -> AsyncIterator[Store]:
    other = reader(s3)
    async with (
        aiohttp.ClientSession() as http,
        aclosing(await open_s3(s3, capabilities=capabilities, client=client)) as storage,
    ):

        async def read(grant: Grant) -> Found:
            named = {"Bucket": grant.bucket, "Key": grant.key}
            url = other.generate_presigned_url("get_object", Params=named)
            async with http.get(yarl.URL(url, encoded=True)) as reply:
                prefix, headers = "x-amz-meta-", reply.headers
                metadata = {
                    name.lower().removeprefix(prefix): value
                    for name, value in headers.items()
                    if name.lower().startswith(prefix) and not name.lower().endswith("-token")
                }
                kind, disposition = headers["Content-Type"], headers["Content-Disposition"]
                reported = {name.lower(): value for name, value in headers.items()}
                return Found(kind, disposition, metadata, reported, await reply.read())

        yield Store(storage, s3.bucket, put_by(http), read, lacks, prefix)


def reader(s3: S3) -> Any:
    """Return an S3 client that is not ours, to look into storage with."""
    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name=s3.region,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


async def open_s3(s3: S3, **changes: Any) -> S3Storage:
    arguments = {
        "name": "test",
        "capabilities": KNOWN["seaweedfs"],
        "region": s3.region,
        "endpoint_url": s3.endpoint,
        "access_key": s3.access_key,
        "secret_key": s3.secret_key,
    }
    return await S3Storage.open(**{**arguments, **changes})


@asynccontextmanager
async def half_sent(
    part: PresignedPart, body: bytes
) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """Let storage read half of `body`; yield a function that sends the rest."""
    url = yarl.URL(part.url, encoded=True)
    lines = [
        f"PUT {url.raw_path_qs} HTTP/1.1",
        f"host: {url.raw_authority}",
        # Its answer says that storage has begun to read.
        "expect: 100-continue",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in part.headers.items()),
    ]
    reader, writer = await asyncio.open_connection(url.host, url.port)
    half = len(body) // 2

    async def rest() -> bytes:
        try:
            writer.write(body[half:])
            await writer.drain()
            return await reader.readline()
        except ConnectionError:
            return b""  # Storage hung up, which is an answer.

    try:
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(body[:half])
        await writer.drain()
        yield rest
    finally:
        writer.close()
