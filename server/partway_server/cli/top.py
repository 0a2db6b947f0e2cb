"""`partway-server top`: what a running service does, as a table that refreshes itself."""

import json
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import click

from partway_server.cli.options import fail

_TIMEOUT_SECONDS = 5.0
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


class _Unreadable(Exception):
    """The metrics cannot be read. The text says why, for an operator."""


@click.command()
@click.option(
    "--url",
    envvar="PARTWAY_METRICS_ADDRESS",
    default="127.0.0.1:9464",
    show_default=True,
    help="Where /metrics is: a URL, or host:port; by default as PARTWAY_METRICS_ADDRESS says.",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="Seconds between two looks; rates are over that time.",
)
@click.option("--once", is_flag=True, help="Look twice, print one table, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line instead.")
def top(url: str, interval: float, once: bool, as_json: bool) -> None:
    """Show what a running service does, read from its /metrics, until Ctrl-C.

    The service needs PARTWAY_METRICS_ADDRESS. What is shown is of all its workers: uploads by
    event; calls, errors and latency by RPC; latency of storage and Redis, and since when their
    oldest call waits; what is refused and why; and how long the upload that is due longest has
    waited for the janitor.

    \b
    Beside a service on this machine:
      partway-server top
    \b
    A pod of a cluster:
      kubectl port-forward pod/partway-0 9464 &
      partway-server top --url 127.0.0.1:9464
    \b
    Which RPCs fail right now, for a script:
      partway-server top --once --json | jq '.errors'
    """
    url = _url(url)
    try:
        _watch(url, interval, once=once, as_json=as_json)
    except _Unreadable as error:
        fail(1, str(error))
    except KeyboardInterrupt:
        # The way to end it; the prompt begins on a line of its own.
        click.echo()


def _watch(url: str, interval: float, *, once: bool, as_json: bool) -> None:
    from partway_server.cli.top_figures import Scrape, figures
    from partway_server.cli.top_table import table

    def look() -> Scrape:
        text = _fetched(url)
        try:
            return Scrape.of(text, time.monotonic())
        except ValueError as error:
            raise _Unreadable(f"{url} answers, but not with Partway's metrics: {error}") from error

    screen = not once and not as_json and sys.stdout.isatty()
    before = look()
    while True:
        time.sleep(interval)
        after = look()
        found = figures(before, after, time.time())
        if as_json:
            click.echo(json.dumps(found))
        else:
            click.echo((_HOME_AND_CLEAR if screen else "") + "\n".join(table(found, url)))
        if once:
            return
        before = after


def _url(given: str) -> str:
    """Return the URL of what may be host:port. Fails if it is neither."""
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        fail(2, f"--url: {given!r} is neither a URL nor host:port")
    # A service that listens on every address is asked on this machine.
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(parts.hostname or "")
    place = f"{host}:{parts.port}" if host and parts.port else parts.netloc
    return f"{parts.scheme}://{place}{parts.path if parts.path.strip('/') else '/metrics'}"


def _fetched(url: str) -> str:
    """Return the text at a URL. Raises _Unreadable."""
    # Not through a proxy: metrics are on an inner network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=_TIMEOUT_SECONDS) as answer:
            text: str = answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        error.close()
        raise _Unreadable(
            f"{url} answers HTTP {error.code}; is that the address of metrics?"
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        raise _Unreadable(
            f"{url} does not answer: {why}; does the service run with PARTWAY_METRICS_ADDRESS, and"
            " is it the --url?"
        ) from error
    return text
