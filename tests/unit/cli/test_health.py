"""Tests what `partway-server health` asks, and that it imports no more than it needs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from partway_server.cli.health import health as command
from partway_server.cli.health_probe import DEFAULT_ADDRESS, Probe, ask, read_probe
from partway_server.config.settings import Settings
from partway_server.rpc.health_names import LIVENESS, SERVICE

from examples.certs import Authority

_SERVING = health_pb2.HealthCheckResponse.SERVING

_COUNT = """
import json, sys
sys.argv = ["partway-server", "health", *sys.argv[1:]]
from partway_server.__main__ import main
try:
    main()
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]))
"""


@pytest.fixture
def ready() -> Iterator[tuple[grpc.Server, health.HealthServicer]]:
    """Yield a server that reports that it is serving, without a port as yet."""
    with ThreadPoolExecutor(1) as pool:
        server, servicer = grpc.server(pool), health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        for name in (SERVICE, LIVENESS):
            servicer.set(name, _SERVING)
        yield server, servicer
        server.stop(None).wait()


@pytest.fixture
def address(ready: tuple[grpc.Server, health.HealthServicer]) -> str:
    port = ready[0].add_insecure_port("127.0.0.1:0")
    ready[0].start()
    return f"127.0.0.1:{port}"


@pytest.mark.slow
def test_the_command_loads_next_to_nothing(address: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _COUNT, "--address", address],
        check=True,
        capture_output=True,
        text=True,
    )
    said, printed = ran.stdout.splitlines()
    code, modules = json.loads(printed)
    assert (code, said) == (0, f"{address} is serving")
    heavy = {"aiobotocore", "asyncio", "click", "google", "grpc", "pydantic", "redis", "ssl"}
    assert heavy.isdisjoint(modules)
    own = [name for name in modules if name.startswith("partway_server.")]
    assert set(own) <= {
        "partway_server.__main__",
        "partway_server.cli",
        "partway_server.cli.health_probe",
        "partway_server.cli.interrupt",
        "partway_server.rpc",
        "partway_server.rpc.health_client",
        "partway_server.rpc.health_names",
    }
    assert len(modules) < 110


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, DEFAULT_ADDRESS),
        ({"PARTWAY_ADDRESS": " "}, DEFAULT_ADDRESS),
        ({"PARTWAY_ADDRESS": "0.0.0.0:1"}, "127.0.0.1:1"),
        ({"PARTWAY_ADDRESS": "[::]:1"}, "[::1]:1"),
        ({"PARTWAY_ADDRESS": "10.255.255.255:1"}, "10.255.255.255:1"),
    ],
)
def test_a_service_is_asked_where_it_listens(variables: dict[str, str], asked: str) -> None:
    result = ask(Probe(timeout=0.01), variables)
    assert result == (1, f"{asked} does not report that it is serving")


def test_the_default_address_is_that_of_the_settings() -> None:
    assert Settings.__dataclass_fields__["address"].default == DEFAULT_ADDRESS


def test_what_is_served_follows_the_service(
    ready: tuple[grpc.Server, health.HealthServicer], address: str
) -> None:
    ready[1].set(SERVICE, health_pb2.HealthCheckResponse.NOT_SERVING)
    assert ask(Probe(address=address), {}).code == 1
    assert ask(Probe(address=address, liveness=True), {}) == (0, f"{address} is alive")


@pytest.mark.parametrize(
    ("arguments", "probe"),
    [
        ([], Probe()),
        (["--liveness", "--timeout=1"], Probe(liveness=True, timeout=1)),
        (
            ["--tls", "--address", "a:1", "--server-name", "n"],
            Probe("a:1", tls=True, server_name="n"),
        ),
        (["--help"], None),
        (["--timeout", "soon"], None),
        (["--timeout"], None),
        (["--tls-ca", "/nowhere"], None),
        (["other"], None),
    ],
)
def test_only_plain_options_are_read_without_the_command_line(
    arguments: list[str], probe: Probe | None
) -> None:
    assert read_probe(arguments, {}) == probe


def test_the_command_line_says_what_is_wrong() -> None:
    for arguments, words in (
        (["--timeout", "soon"], "'soon' is not a valid float"),
        (["--tls-ca", "/nowhere"], "'/nowhere' does not exist"),
    ):
        ran = CliRunner().invoke(command, arguments)
        assert ran.exit_code == 2 and words in ran.output


def test_a_service_with_tls_is_asked_over_tls(
    ready: tuple[grpc.Server, health.HealthServicer], tmp_path: Path
) -> None:
    authority = Authority.new()
    ca, _ = authority.pair().write(tmp_path, "ca")
    pair = authority.server("files.example")
    certificate, _ = pair.write(tmp_path, "server")
    credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)])
    port = ready[0].add_secure_port("127.0.0.1:0", credentials)
    ready[0].start()
    variables = {"PARTWAY_ADDRESS": f"0.0.0.0:{port}", "PARTWAY_TLS_CERT_FILE": str(certificate)}
    assert ask(Probe(tls_ca=str(ca)), variables).code == 0
    # The public CAs do not know it.
    assert ask(Probe(), variables).code == 1
    # A newer file, which the service has not read yet: the names are the same.
    authority.server("files.example").write(tmp_path, "server")
    assert ask(Probe(tls_ca=str(ca)), variables).code == 0
    authority.server("other.example").write(tmp_path, "server")
    assert ask(Probe(tls_ca=str(ca)), variables).code == 1
    named = Probe(f"127.0.0.1:{port}", tls=True, tls_ca=str(ca), server_name="files.example")
    assert ask(named, {}).code == 0
    assert ask(named._replace(server_name=""), {}).code == 1
