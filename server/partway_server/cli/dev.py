"""`partway-server dev`: the service with storage and Redis of its own."""

import os
import re
from pathlib import Path
from typing import Any

import click

from partway_server.cli.options import fail
from partway_server.config.settings import SettingsError
from partway_server.runtime.subprocesses import ChildError

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def _origin(text: str) -> str:
    """Return the origin as browsers write it. Raises BadParameter."""
    if text == "*":
        return text
    origin = text.lower().removesuffix("/")
    if not _ORIGIN.fullmatch(origin):
        raise click.BadParameter(
            f"{text!r} is not an origin: write scheme, host and port, such as http://localhost:3000"
        )
    return origin


def _reach_loopback_directly() -> None:
    """Exempt loopback, where all of the stack is, from a proxy that the environment names."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost,::1")))


@click.command()
@click.option("--port", default=0, help="Port for gRPC; any free one by default.")
@click.option("--rest", is_flag=True, help="Run the REST gateway (Envoy) too.")
@click.option("--rest-port", default=0, help="Port for REST; any free one by default.")
@click.option(
    "--cors-origin",
    multiple=True,
    callback=lambda _context, _option, origins: [*map(_origin, origins)],
    help="Let pages at this origin call REST and send parts, such as http://localhost:3000."
    " May be repeated; '*' is any.",
)
@click.option(
    "--demo-page", is_flag=True, help="Serve pages that upload from a browser; needs --rest."
)
@click.option("--demo-port", default=0, help="Port of the demo pages; any free one by default.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep uploads and sessions here; by default they are removed at the end.",
)
@click.option("--reflection/--no-reflection", default=True, show_default=True)
@click.option("--json-logs", is_flag=True, help="Log JSON lines.")
def dev(**options: Any) -> None:
    """Run the service with its own storage (SeaweedFS) and Redis (Valkey) until Ctrl-C.

    Once everything is ready, one line of JSON on standard output lists every address. Logs go to
    standard error. Parts may pass through the service, unless PARTWAY_VIA_SERVICE=false. Settings
    that the stack does not decide come from the environment, such as PARTWAY_WEBHOOK_FILE; a policy
    file is read only at start. Needs the dev extra: pip install 'partway-server[dev]'.

    \b
    With a REST gateway, keeping its data:
      partway-server dev --rest --rest-port 8080 --data-dir ./partway-data
      curl --json '{"fileName": "a.bin", "sizeBytes": "1"}' http://127.0.0.1:8080/v1/uploads
    """
    # Slow to load.
    from partway_server.devstack.run import run
    from partway_server.runtime.waiting import StartupError

    _reach_loopback_directly()
    try:
        run(environ=os.environ, **options)
    except SettingsError as error:
        fail(2, *error.problems)
    except (ChildError, StartupError) as error:
        fail(1, *str(error).splitlines())
