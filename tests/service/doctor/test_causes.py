"""Tests that the doctor and the start of the service name the cause of what they cannot reach.

Each cause is a real server, and both say the same words.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3, start_valkey
from partway_server.doctor.finding import Finding, Status
from partway_server.doctor.runner import CheckSelection, run_checks
from partway_server.domain.clock import SystemClock
from partway_server.runtime.app import run
from partway_server.runtime.waiting import StartupError

from examples.certs import Authority
from tests.support.processes import service_environ
from tests.support.tls_relay import tls_in_front_of

Server = AbstractAsyncContextManager[int]

NOWHERE = S3("http://127.0.0.1:1", "us-east-1", "access", "the-secret", "uploads")

PAGE = b"<!DOCTYPE html><html><body>It works!</body></html>"


@contextlib.asynccontextmanager
async def listening(answer: bytes, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer whatever comes with the same bytes, and yield the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if await reader.read(4096):
                writer.write(answer)
                await writer.drain()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def page(status: str) -> Server:
    """Run a web server that answers everything with a page and this status."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(PAGE)}"
    return listening(f"{head}\r\nConnection: close\r\n\r\n".encode() + PAGE)


@contextlib.asynccontextmanager
async def refusing() -> AsyncIterator[int]:
    """Yield a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    yield port


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[int]:
    """Yield a port on which connections are accepted and closed without an answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def server_tls(tmp_path: Path) -> ssl.SSLContext:
    """Return the TLS of a server whose certificate is of a private CA."""
    files = Authority.new().server("localhost", "127.0.0.1").write(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


async def of_doctor(settings: Settings, only: str) -> Finding:
    """Return the first finding of the doctor that is bad."""
    found: list[Finding] = []
    await run_checks(
        settings,
        CheckSelection(only=only),
        clock=SystemClock(),
        random_hex=lambda n: "0" * 2 * n,
        progress=lambda _: None,
        report=found.append,
    )
    return next(each for each in found if each.status is Status.BAD)


async def of_serve(settings: Settings) -> Sequence[str]:
    """Return the lines that a start which does not wait ends with."""
    with pytest.raises(StartupError) as error:
        await run(replace(settings, address="127.0.0.1:0"), stop=asyncio.Event())
    return str(error.value).splitlines()


async def say(settings: Settings, only: str, found: str, remedy: str) -> None:
    """Check what the doctor says is wrong, and that the start says the same."""
    finding = await of_doctor(settings, only)
    assert found in finding.found
    assert remedy in finding.remedy
    lines = await of_serve(settings)
    assert any(f"{finding.found}. {finding.remedy.splitlines()[0]}" in line for line in lines)


async def redis_says(url: str, found: str, remedy: str) -> None:
    settings = Settings.load(service_environ(NOWHERE, url, identity="none"))
    await say(settings, "redis", found, remedy)


async def storage_says(endpoint: str, found: str, remedy: str, **changes: str) -> None:
    place = replace(NOWHERE, endpoint=endpoint)
    environ = service_environ(place, "redis://127.0.0.1:1/0", identity="none", **changes)
    await say(Settings.load(environ), "storage", found, remedy)


class TestRedis:
    async def test_a_host_name_that_is_not_known(self) -> None:
        await redis_says("redis://no-such-host.invalid/0", "cannot be resolved", "DNS")

    async def test_a_port_on_which_nothing_listens(self) -> None:
        async with refusing() as port:
            await redis_says(f"redis://127.0.0.1:{port}/0", "connection failed", "is running")

    async def test_a_port_that_closes_the_connection(self) -> None:
        async with silent() as port:
            await redis_says(f"redis://127.0.0.1:{port}/0", "closed without an answer", "proxy")

    @pytest.mark.parametrize("scheme", ["redis", "rediss"])
    async def test_a_web_server(self, scheme: str) -> None:
        async with page("400 Bad Request") as port:
            await redis_says(f"{scheme}://127.0.0.1:{port}/0", "a web server answers", "6379")

    async def test_a_web_server_that_answers_no_request_without_a_status(self) -> None:
        async with listening(PAGE) as port:
            await redis_says(f"redis://127.0.0.1:{port}/0", "a web server answers", "6379")

    @pytest.mark.redis
    async def test_tls_to_a_port_without(self, tmp_path: Path) -> None:
        child, url = start_valkey(tmp_path, keep=False)
        with child:
            secure = url.replace("redis:", "rediss:")
            await redis_says(secure, "it speaks no TLS there", "instead of rediss")

    async def test_no_tls_to_a_port_with(self, server_tls: ssl.SSLContext) -> None:
        async with listening(b"+PONG\r\n", server_tls) as port:
            await redis_says(
                f"redis://127.0.0.1:{port}/0", "it speaks TLS there", "with rediss instead"
            )

    async def test_a_certificate_of_a_private_ca(self, server_tls: ssl.SSLContext) -> None:
        async with listening(b"+PONG\r\n", server_tls) as port:
            url = f"rediss://127.0.0.1:{port}/0"
            await redis_says(url, "a CA that is not trusted", "ssl_ca_certs")

    async def test_a_certificate_for_another_host(self, tmp_path: Path) -> None:
        authority = Authority.new()
        ca, _ = authority.pair().write(tmp_path, "ca")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.server("elsewhere.example").write(tmp_path, "other"))
        async with listening(b"+PONG\r\n", context) as port:
            url = f"rediss://localhost:{port}/0?ssl_ca_certs={ca}"
            await redis_says(url, "for another host name", "host name of the certificate")

    async def test_a_ca_file_that_is_not_there(self, server_tls: ssl.SSLContext) -> None:
        async with listening(b"+PONG\r\n", server_tls) as port:
            url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs=/no/such/file"
            await redis_says(url, "for TLS cannot be used", "ssl_ca_certs")

    @pytest.mark.redis
    async def test_a_wrong_password(self, tmp_path: Path) -> None:
        child, url = start_valkey(tmp_path, keep=False)
        with child:
            wrong = url.replace("redis://", "redis://someone:hunter2@")
            await redis_says(wrong, "refuses the user name or password", "percent-encode")


