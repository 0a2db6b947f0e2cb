"""Tests `partway` and `partway-server` over TLS, as users run them."""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from partway_client import State, SyncUploadClient, UploadClient, UploadNotFound
from partway_server.devstack.servers import S3
from partway_server.rpc.health_client import ClientTls

from examples.certs import Authority
from tests.support.bucket import Bucket
from tests.support.files import File
from tests.support.processes import COMMANDS, Partway, Service, until
from tests.support.tls import TlsFiles, serial_of, shown_serial

# Two processes start, and files go over TLS: more than a minute on a busy machine.
pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(240)]

MIB = 1024 * 1024
EXAMPLE = Path(__file__).parents[2] / "examples" / "mtls" / "run.py"


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    """Make the files, and the certificates of acme's alice and globex's bob beside them."""
    made = TlsFiles.made_in(tmp_path)
    for who in ("acme/alice", "globex/bob"):
        pair = made.authority.client(f"spiffe://example.org/{who}")
        pair.write(tmp_path, who.partition("/")[2])
    return made


@pytest.fixture
async def service(tls: TlsFiles, tmp_path: Path, s3: S3, redis_url: str) -> AsyncIterator[Service]:
    """Start two processes behind one port, which identify callers by certificate."""
    health = ClientTls(
        tmp_path / "ca.pem",
        tmp_path / "alice.pem",
        tmp_path / "alice.key",
    )
    settings = {
        "workers": 2,
        "identity": "mtls",
        "mtls_rule": "spiffe://example.org/{tenant}/{subject}",
        "tls_cert_file": tls.files.certificate,
        "tls_key_file": tls.files.key,
        "tls_client_ca_file": tls.files.client_ca,
        "via_service": True,
    }
    with Service(tmp_path, s3, redis_url, **settings) as service:
        service.tls = health
        await asyncio.to_thread(service.start)
        await until(lambda: service.logged().count("serving on") == 2, 60)
        yield service


def variables(folder: Path, name: str) -> dict[str, str]:
    return {
        "PARTWAY_TLS_CA": str(folder / "ca.pem"),
        "PARTWAY_CERT": str(folder / f"{name}.pem"),
        "PARTWAY_KEY": str(folder / f"{name}.key"),
    }


async def test_the_command_uploads_and_watches_over_tls(
    service: Service, bucket: Bucket, tmp_path: Path
) -> None:
    file = File.write(tmp_path / "film.mp4", 12 * MIB + 3)
    async with Partway(
        service.address, tmp_path / "state", **variables(tmp_path, "alice")
    ) as alice:
        for route in ("--direct-only", "--via-service"):
            ran = await alice.run("upload", file.path, "--json", "--part-size", "5MiB", route)
            assert ran.only["key"].startswith("acme/")
            assert bucket.sha256(ran.only["key"]) == file.sha256
            seen = await alice.run("watch", ran.only["upload_id"], "--json")
            assert seen.printed[-1]["state"] == "completed"
        assert ran.only["bytes_via_service"] == ran.only["size_bytes"]
        async with Partway(
            service.address, tmp_path / "other", **variables(tmp_path, "bob")
        ) as bob:
            refused = await bob.run("status", ran.only["upload_id"])
            assert (refused.code, refused.messages) == (1, "partway: upload not found\n")
    assert "-----BEGIN" not in service.logged()


async def test_the_library_uploads_and_watches_over_tls(
    service: Service, bucket: Bucket, tmp_path: Path
) -> None:
    file = File.write(tmp_path / "film.mp4", 6 * MIB)
    files: dict[str, Any] = {
        "tls_ca": tmp_path / "ca.pem",
        "cert": tmp_path / "alice.pem",
        "key": tmp_path / "alice.key",
    }

    def upload_and_watch() -> str:
        with SyncUploadClient(service.address, state_dir=tmp_path / "state", **files) as client:
            done = client.upload_file(file.path)
            assert [each.state for each in client.watch(done.upload_id)] == [State.COMPLETED]
            assert bucket.sha256(done.key) == file.sha256
            return done.upload_id

    upload_id = await asyncio.to_thread(upload_and_watch)
    other = {**files, "cert": tmp_path / "bob.pem", "key": tmp_path / "bob.key"}
    async with UploadClient(service.address, state_dir=tmp_path / "other", **other) as bob:
        with pytest.raises(UploadNotFound):
            await bob.status(upload_id)


