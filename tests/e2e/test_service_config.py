"""Tests the published service config: no call fails while replicas restart and 1 % are refused."""

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from subprocess import PIPE

import grpc
import pytest
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3

from tests.support.example_programs import UPLOADERS, upload
from tests.support.gateway import gateway
from tests.support.polling import wait_for
from tests.support.processes import Service

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(300)]

REPLICAS = 3
CALLERS = 4
CALLS_AT_LEAST = 200
READY_SECONDS = 60.0
DRAIN_SECONDS = 5
CONFIG = resources.files("partway.v1").joinpath("service_config.json").read_text()
GRPC_JS = Path(__file__).parent / "grpc_js/call.mjs"
PROTOS = Path(__file__).parents[2] / "proto"
Calls = tuple[int, list[str]]
Caller = Callable[[str, threading.Event], Calls]

REFUSE = {
    "name": "envoy.filters.http.fault",
    "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
        "abort": {"grpc_status": 14, "percentage": {"numerator": 1, "denominator": "HUNDRED"}},
    },
}
"""Answers UNAVAILABLE to 1 % of the calls, before anything in Envoy would repeat them."""


def call(address: str, stop: threading.Event) -> Calls:
    """Call until stopped. Return how many calls there were, and those that failed."""
    options = [("grpc.service_config", CONFIG), ("grpc.use_local_subchannel_pool", 1)]
    calls = 0
    failed: list[str] = []
    with grpc.insecure_channel(address, options) as channel:
        stub = UploadServiceStub(channel)
        while not stop.is_set():
            try:
                request = pb.InitializeRequest(size_bytes=5, request_id=str(uuid.uuid4()))
                upload = stub.Initialize(request, timeout=60).upload
                stub.Status(pb.StatusRequest(upload_id=upload.id), timeout=60)
                stub.Abort(pb.AbortRequest(upload_id=upload.id), timeout=60)
            except grpc.RpcError as error:
                assert isinstance(error, grpc.Call)
                failed.append(f"{error.code()}: {error.details()}")
            calls += 3
    return calls, failed


def restart_all(s3: S3, redis_url: str, folder: Path, callers: Sequence[Caller]) -> list[Calls]:
    """Restart one replica after the other while callers call; return what each of them saw."""
    stop = threading.Event()
    with ExitStack() as stack:
        # Each stays long enough for the gateway to move away, as it does by default.
        replicas = [
            stack.enter_context(Service(folder, s3, redis_url, drain_seconds=DRAIN_SECONDS))
            for _ in range(REPLICAS)
        ]
        for replica in replicas:
            replica.start()
        ports = [int(replica.address.rpartition(":")[2]) for replica in replicas]
        front = stack.enter_context(gateway(folder, ports, filters=[REFUSE]))
        _wait_until_reachable(front.address)
        with ThreadPoolExecutor(len(callers)) as pool:
            calling = [pool.submit(caller, front.address, stop) for caller in callers]
            try:
                for replica in replicas:
                    # As an orchestrator waits for one replica before it stops the next.
                    wait_for(
                        lambda: front.healthy() == REPLICAS,
                        "a replica does not come back",
                        READY_SECONDS,
                    )
                    assert replica.server.stop() == 0
                    replica.start()
            finally:
                stop.set()
            results = [each.result() for each in calling]
        assert front.count("fault.aborts_injected") > 0
    return results


def test_no_call_of_python_fails(s3: S3, redis_url: str, tmp_path: Path) -> None:
    results = restart_all(s3, redis_url, tmp_path, [call] * CALLERS)
    assert [failure for _, failures in results for failure in failures] == []
    assert sum(calls for calls, _ in results) >= CALLS_AT_LEAST


def call_from_node(address: str, stop: threading.Event) -> Calls:
    """Call by grpc-js until stopped. Return how many calls there were, and those that failed."""
    with resources.as_file(resources.files("partway.v1") / "service_config.json") as config:
        command = ["node", str(GRPC_JS), address, str(PROTOS), str(config)]
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as caller:
            stop.wait()
            printed, _ = caller.communicate()
    assert caller.returncode == 0
    found = json.loads(printed)
    return found["calls"], found["failed"]


@pytest.mark.examples
def test_no_call_of_node_fails(s3: S3, redis_url: str, tmp_path: Path) -> None:
    results = restart_all(s3, redis_url, tmp_path, [call_from_node] * CALLERS)
    assert [failure for _, failures in results for failure in failures] == []
    assert sum(calls for calls, _ in results) >= CALLS_AT_LEAST


@pytest.mark.examples
def test_no_uploader_in_any_language_fails(s3: S3, redis_url: str, tmp_path: Path) -> None:
    file = tmp_path / "small.txt"
    file.write_text("hello")

    def uploading(language: str) -> Caller:
        def run(address: str, stop: threading.Event) -> Calls:
            runs = 0
            failed: list[str] = []
            while not stop.is_set():
                done = upload(language, address, str(file))
                runs += 1
                if done.returncode:
                    failed.append(done.stderr)
            return runs, failed

        return run

    results = restart_all(s3, redis_url, tmp_path, [uploading(each) for each in UPLOADERS])
    assert [failures for _, failures in results] == [[]] * len(UPLOADERS)
    assert all(runs > 0 for runs, _ in results)


def _wait_until_reachable(address: str) -> None:
    with grpc.insecure_channel(address, [("grpc.service_config", CONFIG)]) as channel:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                UploadServiceStub(channel).GetUsage(pb.GetUsageRequest(), timeout=5)
            except grpc.RpcError:
                assert time.monotonic() < deadline, "the gateway finds no replica"
            else:
                return
