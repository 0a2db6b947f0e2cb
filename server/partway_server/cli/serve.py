"""`partway-server serve`: settings to a running service, in one process or several."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import uvloop

from partway_server.cli.options import fail, setting_flags
from partway_server.config.backends import KINDS
from partway_server.config.settings import Settings, SettingsError
from partway_server.observability.logging import configure_logging
from partway_server.runtime.workers import supervise

if TYPE_CHECKING:
    from partway_server.runtime.measured_records import Measurement


@click.command()
@setting_flags
@click.option("--worker", type=int, hidden=True, help="One of several on the same port.")
@click.option("--metrics-folder", hidden=True, help="Where workers find each other's metrics.")
def serve(worker: int | None, metrics_folder: str | None, **given: Any) -> None:
    """Run the service until SIGTERM or Ctrl-C; a second signal ends it at once.

    SIGHUP reloads the policy and webhook files, and the keys of JSON Web Tokens. A valid file takes
    effect at once, and no call is dropped; an invalid one is reported in the log, and the previous
    one stays in force.

    Every flag is also an environment variable, and the flag wins. Secrets have no flag: each has a
    variable, such as PARTWAY_SEALING_KEYS, and a file, such as --sealing-keys-file. SIGHUP reads
    the files of storage credentials and of webhook secrets again.

    \b
    With MinIO, in four processes:
      partway-server serve --address 0.0.0.0:50051 --workers 4 --identity metadata \\
        --s3-endpoint http://minio:9000 --s3-public-endpoint https://files.example \\
        --backend minio --bucket uploads --redis-url redis://redis:6379/0
    """
    try:
        settings = Settings.load(os.environ, given, backends=KINDS)
        configure_logging(level=settings.log_level, as_json=settings.json_logs)
        if settings.workers > 1:
            supervise(settings, os.environ)
        else:
            _serve(settings, worker, metrics_folder)
    except SettingsError as error:
        fail(2, *error.problems)


def _serve(settings: Settings, worker: int | None, metrics_folder: str | None) -> None:
    """Serve in this process. A `worker` writes to that file descriptor once it serves."""
    # Imported here so that the parent of several workers never loads gRPC.
    from partway_server.runtime.traces import TracesError, sending_traces
    from partway_server.runtime.waiting import StartupError

    try:
        # Around the loop: to send what waits at the end takes a moment.
        with (
            sending_traces(settings, os.environ),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(_until_signal(settings, worker, metrics_folder))
    except (StartupError, TracesError) as error:
        fail(1, *str(error).splitlines())


async def _until_signal(settings: Settings, worker: int | None, metrics_folder: str | None) -> None:
    from partway_server.runtime import app
    from partway_server.runtime.garbage import freeze_loaded

    stop, reload = asyncio.Event(), asyncio.Event()

    def started(_port: int) -> None:
        freeze_loaded()
        if worker is not None:
            # The parent may have been killed, which a signal reports.
            with contextlib.suppress(BrokenPipeError):
                os.write(worker, b".")
            os.close(worker)

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    # Before the policy file is first read, so that no SIGHUP comes too early to count.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    await app.run(
        settings,
        stop=stop,
        reload=reload,
        share_port=worker is not None,
        metrics_folder=Path(metrics_folder) if metrics_folder else None,
        patient=True,
        started=started,
        measure=_measure,
    )


async def _measure(settings: Settings, backends: Collection[str]) -> "Mapping[str, Measurement]":
    # Imported here because it is slow to load, and only backends of the kind `auto` need it.
    from partway_server.doctor.measurement import measure

    return await measure(settings, backends)
