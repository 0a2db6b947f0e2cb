"""Tests storage and Redis whose certificates come from a private CA, over real TLS."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3
from partway_server.doctor.finding import Finding, Status
from partway_server.doctor.runner import STORAGE, CheckSelection, run_checks
from partway_server.domain.clock import SystemClock
from partway_server.domain.obstacle import StoreUnusable
from partway_server.domain.policy import Policy
from partway_server.redis_client.topology import connect
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.s3 import S3Storage

from examples.certs import Authority
from tests.support.backends import REDIS_PATIENCE
from tests.support.clock import FakeClock
from tests.support.storage import FaultyObjects, put_by
from tests.support.tls_relay import tls_in_front_of
from tests.support.world import ALICE, PART, World, a_world, content

pytestmark = [pytest.mark.s3, pytest.mark.redis]


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    authority = Authority.new()
    authority.server("localhost", "127.0.0.1").write(tmp_path, "server")
    return authority.pair().write(tmp_path, "ca")[0]


@pytest.fixture
def other_ca(tmp_path: Path) -> Path:
    return Authority.new("another CA").pair().write(tmp_path, "other")[0]


@pytest.fixture
async def secure_s3(s3: S3, ca: Path) -> AsyncIterator[S3]:
    """Yield the storage behind TLS."""
    async with tls_in_front_of(s3.endpoint, *_server(ca)) as port:
        yield replace(s3, endpoint=f"https://127.0.0.1:{port}")


@pytest.fixture
async def secure_redis(redis_url: str, ca: Path) -> AsyncIterator[str]:
    """Yield the URL of Redis behind TLS, without the CA."""
    async with tls_in_front_of(redis_url, *_server(ca)) as port:
        yield f"rediss://localhost:{port}/0"


@pytest.fixture
async def world(
    secure_s3: S3, secure_redis: str, s3: S3, ca: Path, clock: FakeClock
) -> AsyncIterator[World]:
    """Start a service that reaches both over TLS; callers reach storage in plain text."""
    async with (
        _storage(secure_s3, ca, public_endpoint_url=s3.endpoint) as storage,
        contextlib.aclosing(_sessions(secure_redis, ca, clock)) as sessions,
        aiohttp.ClientSession() as http,
        a_world(
            clock=clock,
            sessions=sessions,
            storage=FaultyObjects(storage),
            put=put_by(http),
            bucket=s3.bucket,
            policies=[Policy("via", s3.bucket, via_service=True)],
        ) as world,
    ):
        yield world


def _server(ca: Path) -> tuple[Path, Path]:
    return ca.with_name("server.pem"), ca.with_name("server.key")


@contextlib.asynccontextmanager
async def _storage(s3: S3, ca: Path | None, **changes: Any) -> AsyncIterator[S3Storage]:
    storage = await S3Storage.open(
        name="default",
        capabilities=KNOWN["seaweedfs"],
        region=s3.region,
        endpoint_url=s3.endpoint,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        ca_file=str(ca) if ca else None,
        **changes,
    )
    async with contextlib.aclosing(storage):
        yield storage


def _sessions(
    url: str, ca: Path | None, clock: FakeClock, patience: float = REDIS_PATIENCE
) -> RedisSessionStore:
    return RedisSessionStore(
        connect(f"{url}?ssl_ca_certs={ca}" if ca is not None else url),
        clock=clock,
        patience=patience,
    )


async def test_an_upload_goes_through_over_tls(world: World) -> None:
    upload = await world.initialize()
    await world.send(upload)
    done = await world.complete(upload)
    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED


async def test_a_part_goes_through_the_service_over_tls(world: World) -> None:
    upload = await world.initialize(PART + 7, policy="via")

    async def part(number: int, size: int) -> AsyncIterator[pb.UploadPartRequest]:
        header = pb.UploadPartHeader(upload_id=upload.id, part_number=number)
        yield pb.UploadPartRequest(header=header)
        body = content(number, size)
        for start in range(0, size, 1 << 20):
            yield pb.UploadPartRequest(chunk=body[start : start + (1 << 20)])

    await world.stub.UploadPart(part(1, PART), metadata=ALICE)
    await world.stub.UploadPart(part(2, 7), metadata=ALICE)
    assert (await world.complete(upload)).object.size_bytes == PART + 7


@pytest.mark.parametrize("trusted", ["the default", "another"])
async def test_storage_of_another_ca_is_unusable(
    secure_s3: S3, other_ca: Path, trusted: str
) -> None:
    async with _storage(secure_s3, other_ca if trusted == "another" else None) as storage:
        with pytest.raises(StoreUnusable, match="a CA that is not trusted.*PARTWAY_S3_CA_FILE"):
            await storage.check("default", secure_s3.bucket)


@pytest.mark.parametrize("trusted", ["the default", "another"])
async def test_redis_of_another_ca_is_unusable(
    secure_redis: str, other_ca: Path, clock: FakeClock, trusted: str
) -> None:
    ca = other_ca if trusted == "another" else None
    async with contextlib.aclosing(_sessions(secure_redis, ca, clock, patience=2.5)) as sessions:
        with pytest.raises(StoreUnusable, match="a CA that is not trusted"):
            await sessions.check()


@pytest.mark.parametrize("file", ["missing.pem", "server.key"])
async def test_a_ca_file_that_cannot_be_used_is_named(
    secure_s3: S3, tmp_path: Path, file: str
) -> None:
    with pytest.raises(ValueError, match=rf"the CA file \S+{file}: (No such|holds no)"):
        async with _storage(secure_s3, tmp_path / file):
            pass


async def test_the_doctor_tries_storage_by_its_ca(secure_s3: S3, ca: Path, other_ca: Path) -> None:
    found = await _examined(secure_s3, ca)
    assert {each.status for each in found if each.name == "storage.reachable"} == {Status.OK}
    assert not [each for each in found if "certificate" in each.found]
    [refused] = [each for each in await _examined(secure_s3, other_ca) if each.status is Status.BAD]
    assert "a CA that is not trusted" in refused.found
    assert "PARTWAY_S3_CA_FILE" in refused.remedy


async def _examined(s3: S3, ca: Path) -> list[Finding]:
    settings = Settings(
        s3_endpoint=s3.endpoint,
        s3_region=s3.region,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        s3_ca_file=str(ca),
        backend="seaweedfs",
        bucket=s3.bucket,
        s3_addressing="path",
    )
    found: list[Finding] = []
    await run_checks(
        settings,
        CheckSelection(only=STORAGE),
        clock=SystemClock(),
        random_hex=lambda count: "0" * count * 2,
        progress=lambda text: None,
        report=found.append,
    )
    return found
