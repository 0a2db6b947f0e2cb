"""The command line: argv to Settings to app."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

import click
import uvloop

from partway_server import __version__
from partway_server.cli.events import events
from partway_server.cli.webhooks import dead, send_test
from partway_server.config.settings import Settings, SettingsError, default_text, flag, variable
from partway_server.config.settings_validation import is_address
from partway_server.observability.logging import configure_logging
from partway_server.runtime.subprocesses import ChildError
from partway_server.runtime.workers import supervise
from partway_server.storage.capabilities import KNOWN

Command = Callable[..., None]

_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """Coordinates uploads of any size straight into S3-compatible storage.

    \b
    Try it, with storage and Redis included:
      pip install 'partway-server[dev]'
      partway-server dev

    \b
    Run it on your own:
      export PARTWAY_BUCKET=uploads
      export PARTWAY_REDIS_URL=redis://127.0.0.1:6379/0
      export PARTWAY_SEALING_KEYS=$(openssl rand -base64 64 | tr -d '\\n')
      partway-server serve

    \b
    See every setting, its default and its present value:
      partway-server settings
    """


def _flags(command: Command) -> Command:
    """A flag for every setting that has one, in the order of the table."""
    for setting in reversed(fields(Settings)):
        if not (name := flag(setting)):
            continue
        pair = f"{name}/--no-{name[2:]}" if setting.type is bool else name
        about = f"{setting.metadata['why']}  [{variable(setting.name)}]"
        if default := default_text(setting):
            about += f"  [default: {default}]"
        metavar = "|".join(setting.metadata["choices"]) or "VALUE"
        option = click.option(
            pair,
            setting.name,
            default=None,
            metavar=None if setting.type is bool else metavar,
            help=about,
        )
        command = option(command)
    return command


@main.command()
@_flags
@click.option("--worker", is_flag=True, hidden=True, help="One of several on the same port.")
def serve(worker: bool, **given: Any) -> None:
    """Run the service until SIGTERM or Ctrl-C; a second one ends it at once.

    SIGHUP has the files of policies and webhooks read anew: one without a fault is in force at
    once, and no call is dropped; of one with a fault the log says so, and what was stays in force.

    Every flag is an environment variable too, and flags win. Secrets have only the variable:
    PARTWAY_S3_SECRET_KEY, PARTWAY_S3_SESSION_TOKEN, PARTWAY_SEALING_KEYS.

    \b
    Against MinIO, with four processes:
      partway-server serve --address 0.0.0.0:50051 --workers 4 \\
        --s3-endpoint http://minio:9000 --s3-public-endpoint https://files.example \\
        --backend minio --bucket uploads --redis-url redis://redis:6379/0
    """
    try:
        settings = Settings.load(os.environ, given, backends=KNOWN)
        configure_logging(level=settings.log_level, as_json=settings.json_logs)
        if settings.workers > 1:
            supervise(settings, os.environ)
        else:
            _serve(settings, share_port=worker)
    except SettingsError as error:
        _fail(2, *error.problems)


def _serve(settings: Settings, *, share_port: bool) -> None:
    # Imported late, so that a parent of workers never loads gRPC.
    from partway_server.runtime.startup import StartupError

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signal(settings, share_port=share_port))
    except StartupError as error:
        _fail(1, *str(error).splitlines())


async def _until_signal(settings: Settings, *, share_port: bool) -> None:
    from partway_server.runtime import app

    stop, reload = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    # Before the policy file is read for the first time: so no signal comes too early to count.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set)
    await app.run(settings, stop=stop, reload=reload, share_port=share_port)


@main.command()
@_flags
@click.option("--only", type=click.Choice(["storage", "redis"]), help="Look at nothing else.")
@click.option("--fix", is_flag=True, help="Set the bucket's CORS and lifecycle rules, if need be.")
@click.option(
    "--cors-origin",
    default="*",
    metavar="ORIGIN",
    help="Where the web pages that upload are, such as https://app.example; without it, anywhere.",
)
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def doctor(only: str | None, fix: bool, cors_origin: str, as_json: bool, **given: Any) -> None:
    """Try storage and Redis for real, and say what is good, what is not, and how to mend it.

    Takes the settings of serve. What it makes in the bucket, below partway-probe/, it removes.
    Exit code 0 if nothing is bad, 1 if something is, 2 if the settings cannot be used.

    \b
    Before the first start, with pages at app.example that upload:
      partway-server doctor --fix --cors-origin https://app.example

    \b
    In a script, the names of what is bad:
      partway-server doctor --json | jq -r '.findings[] | select(.status == "bad").name'
    """
    try:
        settings = Settings.load(os.environ, given, backends=KNOWN, allow_unknown=True)
    except SettingsError as error:
        _fail(2, *error.problems)
    # Imported late: the AWS SDK takes its time.
    from partway_server.cli.doctor import run
    from partway_server.doctor.runner import Wanted

    sys.exit(run(settings, Wanted(only or "", fix, cors_origin), json_output=as_json))


@main.command()
@_flags
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
def sweep(dry_run: bool, as_json: bool, **given: Any) -> None:
    """Look once through Redis and storage for what was left behind, and end it.

    A running service does this by itself. The settings are those of serve, and the sealing keys
    must be the same: what an upload left in storage is known by them, and nothing else is touched.
    It may run beside the service. One line is printed for each thing, and then a count: uploads
    that are due, and unfinished multipart uploads in storage with their age. The exit code is 0 if
    all was done, and 1 if not, such as when storage or Redis does not answer.

    \b
    See first what is there, and why it would stay or go:
      partway-server sweep --dry-run
      multipart    8d  uploads/default/2026/03/01/9f...  would be aborted: it has no row, ...
      1 looked at: 1 would be aborted; nothing was changed

    \b
    Count what is left, for a check:
      partway-server sweep --dry-run --json | jq .counts
    """
    try:
        settings = Settings.load(os.environ, given, backends=KNOWN)
    except SettingsError as error:
        _fail(2, *error.problems)
    # Each thing has its line already; what failed is in it, and in a warning.
    level = "warning" if settings.log_level == "info" else settings.log_level
    configure_logging(level=level, as_json=settings.json_logs)
    from partway_server.cli import sweep
    from partway_server.runtime.startup import StartupError

    try:
        done = sweep.run(settings, dry_run=dry_run, as_json=as_json)
    except StartupError as error:
        _fail(1, *str(error).splitlines())
    if not done:
        _fail(1, "not all of it could be done: see the lines that say failed")


main.add_command(events)
events.add_command(dead)
events.add_command(send_test)


@main.group()
def policy() -> None:
    """Look at policy files."""


@policy.command("check")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
def check_policies(file: str, as_json: bool) -> None:
    """Say what each policy of FILE comes to, with an example key, or all that is wrong with it.

    Each problem is a line on standard error that names FILE:LINE. The exit code is 1 then.
    Nothing but the file is looked at, and PARTWAY_BUCKET and the PARTWAY_S3_ settings if there are
    any: no network, no secrets.

    \b
    Before a running service is told to read it:
      partway-server policy check policies.toml && kill -HUP $(pidof -x partway-server)

    \b
    In a script, where its objects would go:
      partway-server policy check policies.toml --json | jq '.policies[].example_key'
    """
    settings, _ = Settings.examine(os.environ, backends=KNOWN)
    # Imported late: the AWS SDK takes its time.
    from partway_server.cli.policy import check

    if not check(file, settings, as_json=as_json):
        sys.exit(1)


@main.command("settings")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array.")
def show_settings(as_json: bool) -> None:
    """Show every setting: variable, flag, default, present value with secrets hidden, and why.

    What is wrong with the present values goes to standard error.
    """
    settings, problems = Settings.examine(os.environ, backends=KNOWN)
    shown = settings.shown()
    rows = [
        {
            "variable": variable(setting.name),
            "flag": flag(setting),
            "default": default_text(setting),
            "value": shown[setting.name],
            "why": setting.metadata["why"],
        }
        for setting in fields(Settings)
    ]
    click.echo(json.dumps(rows, indent=2) if as_json else "\n\n".join(map(_row, rows)))
    for problem in problems:
        click.echo(f"partway-server: {problem}", err=True)


def _row(row: dict[str, Any]) -> str:
    names = "  ".join(filter(None, (row["variable"], row["flag"])))
    return f"{names}\n  {row['why']}\n  default: {row['default']}\n  now: {row['value']}"


@main.command()
@click.option("--port", default=0, help="For gRPC; without it, any free one.")
@click.option("--rest", is_flag=True, help="Run the REST gateway (Envoy) too.")
@click.option("--rest-port", default=0, help="For REST; without it, any free one.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep uploads and sessions here; without it they are gone at the end.",
)
@click.option("--reflection/--no-reflection", default=True, show_default=True)
@click.option("--json-logs", is_flag=True, help="Log JSON lines.")
def dev(**options: Any) -> None:
    """Run the service with storage (SeaweedFS) and Redis (Valkey) of its own, until Ctrl-C.

    When all is ready, one line of JSON on standard output says where everything is. Logs go to
    standard error. Parts may pass through the service, unless PARTWAY_VIA_SERVICE=false. Settings
    that the stack does not decide are taken from the environment, such as PARTWAY_WEBHOOK_FILE; a
    policy file is read at the start alone. Needs the dev extra: pip install 'partway-server[dev]'.

    \b
    With a REST gateway, keeping its data:
      partway-server dev --rest --rest-port 8080 --data-dir ./partway-data
      curl -d '{"fileName": "a.bin", "sizeBytes": "1"}' http://127.0.0.1:8080/v1/uploads
    """
    from partway_server.devstack.run import run
    from partway_server.runtime.startup import StartupError

    try:
        run(environ=os.environ, **options)
    except SettingsError as error:
        _fail(2, *error.problems)
    except (ChildError, StartupError) as error:
        _fail(1, *str(error).splitlines())


@main.command()
@click.option("--address", help="host:port; without it, PARTWAY_ADDRESS or its default.")
@click.option("--timeout", default=2.0, show_default=True, help="Seconds to wait for an answer.")
def health(address: str | None, timeout: float) -> None:
    """Ask a running service whether it is serving: exit code 0 if so, 1 if not.

    By the gRPC health protocol, for the health checks of containers.
    """
    from partway_server.rpc.health_client import serving

    if address is None:
        settings, _ = Settings.examine(os.environ, backends=KNOWN)
        if not is_address(settings.address):
            _fail(2, f"PARTWAY_ADDRESS: {settings.address!r} is not host:port")
        # What listens on every address is asked on one.
        host, _, port = settings.address.rpartition(":")
        address = f"{_LOOPBACK.get(host, host)}:{port}"
    if not serving(address, timeout):
        _fail(1, f"{address} does not say that it is serving")
    click.echo(f"{address} is serving")


def _fail(code: int, *lines: str) -> NoReturn:
    for line in lines:
        click.echo(f"partway-server: {line}", err=True)
    sys.exit(code)
