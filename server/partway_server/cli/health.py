"""`partway-server health`: ask a running service for its health."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from partway_server.cli.options import fail
from partway_server.config.settings import Settings
from partway_server.config.settings_validation import is_address
from partway_server.storage.capabilities import KNOWN

if TYPE_CHECKING:
    from partway_server.rpc.health_client import ClientTls

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}

_PEM_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--address", help="host:port; by default PARTWAY_ADDRESS or its default.")
@click.option("--timeout", default=2.0, show_default=True, help="Seconds to wait for an answer.")
@click.option("--liveness", is_flag=True, help="Ask only whether the process is alive.")
@click.option("--tls", is_flag=True, help="Ask over TLS, even without PARTWAY_TLS_CERT_FILE.")
@click.option(
    "--tls-ca",
    envvar="PARTWAY_TLS_CA",
    show_envvar=True,
    type=_PEM_FILE,
    help="The CAs to trust, as PEM; by default the public ones.",
)
@click.option(
    "--cert",
    envvar="PARTWAY_CERT",
    show_envvar=True,
    type=_PEM_FILE,
    help="A client certificate, as PEM, if the service requires one.",
)
@click.option(
    "--key",
    envvar="PARTWAY_KEY",
    show_envvar=True,
    type=_PEM_FILE,
    help="The key of the client certificate.",
)
@click.option(
    "--server-name",
    default="",
    help="The name to expect in the service's certificate; by default the first one in"
    " PARTWAY_TLS_CERT_FILE, or the host of --address.",
)
def health(
    address: str | None,
    timeout: float,
    tls: bool,
    tls_ca: Path | None,
    cert: Path | None,
    key: Path | None,
    server_name: str,
    liveness: bool,
) -> None:
    """Ask a running service whether it is serving: exit code 0 if so, 1 if not.

    Uses the gRPC health protocol, for the health checks of containers. A service is alive but not
    serving while it drains, or while its Redis or storage does not answer: then it should get no
    calls, but a restart would not help. With PARTWAY_TLS_CERT_FILE, as the service has it, it asks
    over TLS.
    """
    # Imported here because gRPC is slow to load.
    from partway_server.rpc.health_client import serving

    if (cert is None) != (key is None):
        fail(2, "--cert and --key belong together; give both or none")
    settings, _ = Settings.examine(os.environ, backends=KNOWN)
    if not server_name and address is None:
        server_name = _own_name(settings)
    if address is None:
        address = _own_address(settings)
    client = None
    if tls or settings.tls_cert_file:
        if settings.tls_client_ca_file and cert is None:
            fail(2, "the service requires a client certificate; give --cert and --key")
        client = _client_tls(tls_ca, cert, key, server_name)
    what = "alive" if liveness else "serving"
    if not serving(address, timeout, client, liveness=liveness):
        fail(1, f"{address} does not report that it is {what}")
    click.echo(f"{address} is {what}")


def _own_address(settings: Settings) -> str:
    """Return where to ask the service of these settings. Ends the process if that is nowhere."""
    if not is_address(settings.address):
        fail(2, f"PARTWAY_ADDRESS: {settings.address!r} is not host:port")
    # A service that listens on every address is asked on loopback.
    host, _, port = settings.address.rpartition(":")
    return f"{_LOOPBACK.get(host, host)}:{port}"


def _own_name(settings: Settings) -> str:
    """Return the first name in the service's own certificate, which it has on loopback too."""
    if not settings.tls_cert_file:
        return ""
    from partway_server.config.certificate_files import CertificateFileError, certificate_hosts

    try:
        hosts = certificate_hosts(Path(settings.tls_cert_file))
    except CertificateFileError as error:
        fail(1, str(error))
    # Any name that a wildcard is for.
    return hosts[0].replace("*", "health", 1) if hosts else ""


def _client_tls(
    ca: Path | None, certificate: Path | None, key: Path | None, server_name: str
) -> "ClientTls":
    from partway_server.rpc.health_client import ClientTls

    def content(path: Path | None) -> bytes | None:
        return path.read_bytes() if path is not None else None

    return ClientTls(content(ca), content(certificate), content(key), server_name)
