"""`dead` and `send-test` of `partway-server events`: what an operator does about webhooks."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from partway_server.cli.interrupt import raise_again
from partway_server.config.settings import Settings, variable
from partway_server.domain.clock import SystemClock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.events.retry_schedule import (
    DeliveryResponse,
    DeliveryVerdict,
    position,
    verdict_of,
)

if TYPE_CHECKING:
    from partway_server.events.delivery_queue import DeadLetter
    from partway_server.events.webhook_file import Webhook

T = TypeVar("T")

TEST_TYPE = "partway.test"
"""The type of what `send-test` sends."""


@click.command()
@click.option("--webhook", metavar="NAME", help="Only this one, still in the file or not.")
@click.option("--retry", metavar="ID", help="Deliver the event with this id once more.")
@click.option("--all", "retry_all", is_flag=True, help="Deliver all of them once more.")
@click.option("--json", "as_json", is_flag=True, help="As JSON lines, with the events.")
def dead(webhook: str | None, retry: str | None, retry_all: bool, as_json: bool) -> None:
    """List the events that webhooks did not take, or deliver them once more.

    Needs PARTWAY_REDIS_URL, and PARTWAY_WEBHOOK_FILE or --webhook. One line is printed for each
    event: when it was given up, the webhook, the event's id and type, its upload, and what came of
    the last attempt. They are kept for 30 days. One that is delivered once more has all its
    attempts before it again, and goes to no other webhook.

    \b
    After an endpoint was mended:
      partway-server events dead --webhook orders --all
      2026-03-01T12:00:07+00:00  orders  5b0c...  upload.completed  9f2c...  14 attempts: HTTP 500
      1 put back for delivery
    """
    # Slow to import, here and below.
    from partway_server.events.webhook_file import webhook_names

    settings, problems = Settings.examine(os.environ)
    if wrong := [problem for problem in problems if variable("redis_url") in problem]:
        _fail(2, *wrong)
    names = [webhook] if webhook else _read(webhook_names, settings)
    wanted = (lambda letter: retry in (None, letter.id)) if retry or retry_all else None
    found = _run(lambda: _dead(settings.redis_url, names, wanted))
    for letter in found:
        click.echo(_json(letter) if as_json else _line(letter))
    if retry and not found:
        _fail(1, f"no dead letter has the id {retry}")
    if wanted and not as_json:
        click.echo(f"{len(found):,} put back for delivery")


@click.command("send-test")
@click.argument("name")
def send_test(name: str) -> None:
    """Send a signed event of the type partway.test to the webhook NAME, once and from here.

    Needs PARTWAY_WEBHOOK_FILE and the variables of its secrets. Exit code 0 if the endpoint answers
    2xx.
    """
    from partway_server.events.webhook_file import load_webhooks

    settings, _ = Settings.examine(os.environ)
    loaded = _read(lambda path: load_webhooks(path, os.environ), settings)
    named = {webhook.name: webhook for webhook in loaded}
    if name not in named:
        _fail(2, f"PARTWAY_WEBHOOK_FILE has no webhook {name!r}; it has {', '.join(named)}")
    answer = _run(lambda: _send(named[name]))
    if verdict_of(answer) is not DeliveryVerdict.DELIVERED:
        _fail(1, f"webhook {name}: {answer.why}")
    click.echo(f"webhook {name}: HTTP {answer.status}")


async def _dead(
    redis_url: str, names: Sequence[str], wanted: Callable[["DeadLetter"], bool] | None
) -> list["DeadLetter"]:
    """The dead letters; with `wanted`, those that it wants and that were put back."""
    from partway_server.events.delivery_queue import DeliveryQueue
    from partway_server.redis_client.topology import connect

    async with aclosing(DeliveryQueue(connect(redis_url, max_connections=4), owner="")) as store:
        found = [letter for name in names for letter in await store.dead_letters(name)]
        if wanted is None:
            return found
        return [letter for letter in found if wanted(letter) and await store.revive(letter)]


async def _send(webhook: "Webhook") -> DeliveryResponse:
    from partway_server.events.webhook_sender import HttpSender

    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    event = {
        "specversion": "1.0",
        "id": uuid.uuid4().hex,
        "source": "/partway",
        "type": TEST_TYPE,
        "time": now.replace("+00:00", "Z"),
    }
    async with aclosing(HttpSender(webhook, clock=SystemClock())) as sender:
        return await sender.send(event["id"], json.dumps(event))


def _line(letter: "DeadLetter") -> str:
    attempts = f"{letter.attempts} attempt{'s' if letter.attempts > 1 else ''}"
    what = f"{letter.id}  {letter.type}  {letter.upload}"
    return f"{_since(letter)}  {letter.webhook}  {what}  {attempts}: {letter.why}"


def _json(letter: "DeadLetter") -> str:
    told: Mapping[str, Any] = asdict(letter)
    kept = {name: told[name] for name in ("webhook", "id", "type", "upload", "attempts", "why")}
    since = {"since": _since(letter), "event": json.loads(letter.text)}
    return json.dumps({**kept, **since}, ensure_ascii=False)


def _since(letter: "DeadLetter") -> str:
    seconds = position(letter.place)[0] / 1000
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _read(read: Callable[[Path], T], settings: Settings) -> T:
    """What `read` finds in the file of webhooks."""
    if not settings.webhook_file:
        _fail(2, "PARTWAY_WEBHOOK_FILE is not set")
    try:
        return read(Path(settings.webhook_file))
    except (OSError, ValueError) as error:
        _fail(2, f"PARTWAY_WEBHOOK_FILE cannot be used: {error}")


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    raise_again()
    try:
        return asyncio.run(work())
    except ValueError:
        # Its text may hold a piece of the URL, and so of the password.
        _fail(2, "PARTWAY_REDIS_URL is not a URL that Redis clients understand")
    except SessionsUnavailable:
        _fail(1, "Redis does not answer or let us in; check PARTWAY_REDIS_URL")


def _fail(code: int, *lines: str) -> NoReturn:
    for line in lines:
        click.echo(f"partway-server: {line}", err=True)
    sys.exit(code)
