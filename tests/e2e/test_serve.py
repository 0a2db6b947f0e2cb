"""Tests `partway-server serve` as an operator runs it: signals, workers, refusals to start."""

import base64
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3
from partway_server.runtime.subprocesses import free_port

from tests.support.polling import wait_for
from tests.support.processes import Server, gone

pytestmark = [
    pytest.mark.redis,
    pytest.mark.s3,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


@pytest.fixture
def environ(redis_url: str, s3: S3) -> dict[str, str]:
    return {
        "PARTWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "PARTWAY_S3_ENDPOINT": s3.endpoint,
        "PARTWAY_S3_ACCESS_KEY": s3.access_key,
        "PARTWAY_S3_SECRET_KEY": s3.secret_key,
        "PARTWAY_BACKEND": "seaweedfs",
        "PARTWAY_BUCKET": s3.bucket,
        "PARTWAY_REDIS_URL": redis_url,
        "PARTWAY_SEALING_KEYS": base64.b64encode(bytes(64)).decode(),
        "PARTWAY_DRAIN_SECONDS": "0",
    }


def wait_until_serving(server: Server, count: int) -> None:
    wait_for(lambda: serving(server) == count, f"{count} processes do not serve")


def serving(server: Server) -> int:
    """Return how many processes have logged that they are serving."""
    return server.log.read_text().count("serving on")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_service_with_zero(
    tmp_path: Path, environ: dict[str, str], number: int
) -> None:
    with Server("serve", log=tmp_path / "log", environ=environ) as server:
        wait_until_serving(server, 1)
        assert server.stop(number) == 0
        assert server.stdout.read() == b""


def test_a_second_signal_ends_it_at_once(tmp_path: Path, environ: dict[str, str]) -> None:
    environ["PARTWAY_DRAIN_SECONDS"] = "60"
    with Server("serve", log=tmp_path / "log", environ=environ) as server:
        wait_until_serving(server, 1)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "draining" in server.log.read_text(), "it does not drain")
        assert server.stop(signal.SIGTERM) == 130


def test_a_worker_that_dies_is_replaced_and_all_end_together(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with Server("serve", "--workers", "2", log=tmp_path / "log", environ=environ) as server:
        wait_until_serving(server, 2)
        first, second = server.children()
        os.kill(first, signal.SIGKILL)
        wait_until_serving(server, 3)
        workers = server.children()
        assert second in workers and first not in workers
        assert server.stop() == 0
        assert gone(workers, seconds=0)
        assert server.log.read_text().count("stopped") == 2


def test_workers_end_when_their_parent_is_killed(tmp_path: Path, environ: dict[str, str]) -> None:
    with Server("serve", "--workers", "2", log=tmp_path / "log", environ=environ) as server:
        wait_until_serving(server, 2)
        workers = server.children()
        server.process.kill()
        assert gone(workers)
        # Not killed but asked: they drain.
        assert server.log.read_text().count("stopped") == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"PARTWAY_S3_SECRET_KEY": "wrong"}, "PARTWAY_S3_SECRET_KEY"),
        ({"PARTWAY_BUCKET": "nowhere"}, "PARTWAY_BUCKET"),
        ({"PARTWAY_POLICY_FILE": "/nowhere.toml"}, "PARTWAY_POLICY_FILE"),
        (
            {"PARTWAY_TLS_CERT_FILE": "/nowhere.pem", "PARTWAY_TLS_KEY_FILE": "/nowhere.key"},
            "PARTWAY_TLS_CERT_FILE: cannot be read: No such file or directory",
        ),
    ],
)
def test_what_keeps_it_from_starting_is_one_line_and_exit_code_one(
    tmp_path: Path, environ: dict[str, str], change: dict[str, str], reason: str
) -> None:
    with Server("serve", log=tmp_path / "log", environ={**environ, **change}) as server:
        assert server.process.wait(60) == 1
    [line] = [x for x in server.log.read_text().splitlines() if x.startswith("partway-server:")]
    assert reason in line
    assert "Traceback" not in server.log.read_text()


def test_storage_that_forgets_the_proof_of_outcomes_is_refused(
    tmp_path: Path, environ: dict[str, str], rclone: S3
) -> None:
    place = {
        "PARTWAY_S3_ENDPOINT": rclone.endpoint,
        "PARTWAY_S3_ACCESS_KEY": rclone.access_key,
        "PARTWAY_S3_SECRET_KEY": rclone.secret_key,
        "PARTWAY_BACKEND": "generic",
    }
    with Server("serve", log=tmp_path / "log", environ={**environ, **place}) as server:
        assert server.process.wait(60) == 1
    [line] = server.log.read_text().splitlines()
    assert "`rclone serve s3`, which loses the metadata" in line
    assert "Use another store" in line


def test_a_port_that_is_taken_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        environ["PARTWAY_ADDRESS"] = address
        with Server("serve", log=tmp_path / "log", environ=environ) as server:
            assert server.process.wait(60) == 1
    assert f"cannot listen on {address}" in server.log.read_text()