class TestStorage:
    async def test_a_host_name_that_is_not_known(self) -> None:
        await storage_says("http://no-such-host.invalid", "cannot be resolved", "DNS")

    async def test_a_port_on_which_nothing_listens(self) -> None:
        async with refusing() as port:
            await storage_says(f"http://127.0.0.1:{port}", "refused", "is running")

    @pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "404 Not Found"])
    async def test_a_web_server_that_is_not_s3(self, status: str) -> None:
        async with page(status) as port:
            await storage_says(f"http://127.0.0.1:{port}", "does not speak S3", "of the S3 API")

    async def test_a_proxy_whose_storage_is_away(self) -> None:
        async with page("502 Bad Gateway") as port:
            await storage_says(f"http://127.0.0.1:{port}", "says that storage is away", "proxy")

    async def test_a_redis(self) -> None:
        async with listening(b"-ERR unknown command\r\n") as port:
            await storage_says(f"http://127.0.0.1:{port}", "does not speak S3", "of the S3 API")

    async def test_tls_to_a_port_without(self) -> None:
        async with page("400 Bad Request") as port:
            await storage_says(f"https://127.0.0.1:{port}", "speaks no TLS", "http://")

    async def test_no_tls_to_a_port_with(self, server_tls: ssl.SSLContext) -> None:
        async with listening(b"", server_tls) as port:
            await storage_says(f"http://127.0.0.1:{port}", "speaks TLS", "https://")

    async def test_a_certificate_of_a_private_ca(self, server_tls: ssl.SSLContext) -> None:
        async with listening(b"", server_tls) as port:
            await storage_says(f"https://127.0.0.1:{port}", "not trusted", "PARTWAY_S3_CA_FILE")

    @pytest.mark.s3
    async def test_a_wrong_secret_and_an_unknown_key(self, s3: S3) -> None:
        own = {"bucket": s3.bucket, "s3_access_key": s3.access_key}
        await storage_says(s3.endpoint, "secret key does not belong", "SECRET_KEY", **own)
        await storage_says(s3.endpoint, "does not know this access key", "ACCESS_KEY")

    @pytest.mark.s3
    async def test_a_bucket_that_is_not_there(self, s3: S3) -> None:
        own = {"s3_access_key": s3.access_key, "s3_secret_key": s3.secret_key}
        await storage_says(s3.endpoint, "does not exist", "create-bucket", bucket="nowhere", **own)

    @pytest.mark.s3
    async def test_a_server_without_tls_behind_a_relay_with(self, s3: S3, tmp_path: Path) -> None:
        files = Authority.new().server("localhost", "127.0.0.1").write(tmp_path, "server")
        async with tls_in_front_of(s3.endpoint, *files) as port:
            await storage_says(f"http://127.0.0.1:{port}", "speaks TLS", "https://")
