"""Tests `partway-server dev`: one ready line, a clean end, and nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import redis
from partway_server.devstack.servers import S3, connect

from tests.support.processes import Server, gone

pytestmark = [
    pytest.mark.redis,
    pytest.mark.s3,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc"),
]


def dev(tmp_path: Path, *arguments: str) -> Server:
    return Server("dev", "--port", "0", *arguments, log=tmp_path / "dev.log")


def test_the_ready_line_tells_every_address_and_is_all_of_standard_output(tmp_path: Path) -> None:
    with dev(tmp_path, "--rest", "--rest-port", "0") as server:
        ready = server.ready()
        assert list(ready) == ["ready", "grpc", "s3", "redis", "rest"]
        assert ready["ready"] is True
        assert list(ready["s3"]) == ["endpoint", "region", "access_key", "secret_key", "bucket"]
        for address in (ready["grpc"], ready["s3"]["endpoint"], ready["redis"], ready["rest"]):
            assert_listens(address)
        server.stop(signal.SIGINT)
        assert server.stdout.read() == b""


def assert_listens(address: str) -> None:
    host, _, port = address.rpartition("//")[2].partition("/")[0].rpartition(":")
    socket.create_connection((host, int(port)), timeout=5).close()


def test_it_needs_no_proxy_that_the_environment_names(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    arguments = ("dev", "--port", "0", "--rest", "--rest-port", "0")
    with Server(*arguments, log=tmp_path / "dev.log", environ=nowhere) as server:
        ready = server.ready()
        file = tmp_path / "file"
        file.write_bytes(b"content")
        command = [sys.executable, "-m", "partway_client", "upload", "--no-resume", str(file)]
        environ = {**os.environ, **nowhere, "PARTWAY_SERVER": ready["grpc"]}
        done = subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it_soon(tmp_path: Path, number: int) -> None:
    with dev(tmp_path, "--data-dir", str(tmp_path / "data")) as server:
        server.ready()
        children = server.children()
        assert len(children) == 2
        begin = time.monotonic()
        assert server.stop(number) == 0
        # Five seconds on a machine that is not busy with other tests.
        assert time.monotonic() - begin < 20
        assert gone(children, seconds=0)


def test_a_killed_stack_leaves_no_process_behind(tmp_path: Path) -> None:
    with dev(tmp_path, "--rest", "--rest-port", "0") as server:
        server.ready()
        children = server.children()
        assert len(children) == 3
        server.process.kill()
        assert gone(children)


def test_a_child_that_dies_ends_the_stack_with_its_name(tmp_path: Path) -> None:
    with dev(tmp_path) as server:
        server.ready()
        for pid in server.children():
            if "valkey" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
        assert server.process.wait(30) == 1
        assert "valkey ended with code -9" in server.log.read_text()


def test_a_signal_during_the_start_ends_it_quietly(tmp_path: Path) -> None:
    with dev(tmp_path) as server:
        while len(server.children()) < 2:
            time.sleep(0.01)
        assert server.stop(signal.SIGINT) == 0
        assert server.stdout.read() == b""
        assert "Traceback" not in server.log.read_text()


def test_many_buckets_with_objects_fit_on_a_disk_that_is_not_empty(tmp_path: Path) -> None:
    with dev(tmp_path) as server:
        s3 = S3(**server.ready()["s3"])
        with closing(connect(s3)) as client:
            for number in range(40):
                client.create_bucket(Bucket=f"bucket-{number}")
                client.put_object(Bucket=f"bucket-{number}", Key="key", Body=b"content")


def test_data_is_kept_across_runs_where_a_data_dir_is_given(tmp_path: Path) -> None:
    keep = ("--data-dir", str(tmp_path / "data"))
    with dev(tmp_path, *keep) as first:
        ready = first.ready()
        with closing(connect(S3(**ready["s3"]))) as storage:
            storage.put_object(Bucket=ready["s3"]["bucket"], Key="kept", Body=b"bytes")
        with closing(redis.Redis.from_url(ready["redis"])) as sessions:
            sessions.set("kept", "value")
    sealing_key = (tmp_path / "data" / "sealing.key").read_text()
    with dev(tmp_path, *keep) as second:
        ready = second.ready()
        with closing(connect(S3(**ready["s3"]))) as storage:
            kept = storage.get_object(Bucket=ready["s3"]["bucket"], Key="kept")
            assert kept["Body"].read() == b"bytes"
        with closing(redis.Redis.from_url(ready["redis"])) as sessions:
            assert sessions.get("kept") == b"value"
    assert (tmp_path / "data" / "sealing.key").read_text() == sealing_key


def test_two_stacks_do_not_share_a_data_dir(tmp_path: Path) -> None:
    keep = ("--data-dir", str(tmp_path / "data"))
    with dev(tmp_path, *keep) as first:
        first.ready()
        with Server("dev", "--port", "0", *keep, log=tmp_path / "second.log") as second:
            assert second.process.wait(30) == 1
        [line] = (tmp_path / "second.log").read_text().splitlines()
        assert "another stack runs in" in line
