"""Tests that events reach webhooks, from a real Redis to a real endpoint, by the test's clock."""

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from partway_server.config.toml_file import FileProblem
from partway_server.events.webhook_file import Webhook, WebhookFileError
from partway_server.sessions.redis_keys import dead_key, events_key, webhook_key
from prometheus_client import generate_latest
from redis.asyncio import Redis
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from tests.support.clock import FakeClock
from tests.support.processes import until
from tests.support.redis_cluster import OUR_SLOTS, Cluster
from tests.support.relay import Relay
from tests.support.webhooks import (
    SECRET,
    Endpoint,
    Got,
    Office,
    a_webhook,
    an_endpoint,
    an_event,
    as_a_cluster,
    publish,
)

pytestmark = pytest.mark.redis

DOCUMENT = (Path(__file__).parents[3] / "docs/webhooks.md").read_text()

OTHER_SECRET = bytes(range(32, 64))
DAY = 24 * 3600


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that starts now: stream IDs and signature checks use the real time."""
    return FakeClock(datetime.now(UTC))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Return a client of an empty Redis."""
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with an_endpoint() as endpoint:
        yield endpoint


OpenOffice = Callable[..., Any]


@pytest.fixture
async def office(
    redis: Redis, redis_url: str, clock: FakeClock, endpoint: Endpoint
) -> AsyncIterator[OpenOffice]:
    """Return a function that opens a process's dispatcher, by default for one webhook."""
    async with contextlib.AsyncExitStack() as opened:

        async def begin(owner: str = "one", *, most: int = 1000, **rules: Any) -> Office:
            webhook = a_webhook(endpoint.url, **rules)
            return await opened.enter_async_context(
                Office(redis_url, webhook, clock=clock, owner=owner, most_pending=most)
            )

        yield begin


def failing(times: int, status: int = 500) -> Callable[[Got], int]:
    """Return an answer that is `status` for the given number of times, and 204 from then on."""
    left = iter([status] * times)
    return lambda got: next(left, 204)


async def pending(redis: Redis, shard: int = 0) -> int:
    summary = await redis.xpending(events_key(shard), "webhook:orders")
    return int(summary["pending"])