async def test_every_process_takes_a_new_certificate_and_drops_no_call(
    service: Service, tls: TlsFiles, tmp_path: Path
) -> None:
    """Rotate while a file is uploaded through the service."""
    port = int(service.address.rpartition(":")[2])
    film = File.write(tmp_path / "film.mp4", 64 * MIB)
    async with Partway(
        service.address, tmp_path / "state", **variables(tmp_path, "alice")
    ) as alice:
        uploading = asyncio.create_task(
            alice.run("upload", film.path, "--json", "--part-size", "5MiB", "--via-service")
        )
        while not uploading.done():
            pair = tls.rotate()
            # Connections are spread over both processes.
            assert {await shown_serial(port) for _ in range(16)} == {serial_of(pair)}
        ran = (await uploading).only
    assert ran["parts_retried"] == 0
    await until(lambda: service.logged().count("certificate reloaded") >= 2, 60)


def health(
    service: Service, tls: TlsFiles, *options: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run `partway-server health` beside the service."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PARTWAY_")}
    environ = {
        "PARTWAY_ADDRESS": service.address,
        "PARTWAY_TLS_CERT_FILE": str(tls.files.certificate),
        "PARTWAY_TLS_CLIENT_CA_FILE": str(tls.files.client_ca),
    }
    return subprocess.run(
        [COMMANDS / "partway-server", "health", *options],
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


async def test_the_health_command_asks_over_tls(
    service: Service, tls: TlsFiles, tmp_path: Path
) -> None:
    files = ("--cert", tmp_path / "alice.pem", "--key", tmp_path / "alice.key")
    ca = ("--tls-ca", tmp_path / "ca.pem")
    ran = await asyncio.to_thread(health, service, tls, *ca, *files, "--timeout", "20")
    assert (ran.returncode, ran.stdout) == (0, f"{service.address} is serving\n"), ran.stderr
    ran = await asyncio.to_thread(health, service, tls, *ca)
    assert (ran.returncode, "give --cert and --key" in ran.stderr) == (2, True)
    Authority.new("another CA").pair().write(tmp_path, "other")
    ran = await asyncio.to_thread(health, service, tls, "--tls-ca", tmp_path / "other.pem", *files)
    assert (ran.returncode, "does not report" in ran.stderr) == (1, True)


async def test_strangers_write_nothing_to_the_log(service: Service) -> None:
    before = service.logged()
    port = int(service.address.rpartition(":")[2])
    for _ in range(5):
        # The handshake fails on the other side, after this one has ended, for want of a client's.
        await shown_serial(port)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await writer.drain()
        writer.close()
        with pytest.raises(OSError, match=r"EOF|reset|alert"):
            await shown_serial(port, ssl.TLSVersion.TLSv1_2)
    assert await asyncio.to_thread(service.server.stop, signal.SIGTERM) == 0
    added = service.logged().removeprefix(before)
    assert "andshake" not in added and "SSL" not in added


async def test_a_handshake_that_does_not_end_is_ended(service: Service) -> None:
    port = int(service.address.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # The beginning of a TLS record.
    writer.write(b"\x16\x03\x01")
    async with asyncio.timeout(40):
        assert await reader.read() == b""
    writer.close()


def test_the_example_of_client_certificates_runs_to_its_end() -> None:
    ran = subprocess.run(
        [sys.executable, EXAMPLE], capture_output=True, text=True, timeout=200, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("Everything is as expected.\n")
