"""Tests that each event reaches the webhook once, whichever version sends it."""

import asyncio
import itertools
import json
from collections import Counter
from typing import Any

import pytest
from redis import Redis
from standardwebhooks import Webhook as Verifier

from tests.support.previous_version import (
    EVENT_SOURCE,
    VERSIONS,
    WEBHOOK,
    Deployment,
)
from tests.support.processes import until
from tests.support.storage import Put
from tests.support.version_sides import (
    SMALL,
    Side,
    sid_of,
    sides,
)
from tests.support.webhooks import SECRET

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]


@pytest.mark.parametrize("alone", VERSIONS)
async def test_each_event_is_sent_once_whichever_version_sends_it(
    deployment: Deployment, put: Put, tenant: str, alone: str
) -> None:
    services, got = deployment.services, deployment.endpoint.got
    [away] = set(VERSIONS) - {alone}
    async with sides(services, alone, put, tenant) as (first, other):
        # Each has half of the shards, and so some of the events.
        with Redis.from_url(deployment.redis_url) as redis:
            await until(lambda: shares(redis) == [32, 32])
            assert_leases_have_one_form(redis)
        before = {name: service.delivered() for name, service in services.items()}
        expected = await eventful(first, other)
        expected += await eventful(other, first)
        await until_sent(got, expected)
        for name, service in services.items():
            assert service.delivered() > before[name], name

        assert await asyncio.to_thread(services[away].server.stop) == 0
        expected += await eventful(first, first)
        await until_sent(got, expected)
        await asyncio.to_thread(services[away].start)
        expected += await eventful(other, first)
        await until_sent(got, expected)

    # Of every test that was here before, too.
    with Redis.from_url(deployment.redis_url) as redis:
        streams = list(redis.scan_iter("partway:{*}:events"))
        await until(lambda: all_settled(redis, streams))
        appended = Counter(f[b"id"].decode() for key in streams for _, f in redis.xrange(key))
    assert Counter(deployment.endpoint.ids) == appended
    assert set(appended.values()) == {1}
    for each in got:
        assert Verifier(SECRET).verify(each.body, dict(each.headers))["source"] == EVENT_SOURCE


async def eventful(maker: Side, ender: Side) -> Counter[tuple[str, str]]:
    """Make enough uploads for both versions to send events; return the expected events."""
    made = [await maker.initialize(**SMALL) for _ in range(12)]
    for upload in made[::2]:
        await ender.send(upload)
        await ender.complete(upload)
    for upload in made[1::2]:
        await ender.abort(upload)
    ends = itertools.cycle(("upload.completed", "upload.aborted"))
    pairs = [(sid_of(upload), kind) for upload, kind in zip(made, ends, strict=False)]
    return Counter([*pairs, *((sid, "upload.initialized") for sid, _ in pairs)])


def events_of(got: list[Any], expected: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Count how often the endpoint received each event of these uploads."""
    sids = {sid for sid, _ in expected}
    events = [json.loads(each.body) for each in list(got)]
    return Counter((e["subject"], e["type"]) for e in events if e["subject"] in sids)


def leases(redis: Any) -> list[dict[bytes, bytes]]:
    """Return the leases of the webhook's shards."""
    return [redis.hgetall(key) for key in redis.scan_iter(f"partway:{{*}}:lease:{WEBHOOK}")]


def shares(redis: Redis) -> list[int]:
    """Return how many shards each process has leased."""
    return list(Counter(lease.get(b"owner") for lease in leases(redis)).values())


def assert_leases_have_one_form(redis: Redis) -> None:
    """Fail unless both versions write the same fields."""
    assert len({frozenset(lease) for lease in leases(redis)}) == 1


def all_settled(redis: Redis, streams: list[bytes]) -> bool:
    groups = [redis.xinfo_groups(key) for key in streams]
    return all(len(g) == 1 and g[0]["pending"] == 0 and not g[0]["lag"] for g in groups)


async def until_sent(got: list[Any], expected: Counter[tuple[str, str]]) -> None:
    try:
        await until(lambda: events_of(got, expected) == expected)
    except TimeoutError:
        assert events_of(got, expected) == expected