class TestDelivery:
    async def test_an_event_arrives_as_it_stands_and_the_library_verifies_it(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice
    ) -> None:
        one = await office(secrets=(OTHER_SECRET, SECRET))
        await publish(redis, 1)
        await one.turn()
        [got] = endpoint.got
        assert got.body.decode() == an_event(1)["event"]
        assert got.headers["Content-Type"] == "application/cloudevents+json"
        for secret in (SECRET, OTHER_SECRET):
            assert Verifier(secret).verify(got.body, dict(got.headers))["id"] == got.id == "event-1"
        assert await pending(redis) == 0

    async def test_the_receiver_in_the_documents_takes_it_once(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, capsys: Any
    ) -> None:
        code: dict[str, Any] = {}
        exec(re.findall(r"```python\n(.*?)```", DOCUMENT, re.S)[0], code)
        one = await office()
        await publish(redis, 1)
        await one.turn()
        [got], seen = endpoint.got, set[str]()
        secret = "whsec_" + base64.b64encode(SECRET).decode()
        for _ in range(2):
            assert code["receive"](secret, got.headers, got.body, seen) == 204
        assert capsys.readouterr().out == "upload.completed acme/film.mp4\n"
        with pytest.raises(WebhookVerificationError):
            code["receive"](secret, got.headers, got.body + b" ", seen)

    async def test_each_shard_is_looked_at(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice
    ) -> None:
        one = await office()
        await one.turn()
        ids = {await publish(redis, n, upload=f"{n:02x}") for n in range(64)}
        await one.turn()
        assert sorted(endpoint.ids) == sorted(ids)

    async def test_events_of_other_types_and_tenants_are_left_out(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice
    ) -> None:
        one = await office(types=frozenset({"upload.completed"}), tenants=frozenset({"acme"}))
        await publish(redis, 1, kind="upload.aborted")
        await publish(redis, 2, tenant="evil")
        await publish(redis, 3)
        await one.turn()
        assert endpoint.ids == ["event-3"]
        assert await pending(redis) == 0

    async def test_a_new_webhook_begins_ten_minutes_before_it_is_configured(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        # Older events may be an incomplete remainder after Redis lost everything.
        for number, minutes in enumerate((11, 9)):
            old = int((clock.now() - timedelta(minutes=minutes)).timestamp() * 1000)
            await redis.xadd(events_key(0), an_event(number), id=f"{old}-0")
        one = await office()
        await one.turn()
        await publish(redis, 2)
        await one.turn()
        assert endpoint.ids == ["event-1", "event-2"]

    async def test_what_comes_while_no_process_runs_is_delivered_later(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        await publish(redis, 1)
        await (await office()).turn()
        await publish(redis, 2)
        clock.advance(DAY)
        await (await office("two")).turn()
        assert endpoint.ids == ["event-1", "event-2"]

    async def test_while_nothing_happens_one_command_looks_at_all_streams(
        self, redis: Redis, office: OpenOffice
    ) -> None:
        one = await office()
        await publish(redis, 1)
        await one.turn()
        before = (await redis.info("stats"))["total_commands_processed"]
        for _ in range(10):
            await one.turn()
        after = (await redis.info("stats"))["total_commands_processed"]
        # Includes the two INFOs; connections may also introduce themselves.
        assert after - before <= 14


class TestFailures:
    async def test_it_is_tried_again_after_longer_and_longer(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office()
        endpoint.answer = failing(4)
        await publish(redis, 1)
        for attempts, pause in enumerate((5, 30, 120, 600), 1):
            await one.turn()
            clock.advance(pause - 1)
            await one.turn()
            assert len(endpoint.got) == attempts
            clock.advance(1)
        await one.turn()
        assert endpoint.ids == ["event-1"] * 5
        times = [int(got.headers["webhook-timestamp"]) for got in endpoint.got]
        assert [b - a for a, b in zip(times, times[1:], strict=False)] == [5, 30, 120, 600]
        assert await pending(redis) == 0
        assert not await redis.exists(webhook_key(0, "tries", "orders"))

    async def test_later_events_of_its_upload_wait_and_others_go_on(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office()
        endpoint.answer = failing(1)
        for number, upload in enumerate(("0000", "0000", "0100", "0000")):
            await publish(redis, number, upload=upload)
            await one.turn()
        assert endpoint.ids == ["event-0", "event-2"]
        clock.advance(5)
        await one.turn()
        assert endpoint.ids == ["event-0", "event-2", "event-0", "event-1", "event-3"]

    async def test_attempts_are_remembered_by_whoever_takes_over(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one, two = await office(), await office("two")
        endpoint.answer = failing(2)
        await publish(redis, 1)
        await one.turn()
        clock.advance(21)
        await two.turn()
        clock.advance(29)
        await two.turn()
        assert len(endpoint.got) == 2
        clock.advance(1)
        await two.turn()
        assert len(endpoint.got) == 3

    @pytest.mark.parametrize("date", [False, True])
    async def test_retry_after_is_heeded(
        self,
        redis: Redis,
        endpoint: Endpoint,
        office: OpenOffice,
        clock: FakeClock,
        date: bool,
    ) -> None:
        until = format_datetime(clock.now() + timedelta(seconds=301))
        busy = web.Response(status=429, headers={"retry-after": until if date else "300"})
        answers = iter([busy])
        endpoint.answer = lambda got: next(answers, 204)
        one = await office()
        await publish(redis, 1)
        await one.turn()
        clock.advance(299)
        await one.turn()
        assert len(endpoint.got) == 1
        clock.advance(2)
        await one.turn()
        assert len(endpoint.got) == 2

    async def test_a_redirect_is_not_followed(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice
    ) -> None:
        async with an_endpoint() as elsewhere:
            moved = web.Response(status=307, headers={"location": elsewhere.url})
            endpoint.answer = lambda got: moved
            one = await office()
            await publish(redis, 1)
            await one.turn()
            assert (len(endpoint.got), elsewhere.got) == (1, [])
        assert await pending(redis) == 1

    async def test_an_endpoint_that_is_gone_is_left_alone_for_an_hour(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office()
        endpoint.answer = failing(1, 410)
        for number in range(3):
            await publish(redis, number)
        await one.turn()
        assert endpoint.ids == ["event-0"]
        assert [letter.id for letter in await one.store.dead_letters("orders")] == [
            f"event-{n}" for n in range(3)
        ]
        clock.advance(3600)
        await publish(redis, 3)
        await one.turn()
        assert endpoint.ids == ["event-0", "event-3"]

    async def test_a_failure_is_logged_without_url_secret_or_signature(
        self,
        redis: Redis,
        endpoint: Endpoint,
        office: OpenOffice,
        clock: FakeClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        endpoint.url += "?token=hunter2"
        endpoint.answer = failing(1)
        one = await office()
        await publish(redis, 1)
        await one.turn()
        clock.advance(5)
        await one.turn()
        ours = [r for r in caplog.records if r.name.startswith("partway_server")]
        assert [record.getMessage() for record in ours] == [
            "webhook orders: event event-1: HTTP 500; retry in 5 s",
            "webhook orders: event event-1 delivered",
        ]
        # The endpoint's own server logs its requests.
        published = "".join(r.getMessage() for r in caplog.records if r.name != "aiohttp.access")
        secrets = ["hunter2", base64.b64encode(SECRET).decode(), repr(SECRET)]
        secrets += [got.headers["webhook-signature"] for got in endpoint.got]
        assert not [secret for secret in secrets if secret in published]


class TestReading:
    """Reloads of the webhook file."""

    async def test_what_is_under_way_ends_where_it_began_and_all_else_goes_to_the_new_endpoint(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice
    ) -> None:
        one, first, go, ids = await office(), asyncio.Event(), asyncio.Event(), list[str]()

        async def wait(request: web.Request) -> web.StreamResponse:
            ids.append(request.headers["webhook-id"])
            first.set()
            await go.wait()
            return web.Response(status=204)

        endpoint.handle = wait
        await publish(redis, 1)
        await publish(redis, 2)
        await one.dispatcher.step()
        await first.wait()
        async with an_endpoint() as second:
            one.file = lambda: [a_webhook(second.url, secrets=(OTHER_SECRET,))]
            assert await one.webhook_reloader.reload()
            await publish(redis, 3, upload="01")
            go.set()
            await one.turn()
            assert (ids, sorted(second.ids)) == (["event-1"], ["event-2", "event-3"])
            for got in second.got:
                Verifier(OTHER_SECRET).verify(got.body, dict(got.headers))
        assert await pending(redis) == 0

    async def test_a_410_of_the_old_endpoint_ends_nothing(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office()

        async def gone(request: web.Request) -> web.StreamResponse:
            one.file = lambda: [a_webhook(second.url)]
            assert await one.webhook_reloader.reload()
            return web.Response(status=410)

        endpoint.handle = gone
        await publish(redis, 1)
        async with an_endpoint() as second:
            await one.turn()
            clock.advance(5)
            await one.turn()
            assert second.ids == ["event-1"]
        assert await one.store.dead_letters("orders") == []

    async def test_a_file_with_a_fault_changes_nothing_and_is_told(
        self,
        redis: Redis,
        endpoint: Endpoint,
        office: OpenOffice,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        one = await office()

        def read() -> list[Webhook]:
            problem = FileProblem(1, "webhook.orders.url", "is missing")
            raise WebhookFileError("webhooks.toml", [problem])

        one.file = read
        assert not await one.webhook_reloader.reload()
        assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [
            "webhooks: PARTWAY_WEBHOOK_FILE: webhooks.toml:1: webhook.orders.url: is missing",
            "webhooks: not reloaded; the previous webhooks stay in force",
        ]
        await publish(redis, 1)
        await one.turn()
        assert endpoint.ids == ["event-1"]

    async def test_one_that_is_taken_out_gets_what_it_missed_when_it_is_put_back(
        self,
        redis: Redis,
        endpoint: Endpoint,
        office: OpenOffice,
        clock: FakeClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("INFO")
        one = await office()
        await one.turn()
        async with an_endpoint() as second:
            orders, audit = a_webhook(endpoint.url), a_webhook(second.url, name="audit")
            for webhooks in ([audit], [orders, audit]):
                one.file = lambda webhooks=webhooks: webhooks
                assert await one.webhook_reloader.reload()
                clock.advance(6)
                await one.turn()
                leases = await redis.keys("*lease*")
                owned = {str(key).rpartition(":")[2] for key in leases}
                assert owned == {webhook.name for webhook in webhooks}
                if webhooks == [audit]:
                    await publish(redis, 1)
                    await one.turn()
            assert (endpoint.ids, second.ids) == (["event-1"], ["event-1"])
        said = [r.getMessage() for r in caplog.records if r.name.endswith("webhook_reload")]
        assert said == [
            "webhooks reloaded: webhook audit new, webhook orders gone",
            "webhooks reloaded: webhook orders new",
        ]


def counted(one: Office) -> dict[str, float]:
    """Return the webhook's metrics: deliveries by outcome, others by their suffix."""
    found = {}
    for sample in (s for metric in one.metrics.registry.collect() for s in metric.samples):
        if sample.labels.get("webhook") == "orders" and not sample.name.endswith("_created"):
            name = sample.name.removeprefix("partway_webhook_")
            found[sample.labels.get("outcome", name)] = sample.value
    return found


class TestMetrics:
    async def test_they_tell_what_became_of_deliveries_and_how_old_the_oldest_event_is(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office(give_up_seconds=4, tenants=frozenset({"acme"}))
        nothing = {"oldest_event_age_seconds": 0.0, "dead_letters": 0.0}
        assert counted(one) == {"delivered": 0, "retried": 0, "dead": 0, **nothing}
        endpoint.answer = lambda got: 500 if got.id == "event-1" else 204
        told_ms = int(clock.now().timestamp() * 1000)
        for n, changes in enumerate(({"tenant": "evil"}, {}, {"upload": "01"})):
            event = an_event(n, **changes)
            await redis.xadd(
                events_key(1 if "upload" in changes else 0), event, id=f"{told_ms}-{n}"
            )
        await one.turn()
        clock.advance(3)
        figures = counted(one)
        assert figures.pop("oldest_event_age_seconds") == pytest.approx(3, abs=0.01)
        assert figures == {"delivered": 1, "retried": 1, "dead": 0, "dead_letters": 0}
        clock.advance(2)
        await one.turn()
        assert counted(one) == {"delivered": 1, "retried": 1, "dead": 1, **nothing}
        clock.advance(6)
        await one.turn()
        assert counted(one)["dead_letters"] == 1

    async def test_the_letters_of_a_stream_that_is_gone_are_counted_too(
        self, redis: Redis, office: OpenOffice
    ) -> None:
        await redis.xadd(dead_key(0, "orders"), {**an_event(0), "attempts": "1", "why": "HTTP 500"})
        one = await office()
        await one.turn()
        assert counted(one)["dead_letters"] == 1

    async def test_a_user_who_may_not_ask_for_a_length_gets_its_events(
        self, redis: Redis, redis_url: str, endpoint: Endpoint, clock: FakeClock
    ) -> None:
        await redis.acl_setuser(
            "lean", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-xlen"]
        )
        await publish(redis, 1)
        url = redis_url.replace("redis://", "redis://lean:any@")
        try:
            async with Office(url, a_webhook(endpoint.url), clock=clock) as one:
                await one.turn()
        finally:
            await redis.acl_deluser("lean")
        assert endpoint.ids == ["event-1"]

    async def test_they_tell_nothing_that_is_secret(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice
    ) -> None:
        endpoint.url += "?token=hunter2"
        one = await office()
        await publish(redis, 1)
        await one.turn()
        published = generate_latest(one.metrics.registry).decode()
        assert 'outcome="delivered",webhook="orders"} 1.0' in published
        assert not [s for s in ("hunter2", "127.0.0.1", "event-1", "acme") if s in published]


class TestDeadLetters:
    async def give_up(self, one: Office, clock: FakeClock) -> None:
        for _ in range(20):
            await one.turn()
            clock.advance(8 * 3600)

    async def test_what_fails_for_days_is_given_up_and_the_next_goes_on(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office()
        endpoint.answer = lambda got: 500 if got.id == "event-1" else 204
        await publish(redis, 1)
        await publish(redis, 2)
        await self.give_up(one, clock)
        attempts = len(endpoint.got) - 1
        assert endpoint.ids == ["event-1"] * attempts + ["event-2"]
        assert 10 <= attempts <= 20
        [letter] = await one.store.dead_letters("orders")
        assert (letter.id, letter.upload, letter.type) == ("event-1", "00", "upload.completed")
        assert (letter.attempts, letter.why) == (attempts, "HTTP 500")
        assert letter.text == an_event(1)["event"]
        assert await pending(redis) == 0

    async def test_one_that_is_put_back_goes_to_its_webhook_alone(
        self, redis: Redis, redis_url: str, clock: FakeClock, endpoint: Endpoint
    ) -> None:
        async with an_endpoint() as second:
            webhooks = a_webhook(endpoint.url), a_webhook(second.url, name="audit")
            async with Office(redis_url, *webhooks, clock=clock) as one:
                endpoint.answer = failing(20)
                await publish(redis, 1)
                await self.give_up(one, clock)
                endpoint.answer = lambda got: 204
                [letter] = await one.store.dead_letters("orders")
                assert await one.store.revive(letter)
                assert not await one.store.revive(letter)
                clock.advance(1)
                before = len(endpoint.got)
                await one.turn()
                assert endpoint.ids[before:] == ["event-1"]
                assert endpoint.got[-1].body == endpoint.got[0].body
                assert second.ids == ["event-1"]
                assert await one.store.dead_letters("orders") == []

    async def test_they_are_kept_for_a_month(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        letter = {**an_event(0), "attempts": "1", "why": "HTTP 500"}
        month = int((clock.now() - timedelta(days=31)).timestamp() * 1000)
        await redis.xadd(dead_key(0, "orders"), letter, id=f"{month}-0")
        one = await office()
        endpoint.answer = failing(1, 410)
        await publish(redis, 1)
        await one.turn()
        assert [letter.id for letter in await one.store.dead_letters("orders")] == ["event-1"]


class TestSharing:
    async def test_two_processes_deliver_each_event_once(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one, two = await office(), await office("two")
        await one.turn()
        published: list[str] = []
        for n in range(60):
            published.append(await publish(redis, n, upload=f"{n:04x}"))
            clock.advance(1)
            await asyncio.gather(one.turn(), two.turn())
        clock.advance(6)
        await asyncio.gather(one.turn(), two.turn())
        assert sorted(endpoint.ids) == sorted(published)
        leases = [webhook_key(shard, "lease", "orders") for shard in range(64)]
        owners = [await redis.hget(lease, "owner") for lease in leases]
        shares = [owners.count("one"), owners.count("two")]
        assert shares == [32, 32]

    async def test_a_process_that_leaves_is_replaced_at_once(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one, two = await office(), await office("two")
        await one.turn()
        await two.turn()
        await publish(redis, 1)
        await one.dispatcher.release()
        clock.advance(5)
        await two.turn()
        assert endpoint.ids == ["event-1"]

    async def test_a_shard_is_not_given_back_while_something_is_under_way_from_it(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one, left = await office(), asyncio.Event()

        async def wait(request: web.Request) -> web.StreamResponse:
            await left.wait()
            return web.Response(status=204)

        endpoint.handle = wait
        await publish(redis, 1)
        await one.dispatcher.step()
        await one.dispatcher.release()
        assert await redis.hget(webhook_key(0, "lease", "orders"), "owner") == "one"
        left.set()
        await one.tasks.done()
        await one.dispatcher.release()
        assert not await redis.keys("*lease*")
        assert await pending(redis) == 0

    async def test_whoever_lost_its_lease_sends_nothing_more(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one, two = await office(), await office("two")
        endpoint.answer = failing(1)
        await publish(redis, 1)
        await one.turn()
        # `one` is paused, so its shards go to `two`.
        clock.advance(21)
        await two.turn()
        assert endpoint.ids == ["event-1"] * 2
        await asyncio.gather(one.turn(), two.turn())
        assert endpoint.ids == ["event-1"] * 2


class TestLosses:
    async def test_a_redis_that_lost_all_gets_its_groups_again_from_the_beginning(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office()
        await publish(redis, 1)
        await one.turn()
        await redis.flushall()
        await redis.xadd(events_key(0), an_event(2), id="5-0")
        clock.advance(5)
        await one.turn()
        assert endpoint.ids == ["event-1", "event-2"]

    async def test_a_redis_that_loses_all_in_the_middle_holds_up_nothing(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one, statuses, asked = await office(), iter((204, 500, 410)), []

        async def lose_all(request: web.Request) -> web.StreamResponse:
            asked.append(request.headers["webhook-id"])
            await redis.flushall()
            return web.Response(status=next(statuses))

        endpoint.handle = lose_all
        for number in range(3):
            await publish(redis, number)
            await one.turn()
            clock.advance(5)
            await one.turn()
        assert asked == ["event-0", "event-1", "event-2"]
        assert not await redis.keys("*dead*")

    async def test_an_event_that_nobody_can_read_becomes_a_dead_letter(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice
    ) -> None:
        one = await office(tenants=frozenset({"acme"}), give_up_seconds=0)
        await redis.xadd(events_key(0), {**an_event(1), "event": "{"})
        await publish(redis, 2)
        await one.turn()
        assert endpoint.ids == ["event-2"]
        assert [letter.id for letter in await one.store.dead_letters("orders")] == ["event-1"]

    async def test_a_group_that_is_gone_is_made_again_and_repeats_what_is_kept(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice
    ) -> None:
        one = await office()
        await publish(redis, 1)
        await one.turn()
        await redis.xgroup_destroy(events_key(0), "webhook:orders")
        await publish(redis, 2)
        for _ in range(2):
            await one.turn()
        assert endpoint.ids == ["event-1", "event-1", "event-2"]

    async def test_a_redis_from_an_older_copy_repeats_what_it_forgot(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office()
        endpoint.answer = failing(1)
        await publish(redis, 1)
        await one.turn()
        copy = await redis_dump(redis, events_key(0))
        clock.advance(5)
        await one.turn()
        await redis.restore(events_key(0), 0, copy, replace=True)
        for _ in range(2):
            clock.advance(5)
            await one.turn()
        assert endpoint.ids == ["event-1"] * 3
        assert await pending(redis) == 0

    async def test_what_the_stream_keeps_no_more_holds_up_nothing(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office()
        endpoint.answer = failing(1)
        await publish(redis, 1)
        await publish(redis, 2)
        await one.turn()
        await redis.xtrim(events_key(0), maxlen=1, approximate=False)
        clock.advance(5)
        await one.turn()
        assert endpoint.ids == ["event-1", "event-2"]
        assert await pending(redis) == 0

    async def test_what_was_dropped_meanwhile_holds_up_nothing_after_a_take_over(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        endpoint.answer = failing(1)
        await publish(redis, 1)
        await (await office()).turn()
        await redis.xtrim(events_key(0), maxlen=0, approximate=False)
        clock.advance(21)
        await publish(redis, 2)
        await (await office("two")).turn()
        assert endpoint.ids == ["event-1", "event-2"]
        assert await pending(redis) == 0

    async def test_more_than_may_be_pending_stays_in_the_stream_and_follows(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        one = await office(most=10)
        endpoint.answer = lambda got: 500
        for number in range(15):
            await publish(redis, number, upload=f"{number:04x}00")
        await one.turn()
        await publish(redis, 15, upload="001500")
        await one.turn()
        assert (len(endpoint.got), await pending(redis)) == (10, 10)
        endpoint.answer = lambda got: 204
        clock.advance(5)
        await one.turn()
        await one.turn()
        assert len(set(endpoint.ids)) == 16
        assert await pending(redis) == 0


class TestCluster:
    async def test_each_shard_is_delivered_and_retried(
        self, cluster: Cluster, endpoint: Endpoint, clock: FakeClock
    ) -> None:
        cluster.flush()
        endpoint.answer = failing(10)
        async with Office(cluster.url, a_webhook(endpoint.url), clock=clock) as one:
            await one.turn()
            published = []
            for number in range(64):
                event = an_event(number, upload=f"{number:02x}")
                cluster.node(cluster.owner(OUR_SLOTS[number])).xadd(events_key(number), event)
                published.append(event["id"])
            await one.turn()
            clock.advance(5)
            await one.turn()
        assert sorted(set(endpoint.ids)) == sorted(published)
        assert len(endpoint.got) == 74

    async def test_a_shard_that_moves_is_followed_and_nothing_waits(
        self,
        cluster: Cluster,
        endpoint: Endpoint,
        clock: FakeClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        cluster.flush()
        slot = OUR_SLOTS[FAR]
        webhook = a_webhook(endpoint.url)
        async with Office(cluster.url, webhook, clock=clock, patience=LONG) as one:
            await one.turn()
            cluster.move(slot, cluster.another(slot))
            cluster.node(cluster.owner(slot)).xadd(events_key(FAR), an_event(1))
            await one.turn()
        assert endpoint.ids == ["event-1"]
        assert waits(caplog) == []


LONG = 20.0
"""Patience for a slow machine; no test waits for all of it."""

FAR = 5
"""The shard whose server goes down."""


def waits(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log says about shards."""
    name = "partway_server.events.dispatcher"
    return [record.getMessage() for record in caplog.records if record.name == name]


class TestShardsAway:
    """Delivery while one shard's server is down or silent, and the others' is up."""

    @pytest.fixture
    async def relay(self, redis: Redis) -> AsyncIterator[Relay]:
        where = redis.connection_pool.connection_kwargs
        async with Relay(where["host"], where["port"]) as relay:
            yield relay

    @pytest.fixture
    async def split(
        self, relay: Relay, redis_url: str, endpoint: Endpoint, clock: FakeClock
    ) -> AsyncIterator[OpenOffice]:
        """Return a function like `office`, but with one shard behind the relay."""
        async with contextlib.AsyncExitStack() as opened:

            async def begin(
                *names: str, owner: str = "one", shard: int = FAR, **more: Any
            ) -> Office:
                servers = as_a_cluster(redis_url, relay, shard)
                webhooks = [a_webhook(endpoint.url, name=name) for name in names or ("orders",)]
                return await opened.enter_async_context(
                    Office(servers, *webhooks, clock=clock, owner=owner, **more)
                )

            yield begin

    async def test_its_events_wait_and_those_of_others_arrive(
        self,
        redis: Redis,
        relay: Relay,
        endpoint: Endpoint,
        split: OpenOffice,
        clock: FakeClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("INFO")
        one = await split("orders", "audit", patience=LONG)
        await one.turn()
        await relay.cut()
        others = [await publish(redis, n, upload=f"{n:02x}") for n in range(64) if n != FAR]
        await publish(redis, FAR, upload=f"{FAR:02x}")
        for _ in range(3):
            await one.turn()
            clock.advance(6)
        assert sorted(endpoint.ids) == sorted(others * 2)
        assert waits(caplog) == ["webhooks: Redis does not answer; events of shards 05 wait"]
        endpoint.got.clear()
        await relay.open()
        for _ in range(3):
            await one.turn()
            clock.advance(6)
        assert endpoint.ids == [f"event-{FAR}"] * 2
        assert waits(caplog)[1:] == ["webhooks: Redis answers again for shards 05"]

    async def test_what_it_does_not_settle_takes_no_place_from_others_and_is_not_repeated(
        self, redis: Redis, relay: Relay, endpoint: Endpoint, split: OpenOffice, clock: FakeClock
    ) -> None:
        healed = asyncio.Event()

        async def nap(_: float) -> None:
            await healed.wait()
            # Let other tasks run: a nap that never waits would starve them all.
            await asyncio.sleep(0.01)

        one = await split(sleep=nap, patience=6.0)
        await one.turn()
        far = {await publish(redis, n, upload=f"{n:02x}{FAR:02x}") for n in range(16)}
        arrived, ids = asyncio.Event(), list[str]()

        async def answer(request: web.Request) -> web.StreamResponse:
            ids.append(request.headers["webhook-id"])
            if len(ids) == 16:
                # As many as allowed are in flight, and no answer has been recorded.
                await relay.cut()
                arrived.set()
            await arrived.wait()
            return web.Response(status=204)

        endpoint.handle = answer
        await one.dispatcher.step()
        await arrived.wait()
        near = await publish(redis, 99, upload="00")
        await until(lambda: one.store.away == {FAR})
        clock.advance(6)
        await one.dispatcher.step()
        await until(lambda: near in ids)
        await relay.open()
        healed.set()
        # A delivery that is late to notice the lost server may still do so, and waits another
        # round.
        while await pending(redis, FAR):
            clock.advance(6)
            await one.dispatcher.step()
            # What a round starts runs on. Rounds without a pause start more than Redis can answer.
            await asyncio.sleep(0.05)
        await one.tasks.done()
        assert sorted(ids) == sorted([*far, near])

    async def test_an_event_that_could_not_be_read_was_not_tried(
        self, redis: Redis, relay: Relay, endpoint: Endpoint, split: OpenOffice, clock: FakeClock
    ) -> None:
        one = await split(patience=2.5)
        await publish(redis, 1, upload=f"{FAR:02x}")
        # The tasks that this step starts have not run yet.
        await one.dispatcher.step()
        await relay.cut()
        await one.tasks.done()
        await relay.open()
        clock.advance(6)
        assert (endpoint.ids, one.store.away) == ([], {FAR})
        assert not await redis.exists(webhook_key(FAR, "tries", "orders"))
        for _ in range(2):
            await one.turn()
        assert endpoint.ids == ["event-1"]

    async def test_without_the_shard_that_knows_who_works_a_process_takes_what_is_free(
        self, redis: Redis, relay: Relay, endpoint: Endpoint, split: OpenOffice, clock: FakeClock
    ) -> None:
        one = await split(shard=0, patience=LONG)
        two = await split(owner="two", shard=0, patience=LONG)
        for each in (one, two, one, two):
            await each.turn()
            clock.advance(6)
        await relay.cut()
        await one.turn()
        await one.dispatcher.release()
        published = [await publish(redis, n, upload=f"{n:02x}") for n in range(1, 64)]
        for _ in range(2):
            await two.turn()
            clock.advance(6)
        assert sorted(endpoint.ids) == sorted(published)
        await relay.open()
        for _ in range(3):
            await two.turn()
            clock.advance(6)
        assert await redis.hget(webhook_key(0, "lease", "orders"), "owner") == "two"

    async def test_nothing_answers_and_then_all_does(
        self,
        relay: Relay,
        redis: Redis,
        endpoint: Endpoint,
        clock: FakeClock,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("INFO")
        url = f"redis://{relay.address}"
        async with Office(url, a_webhook(endpoint.url), clock=clock, patience=LONG) as one:
            await one.turn()
            await relay.cut()
            await publish(redis, 1)
            for _ in range(3):
                await one.turn()
                clock.advance(6)
            assert endpoint.ids == []
            await relay.open()
            for _ in range(2):
                await one.turn()
                clock.advance(6)
        assert endpoint.ids == ["event-1"]
        assert waits(caplog) == [
            "webhooks: Redis does not answer; events of all shards wait",
            "webhooks: Redis answers again for all shards",
        ]


async def redis_dump(redis: Redis, key: str) -> bytes:
    where = redis.connection_pool.connection_kwargs
    async with Redis(host=where["host"], port=where["port"]) as client:
        dumped = await client.dump(key)
        assert dumped is not None
        return dumped


class TestGarbledState:
    """Whatever is garbled in Redis: the other events are delivered."""

    @pytest.mark.parametrize(
        "entry",
        [
            {"x": "y"},
            {**an_event(1), "id": b"\xff\xfe"},
            {**an_event(1), "upload": b"\xff\xfe"},
            {k: v for k, v in an_event(1).items() if k != "event"},
            {**an_event(1), "event": b"\xff\xfe"},
        ],
    )
    async def test_an_event(
        self,
        redis: Redis,
        endpoint: Endpoint,
        office: OpenOffice,
        clock: FakeClock,
        entry: dict[Any, Any],
    ) -> None:
        one = await office(give_up_seconds=60)
        await redis.xadd(events_key(0), entry)
        await publish(redis, 2, upload="40")
        await publish(redis, 3, upload="01")
        await one.turn()
        assert sorted(endpoint.ids) == ["event-2", "event-3"]
        for _ in range(4):
            clock.advance(60)
            await one.turn()
        # Dropped, or given up.
        assert await pending(redis) == 0

    @pytest.mark.parametrize("tries", ["x", "1 2", "1 2 3 4", b"\xff", f"1 2 {10**30}"])
    async def test_a_count_of_attempts(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, tries: Any
    ) -> None:
        await publish(redis, 1)
        entries: Any = await redis.xrange(events_key(0))
        place = entries[0][0]
        await redis.hset(webhook_key(0, "tries", "orders"), place, tries)
        await publish(redis, 2, upload="01")
        await (await office()).turn()
        assert sorted(endpoint.ids) == ["event-1", "event-2"]

    @pytest.mark.parametrize(
        "lease",
        [
            {"owner": "two", "until": "soon", "mark": "x"},
            {"owner": "two", "until": "9" * 18, "mark": "x"},
            {"owner": "one", "until": "9" * 18, "mark": b"\xff"},
            {"owner": b"\xff"},
            {"x": "y"},
        ],
    )
    async def test_a_lease(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, lease: dict[Any, Any]
    ) -> None:
        await redis.hset(webhook_key(0, "lease", "orders"), mapping=lease)
        await publish(redis, 1)
        one = await office()
        await one.turn()
        await publish(redis, 2)
        await one.turn()
        assert endpoint.ids == ["event-1", "event-2"]

    async def test_a_worker(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock
    ) -> None:
        await redis.zadd(webhook_key(0, "workers", "orders"), {b"\xff": 1e300, b"ghost": 9e18})
        ids = {await publish(redis, n, upload=f"{n:02x}") for n in range(64)}
        await (await office()).turn()
        assert sorted(endpoint.ids) == sorted(ids)

    @pytest.mark.parametrize("kind", ["events", "lease", "tries", "workers", "dead"])
    async def test_a_key_of_another_type(
        self, redis: Redis, endpoint: Endpoint, office: OpenOffice, clock: FakeClock, kind: str
    ) -> None:
        keys = {"events": events_key(0), "dead": dead_key(0, "orders")}
        key = keys.get(kind) or webhook_key(0, kind, "orders")
        one = await office(give_up_seconds=0)
        await one.turn()
        await redis.delete(key)
        await redis.set(key, "x")
        await publish(redis, 1, upload="01")
        clock.advance(30)
        await one.turn()
        assert endpoint.ids == ["event-1"]
        if kind == "events":
            await one.turn()
        elif kind == "dead":
            endpoint.answer = failing(1)
        await publish(redis, 2)
        await one.turn()
        assert endpoint.ids == ["event-1", "event-2"]
        assert await pending(redis) == 0

    async def test_a_dead_letter(
        self,
        redis: Redis,
        endpoint: Endpoint,
        office: OpenOffice,
    ) -> None:
        endpoint.answer = failing(1)
        one = await office(give_up_seconds=0)
        await publish(redis, 1)
        await redis.xadd(dead_key(0, "orders"), {"x": "y"})
        await redis.xadd(dead_key(1, "orders"), {**an_event(2), "attempts": "x", "why": "y"})
        await one.turn()
        assert [letter.id for letter in await one.store.dead_letters("orders")] == ["event-1"]
