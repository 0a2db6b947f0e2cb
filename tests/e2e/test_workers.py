"""Tests several processes on one port, and what prevents the service from starting."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3, answers
from partway_server.runtime.subprocesses import free_port

from tests.support.processes import Service, gone, service_environ, until

pytestmark = [
    pytest.mark.redis,
    pytest.mark.s3,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]

CONNECTIONS = 24
ESTABLISHED = "01"


async def test_two_processes_answer_on_one_port_and_end_together(
    tmp_path: Path, s3: S3, redis_url: str
) -> None:
    metrics = free_port()
    settings = {"workers": 2, "metrics_address": f"127.0.0.1:{metrics}"}
    with Service(tmp_path, s3, redis_url, **settings) as service:
        await asyncio.to_thread(service.start)
        await until(lambda: service.logged().count("serving on") == 2)
        assert answers(metrics, "/metrics") == 200
        workers = service.server.children()
        port = int(service.address.rpartition(":")[2])
        connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        try:
            # That the kernel gives all of them to one is as likely as 2 to the 23rd to 1.
            await until(lambda: all(accepted(worker, port) for worker in workers))
            assert sum(accepted(worker, port) for worker in workers) >= CONNECTIONS
        finally:
            for connection in connections:
                connection.close()
        assert await asyncio.to_thread(service.server.stop, signal.SIGTERM) == 0
        assert gone(workers, seconds=0)


def accepted(pid: int, port: int) -> int:
    """Return how many connections to the port the process has."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    # gRPC listens on IPv6 sockets, which take IPv4, too.
    rows += [line.split() for line in Path(f"/proc/{pid}/net/tcp6").read_text().splitlines()[1:]]
    mine = f":{port:04X}"
    inodes = {row[9] for row in rows if row[1].endswith(mine) and row[3] == ESTABLISHED}
    links = [
        str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir() if file.is_symlink()
    ]
    return len(inodes & {link[len("socket:[") : -1] for link in links if "socket:" in link})


def refused(environ: Mapping[str, str], *arguments: str) -> tuple[int, list[str]]:
    """Run `serve`; return its exit within a few seconds, and its own log lines."""
    begun = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "partway_server", "serve", *arguments],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert time.monotonic() - begun < 40
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    assert "never awaited" not in ran.stderr
    return ran.returncode, [x for x in ran.stderr.splitlines() if x.startswith("partway-server:")]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("name", ["PARTWAY_BUCKET", "PARTWAY_REDIS_URL", "PARTWAY_SEALING_KEYS"])
def test_a_missing_setting_is_named(s3: S3, redis_url: str, name: str, workers: str) -> None:
    environ = service_environ(s3, redis_url)
    del environ[name]
    code, [line] = refused(environ, "--workers", workers)
    assert code == 2
    assert name in line


@pytest.mark.parametrize(
    ("name", "wrong", "named"),
    [
        (
            "PARTWAY_REDIS_URL",
            "redis://127.0.0.1:1/0",
            "check PARTWAY_REDIS_URL, or run partway-server",
        ),
        ("PARTWAY_REDIS_URL", "redis://:swordfish/1@127.0.0.1:6379/0", "PARTWAY_REDIS_URL"),
        ("PARTWAY_S3_REGION", "not a region", "PARTWAY_S3_REGION"),
        ("PARTWAY_BUCKET", "nowhere", "PARTWAY_BUCKET"),
        ("PARTWAY_S3_ACCESS_KEY", "wrong", "the credentials"),
        ("PARTWAY_S3_SECRET_KEY", "wrong", "the credentials"),
    ],
)
def test_a_wrong_setting_is_named(
    s3: S3, redis_url: str, name: str, wrong: str, named: str
) -> None:
    environ = service_environ(s3, redis_url, address=f"127.0.0.1:{free_port()}")
    code, [line] = refused({**environ, name: wrong})
    assert code == 1
    assert named in line
    assert "swordfish" not in line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_port_of_another_service_is_not_shared(
    service: Service, s3: S3, redis_url: str, workers: str
) -> None:
    environ = service_environ(s3, redis_url, address=service.address)
    code, [line] = refused(environ, "--workers", workers)
    assert code != 0
    assert service.address in line


def test_a_taken_port_for_metrics_is_named(s3: S3, redis_url: str) -> None:
    environ = service_environ(s3, redis_url, address=f"127.0.0.1:{free_port()}")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, [line] = refused(environ, "--metrics-address", address)
    assert code == 1
    assert address in line and "PARTWAY_METRICS_ADDRESS" in line
