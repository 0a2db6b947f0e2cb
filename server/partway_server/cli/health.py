"""`partway-server health`: ask a running service for its health."""

import os

import click

from partway_server.cli.options import fail
from partway_server.config.settings import Settings
from partway_server.config.settings_validation import is_address
from partway_server.storage.capabilities import KNOWN

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


@click.command()
@click.option("--address", help="host:port; by default PARTWAY_ADDRESS or its default.")
@click.option("--timeout", default=2.0, show_default=True, help="Seconds to wait for an answer.")
@click.option("--liveness", is_flag=True, help="Ask only whether the process is alive.")
def health(address: str | None, timeout: float, liveness: bool) -> None:
    """Ask a running service whether it is serving: exit code 0 if so, 1 if not.

    Uses the gRPC health protocol, for the health checks of containers. A service is alive but not
    serving while it drains, or while its Redis or storage does not answer: then it should get no
    calls, but a restart would not help.
    """
    # Imported here because gRPC is slow to load.
    from partway_server.rpc.health_client import serving

    if address is None:
        settings, _ = Settings.examine(os.environ, backends=KNOWN)
        if not is_address(settings.address):
            fail(2, f"PARTWAY_ADDRESS: {settings.address!r} is not host:port")
        # A service that listens on every address is asked on loopback.
        host, _, port = settings.address.rpartition(":")
        address = f"{_LOOPBACK.get(host, host)}:{port}"
    what = "alive" if liveness else "serving"
    if not serving(address, timeout, liveness=liveness):
        fail(1, f"{address} does not report that it is {what}")
    click.echo(f"{address} is {what}")
