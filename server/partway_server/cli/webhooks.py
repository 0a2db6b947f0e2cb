"""`dead` and `send-test` of `partway-server events`: dead letters, and a test of a webhook."""

import asyncio
import json
import os
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from partway_server.cli.interrupt import raise_again
from partway_server.cli.options import fail
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
    from partway_server.events.stored_deliveries import DeadLetter
    from partway_server.events.webhook_file import Webhook

T = TypeVar("T")

TEST_TYPE = "partway.test"
"""The type of the event that `send-test` sends."""


@click.command()
@click.option(
    "--webhook", metavar="NAME", help="Only this one; it need not be in the file any more."
)
@click.option("--retry", metavar="ID", help="Deliver the event with this id again.")
@click.option("--all", "retry_all", is_flag=True, help="Deliver all of them again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines, with the events.")
def dead(webhook: str | None, retry: str | None, retry_all: bool, as_json: bool) -> None:
    """List the events that could not be delivered to webhooks, or deliver them again.

    Needs PARTWAY_REDIS_URL, and PARTWAY_WEBHOOK_FILE or --webhook. One line is printed for each
    event: when it was given up, the webhook, the event's id and type, its upload, and the result of
    the last attempt. Dead letters are kept for 30 days. One that is delivered again starts over
    with all its attempts, and goes to no other webhook.

    \b
    After an endpoint was repaired:
      partway-server events dead --webhook orders --all
      2026-03-01T12:00:07+00:00  orders  5b0c...  upload.completed  9f2c...  14 attempts: HTTP 500
      1 put back for delivery
    """
    # Slow to load, here and below.
    from partway_server.events.webhook_file import webhook_names

    settings, problems = Settings.examine(os.environ)
    if wrong := [problem for problem in problems if variable("redis_url") in problem]:
        fail(2, *wrong)
    names = [webhook] if webhook else _read(webhook_names, settings)
    wanted = (lambda letter: retry in (None, letter.id)) if retry or retry_all else None
    found = _run(lambda: _dead(settings.redis_url, names, wanted))
    for letter in found:
        click.echo(_json(letter) if as_json else _line(letter))
    if retry and not found:
        fail(1, f"no dead letter has the id {retry}")
    if wanted and not as_json:
        click.echo(f"{len(found):,} put back for delivery")


@click.command("send-test")
@click.argument("name")
def send_test(name: str) -> None:
    """Send a signed event of type partway.test to the webhook NAME, once and from this machine.

    Needs PARTWAY_WEBHOOK_FILE and the variables with its secrets. Exit code 0 if the endpoint
    answers 2xx, 1 if not.
    """
    from partway_server.events.webhook_file import load_webhooks

    settings, _ = Settings.examine(os.environ)
    loaded = _read(lambda path: load_webhooks(path, os.environ), settings)
    named = {webhook.name: webhook for webhook in loaded}
    if name not in named:
        fail(2, f"PARTWAY_WEBHOOK_FILE has no webhook {name!r}; it has {', '.join(named)}")
    answer = _run(lambda: _send(named[name]))
    if verdict_of(answer) is not DeliveryVerdict.DELIVERED:
        fail(1, f"webhook {name}: {answer.why}")
    click.echo(f"webhook {name}: HTTP {answer.status}")


async def _dead(
    redis_url: str, names: Sequence[str], wanted: Callable[["DeadLetter"], bool] | None
) -> list["DeadLetter"]:
    """Return the dead letters; with `wanted`, only those that it accepts and that were revived."""
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
    everything: Mapping[str, Any] = asdict(letter)
    kept = {
        name: everything[name] for name in ("webhook", "id", "type", "upload", "attempts", "why")
    }
    since = {"since": _since(letter), "event": json.loads(letter.text)}
    return json.dumps({**kept, **since}, ensure_ascii=False)


def _since(letter: "DeadLetter") -> str:
    seconds = position(letter.place)[0] / 1000
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _read(read: Callable[[Path], T], settings: Settings) -> T:
    """Return what `read` finds in the webhook file, or exit with its problems."""
    # Slow to import.
    from partway_server.events.webhook_file import WebhookFileError

    if not settings.webhook_file:
        fail(2, "PARTWAY_WEBHOOK_FILE is not set")
    try:
        return read(Path(settings.webhook_file))
    except WebhookFileError as error:
        fail(2, *(f"PARTWAY_WEBHOOK_FILE: {line}" for line in error.lines))


def _run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    raise_again()
    try:
        return asyncio.run(work())
    except ValueError:
        # The text of the error may contain part of the URL, and so of the password.
        fail(2, "PARTWAY_REDIS_URL is not a valid Redis URL")
    except SessionsUnavailable:
        fail(1, "Redis does not answer or refuses access; check PARTWAY_REDIS_URL")
