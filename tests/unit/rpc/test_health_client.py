"""Tests whether a service reports that it is serving."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import create_server

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from partway_server.rpc.health_client import serving
from partway_server.rpc.health_names import LIVENESS, SERVICE

SECONDS = 5.0


@pytest.fixture
def servicer() -> health.HealthServicer:
    return health.HealthServicer()


@pytest.fixture
def address(servicer: health.HealthServicer) -> Iterator[str]:
    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


def test_a_service_that_says_so_is_serving(servicer: health.HealthServicer, address: str) -> None:
    servicer.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    assert serving(address, SECONDS)


def test_a_service_that_drains_is_not_serving(
    servicer: health.HealthServicer, address: str
) -> None:
    servicer.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    servicer.enter_graceful_shutdown()
    assert not serving(address, SECONDS)


def test_a_service_that_drains_is_alive(servicer: health.HealthServicer, address: str) -> None:
    servicer.set(SERVICE, health_pb2.HealthCheckResponse.NOT_SERVING)
    servicer.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
    assert serving(address, SECONDS, liveness=True)
    assert not serving(address, SECONDS)


def test_a_server_without_the_service_is_not_serving(address: str) -> None:
    assert not serving(address, SECONDS)


def test_an_address_without_a_server_is_not_serving() -> None:
    with create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert not serving(f"127.0.0.1:{port}", SECONDS)


def test_a_server_that_never_answers_is_not_serving() -> None:
    with create_server(("127.0.0.1", 0)) as deaf:
        assert not serving(f"127.0.0.1:{deaf.getsockname()[1]}", 0.1)
