"""Tests `events dead` and `events send-test` as an operator runs them."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
import redis
from click.testing import CliRunner, Result
from partway_server.cli.webhooks import dead, send_test
from partway_server.sessions.redis_keys import dead_key, events_key
from standardwebhooks import Webhook as Verifier

from tests.support.webhooks import SECRET, an_endpoint, an_event

events = click.Group("events", [dead, send_test])

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    file = tmp_path / "webhooks.toml"
    secret = base64.b64encode(SECRET).decode()

    def run(*arguments: str, url: str = "http://127.0.0.1:9", **environ: str) -> Result:
        flags = "allow_http = true\nallow_private = true\nsecret_env = 'SECRET'\n"
        tables = (f"[webhook.{name}]\nurl = '{url}'\n{flags}" for name in ("orders", "audit"))
        file.write_text("\n".join(tables))
        known = {"PARTWAY_WEBHOOK_FILE": str(file), "SECRET": f"whsec_{secret}", **environ}
        return CliRunner(env=known).invoke(events, arguments)

    return run


def letter(client: Any, number: int, webhook: str) -> None:
    why = {"attempts": "14", "why": "HTTP 500"}
    client.xadd(dead_key(0, webhook), {**an_event(number), **why}, id=f"{number}000-0")


@pytest.mark.redis
class TestDead:
    @pytest.fixture
    def client(self, redis_url: str) -> Any:
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            client.flushall()
            letter(client, 1, "orders")
            letter(client, 2, "orders")
            letter(client, 1, "audit")
            yield client

    def test_lists_them(self, run: Run, client: Any, redis_url: str) -> None:
        listed = run("dead", "--webhook", "orders", PARTWAY_REDIS_URL=redis_url, SECRET="")
        line = "1970-01-01T00:00:0{0}+00:00  orders  event-{0}  upload.completed  00  14 attempts"
        assert listed.output.splitlines() == [f"{line.format(n)}: HTTP 500" for n in (1, 2)]
        assert listed.exit_code == 0

    def test_tells_all_of_them_as_json(self, run: Run, client: Any, redis_url: str) -> None:
        listed = run("dead", "--json", PARTWAY_REDIS_URL=redis_url)
        printed = [json.loads(line) for line in listed.output.splitlines()]
        assert [(each["webhook"], each["id"]) for each in printed] == [
            ("orders", "event-1"),
            ("orders", "event-2"),
            ("audit", "event-1"),
        ]
        assert printed[0]["event"] == json.loads(an_event(1)["event"])

    def test_puts_one_back(self, run: Run, client: Any, redis_url: str) -> None:
        again = run("dead", "--retry", "event-1", PARTWAY_REDIS_URL=redis_url)
        assert again.output.endswith("2 put back for delivery\n")
        entries = [fields for _, fields in client.xrange(events_key(0))]
        assert entries == [{**an_event(1), "webhook": name} for name in ("orders", "audit")]
        assert [e["id"] for _, e in client.xrange(dead_key(0, "orders"))] == ["event-2"]

    def test_puts_all_back(self, run: Run, client: Any, redis_url: str) -> None:
        again = run("dead", "--webhook", "orders", "--all", PARTWAY_REDIS_URL=redis_url)
        assert again.output.endswith("2 put back for delivery\n")
        assert client.keys("*dead*") == [] or client.xlen(dead_key(0, "orders")) == 0
        assert client.xlen(dead_key(0, "audit")) == 1

    def test_says_that_there_is_none_with_that_id(
        self, run: Run, client: Any, redis_url: str
    ) -> None:
        again = run("dead", "--retry", "event-9", PARTWAY_REDIS_URL=redis_url)
        assert (again.exit_code, again.output) == (
            1,
            "partway-server: no dead letter has the id event-9\n",
        )


@pytest.mark.parametrize(
    ("environ", "code", "said"),
    [
        ({"PARTWAY_REDIS_URL": ""}, 2, "PARTWAY_REDIS_URL or --redis-url: is not set"),
        ({"PARTWAY_REDIS_URL": "redis://127.0.0.1:1"}, 1, "Redis does not answer"),
        ({"PARTWAY_REDIS_URL": "redis://x?y=z"}, 2, "is not a valid Redis URL"),
        (
            {"PARTWAY_REDIS_URL": "redis://127.0.0.1:1", "PARTWAY_WEBHOOK_FILE": ""},
            2,
            "PARTWAY_WEBHOOK_FILE is not set",
        ),
        (
            {"PARTWAY_REDIS_URL": "redis://127.0.0.1:1", "PARTWAY_WEBHOOK_FILE": "/nowhere"},
            2,
            "PARTWAY_WEBHOOK_FILE: ",
        ),
    ],
)
def test_what_is_missing_is_named(run: Run, environ: dict[str, str], code: int, said: str) -> None:
    listed = run("dead", **environ)
    assert listed.exit_code == code
    assert listed.output.startswith("partway-server: ") and said in listed.output


async def test_a_test_is_sent_signed(run: Run) -> None:
    async with an_endpoint() as endpoint:
        sent = await asyncio.to_thread(run, "send-test", "orders", url=endpoint.url)
        assert (sent.exit_code, sent.output) == (0, "webhook orders: HTTP 204\n")
        [got] = endpoint.got
        event = Verifier(SECRET).verify(got.body, dict(got.headers))
        assert (event["type"], event["id"]) == ("partway.test", got.id)

        endpoint.answer = lambda got: 401
        sent = await asyncio.to_thread(run, "send-test", "orders", url=endpoint.url)
        assert (sent.exit_code, sent.output) == (1, "partway-server: webhook orders: HTTP 401\n")


def test_a_test_needs_a_webhook_that_there_is(run: Run) -> None:
    sent = run("send-test", "unknown")
    assert sent.exit_code == 2
    assert "has no webhook 'unknown'; it has orders, audit" in sent.output
