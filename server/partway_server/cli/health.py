"""`partway-server health`: ask a running service for its health.

`health_probe` does it, and is enough for plain options; this is their help and their errors.
"""

import os
import sys

import click

from partway_server.cli.health_probe import TIMEOUT_SECONDS, Probe, ask, report

_PEM_FILE = click.Path(exists=True, dir_okay=False)


@click.command()
@click.option("--address", default="", help="host:port; by default PARTWAY_ADDRESS or its default.")
@click.option(
    "--timeout", default=TIMEOUT_SECONDS, show_default=True, help="Seconds to wait for an answer."
)
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
    address: str,
    timeout: float,
    tls: bool,
    tls_ca: str | None,
    cert: str | None,
    key: str | None,
    server_name: str,
    liveness: bool,
) -> None:
    """Ask a running service whether it is serving: exit code 0 if so, 1 if not.

    Uses the gRPC health protocol, for the health checks of containers. A service is alive but not
    serving while it drains, or while its Redis or storage does not answer: then it should get no
    calls, but a restart would not help. With PARTWAY_TLS_CERT_FILE, as the service has it, it asks
    over TLS.
    """
    files = (tls_ca or "", cert or "", key or "")
    sys.exit(report(ask(Probe(address, timeout, tls, *files, server_name, liveness), os.environ)))
