"""Tests what only the session store in Redis promises."""

import asyncio
import contextlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from partway_server.domain.clock import SystemClock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.obstacle import StoreUnusable
from partway_server.domain.part_plan import MIB, Plan
from partway_server.domain.quota import Bucket, Limit, Rate
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import AbortReason, State, StoredObject, Upload
from partway_server.redis_client.client import RedisCommand
from partway_server.redis_client.topology import SLOTS, RedisTopology, SlotRange, connect
from partway_server.sessions.redis_keys import events_key, own_key, row_key, shard_of, usage_keys
from partway_server.sessions.redis_store import RedisSessionStore
from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection

from tests.support.backends import REDIS_PATIENCE
from tests.support.clock import START, FakeClock
from tests.support.relay import Relay
from tests.support.uploads import ALICE, an_upload

pytestmark = pytest.mark.redis

LEASE = timedelta(seconds=60)
LATER = START + timedelta(days=1)
STORED = StoredObject(size_bytes=1 << 40, etag="0123abcd-64")


@pytest.fixture
def patience() -> float:
    """Return the service's own patience: some of these tests wait until it is over."""
    return 2.5


@pytest.fixture
def sessions(redis_sessions: RedisSessionStore) -> RedisSessionStore:
    return redis_sessions


@pytest.fixture
async def timed(redis: Redis, redis_url: str) -> AsyncIterator[RedisSessionStore]:
    """Return a store that uses the time of its server."""
    async with contextlib.aclosing(
        RedisSessionStore(connect(redis_url), patience=REDIS_PATIENCE)
    ) as sessions:
        yield sessions


@pytest.fixture
async def relay(redis: Redis) -> AsyncIterator[Relay]:
    where = redis.connection_pool.connection_kwargs
    async with Relay(where["host"], where["port"]) as relay:
        yield relay


@pytest.fixture
async def relayed(relay: Relay, clock: FakeClock) -> AsyncIterator[RedisSessionStore]:
    """Return a store that reaches Redis through `relay`."""
    client = connect(f"redis://127.0.0.1:{relay.port}/0")
    sessions = RedisSessionStore(client, clock=clock, patience=0.5)
    yield sessions
    await sessions.aclose()


async def everything(sessions: RedisSessionStore, clock: FakeClock) -> None:
    """Run every script, through each of its paths that writes."""
    opening, _ = await sessions.insert(an_upload(State.INITIATING), START, LEASE)
    await sessions.insert(an_upload(State.INITIATING), START, LEASE)
    active = opening.activated("2~abc")
    await sessions.finish(active, LATER)
    await sessions.report(active, [1, 2])
    claimed, _ = await sessions.claim(opening.sid, State.COMPLETING, LEASE, b"parts")
    assert claimed is not None
    await sessions.claim(opening.sid, State.COMPLETING, LEASE)
    await sessions.renew(opening.sid, claimed.epoch, LEASE)
    await sessions.usage(ALICE)
    await uncount(sessions, claimed)
    await sessions.reconcile_usage(10)
    await sessions.take_tokens(Bucket(Limit.CALLS_PER_SECOND, "acme"), Rate(1, 1), 1, 1)
    await sessions.finish(claimed.completed(STORED), START)
    clock.advance(1)
    await sessions.take_due(10, LEASE)
    await sessions.list_uploads(ALICE, UploadFilter(), limit=10)
    await sessions.remove(opening.sid, claimed.epoch)


async def uncount(sessions: RedisSessionStore, upload: Upload) -> None:
    """Leave the record as a process does that counts nothing."""
    for key in usage_keys(upload.grant):
        await sessions._client.run(RedisCommand(key, ("DEL", key)))


class TestKeys:
    async def test_each_script_stays_in_one_slot(
        self, sessions: RedisSessionStore, redis: Redis, clock: FakeClock
    ) -> None:
        scripts: list[set[str]] = []
        async with redis.monitor() as monitor:
            await everything(sessions, clock)
            await redis.echo("no more scripts")
            async for entry in monitor.listen():
                if entry["command"] == "ECHO no more scripts":
                    break
                tags = re.findall(r"partway:\{(.+?)\}", entry["command"])
                if entry["client_type"] == "lua":
                    scripts[-1].update(tags)
                elif entry["command"].startswith("EVALSHA"):
                    scripts.append(set(tags))
        assert len(scripts) >= 7
        assert all(len(tags) == 1 for tags in scripts)

    async def test_all_keys_are_gone_with_the_upload(
        self, sessions: RedisSessionStore, redis: Redis, clock: FakeClock
    ) -> None:
        await everything(sessions, clock)
        # What was announced of it stays.
        events = events_key(shard_of(an_upload().sid)).encode()
        assert sorted(await redis.keys("*")) == [
            events,
            b"partway:{rates.acme}:bucket:calls_per_second",
        ]

    async def test_uploads_are_spread_over_the_shards(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        for n in range(500):
            await sessions.insert(an_upload(name=n), LATER)
        assert len(await redis.keys("partway:{*}:due")) == 64

    async def test_a_page_of_uploads_made_at_once_is_full(
        self, sessions: RedisSessionStore
    ) -> None:
        # Sids that begin alike are neighbours on the page.
        for n in range(200):
            await sessions.insert(an_upload(sid=f"ff{n:030x}"), LATER)
        page, _ = await sessions.list_uploads(ALICE, UploadFilter(), limit=100)
        assert len(page) == 100

    async def test_a_row_that_is_gone_leaves_the_queue(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        await sessions.insert(an_upload(), START)
        await redis.delete(row_key(an_upload().sid))
        assert await sessions.take_due(10, LEASE) == []
        assert await redis.keys("partway:{*}:due") == []

    async def test_rows_that_are_gone_do_not_hide_one_that_is_due(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        # All of one shard.
        for n in range(20):
            await sessions.insert(an_upload(sid=f"{n:030x}00"), START - timedelta(seconds=20 - n))
            if n < 19:
                await redis.delete(row_key(f"{n:030x}00"))
        assert await sessions.take_due(1, LEASE) == [f"{19:030x}00"]

    async def test_a_row_that_is_gone_leaves_the_callers_list(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        await sessions.insert(an_upload(), LATER)
        await redis.delete(row_key(an_upload().sid))
        page = await sessions.list_uploads(ALICE, UploadFilter(), limit=10)
        assert page == ([], None)
        assert await redis.keys("partway:{*}:own:*") == []

    async def test_nothing_is_left_of_many_uploads_that_ended_and_were_forgotten(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        """Check what bounds a caller's list.

        remove.lua removes the position with the row; list_own.lua removes those whose row expired
        by its time to live; and the list itself expires with its last row (the next test).
        """
        for n in range(300):
            row, _ = await sessions.insert(an_upload(name=n), LATER)
            if n % 3:
                claimed, _ = await sessions.claim(row.sid, State.ABORTING, LEASE)
                assert claimed is not None
                await sessions.finish(claimed.aborted(AbortReason.EXPIRED), LATER)
                assert await sessions.remove(row.sid, claimed.epoch)
            else:
                await redis.delete(row_key(row.sid))
        lists = await redis.keys("partway:{*}:own:*")
        assert sum([await redis.zcard(key) for key in lists]) == 100
        await sessions.list_uploads(ALICE, UploadFilter(), limit=10)
        assert await redis.keys("partway:{*}:own:*") == []

    async def test_a_row_of_an_older_version_has_its_policy_in_its_grant_alone(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        await sessions.insert(an_upload(), LATER)
        await redis.hdel(row_key(an_upload().sid), "policy")

        async def listed(policy: str) -> list[Upload]:
            page, _ = await sessions.list_uploads(ALICE, UploadFilter(policy=policy), limit=10)
            return list(page)

        assert await listed("videos") == [an_upload()]
        assert await listed("films") == []

    async def test_rows_outlive_their_due_time_and_the_list_outlives_the_rows(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        # One shard by their sids, so one list.
        for n, days in enumerate((-100, 7, 0)):
            await sessions.insert(an_upload(sid=f"{n:030x}00"), START + timedelta(days=days))
        in_days = [
            timedelta(milliseconds=await redis.pttl(key)) / timedelta(days=1)
            for key in (*(row_key(f"{n:030x}00") for n in range(3)), own_key(0, ALICE))
        ]
        assert in_days == pytest.approx([30, 37, 30, 37], abs=0.01)

    async def test_an_extended_row_outlives_its_new_due_time_and_so_does_what_it_shares(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        row, _ = await sessions.insert(an_upload(), LATER)
        further = START + timedelta(days=20)
        await sessions.extend(row, further, further)
        keys = row_key(row.sid), own_key(shard_of(row.sid), ALICE), *usage_keys(row.grant)
        in_days = [timedelta(milliseconds=await redis.pttl(k)) / timedelta(days=1) for k in keys]
        assert in_days == pytest.approx([50] * 5, abs=0.01)


class TestWhatIsStored:
    async def test_the_row_of_ten_thousand_parts_is_small(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        plan = Plan(10_000 * 64 * MIB, 64 * MIB)
        assert plan.part_count == 10_000
        upload = an_upload(
            State.COMPLETING, plan=plan, fingerprint="f" * 256, request_digest=b"d" * 32
        )
        grant = replace(upload.grant, key="k" * 1024, multipart_id="m" * 256)
        row, _ = await sessions.insert(
            replace(upload, grant=grant, manifest=b"m" * 32), LATER, LEASE
        )
        await sessions.finish(row.completed(STORED), LATER)
        assert (await redis.memory_usage(row_key(upload.sid), samples=0) or 0) < 4096

    async def test_the_row_of_ten_thousand_parts_is_small_when_all_are_reported(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        upload = an_upload(plan=Plan(10_000 * 64 * MIB, 64 * MIB), fingerprint="f" * 128)
        await sessions.insert(upload, LATER)
        row = await sessions.report(upload, range(1, 10_001))
        assert row is not None and row.reported.size_bytes == 10_000 * 64 * MIB
        assert (await redis.memory_usage(row_key(upload.sid), samples=0) or 0) < 4096
        assert len(await redis.keys("partway:*:upload:*")) == 1

    async def test_the_row_of_an_older_version_has_nothing_reported(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        upload = an_upload()
        await sessions.insert(upload, LATER)
        await redis.hdel(row_key(upload.sid), "parts", "parts_bytes")
        assert await sessions.get(upload.sid) == upload
        row = await sessions.report(upload, [9])
        assert row is not None and row.reported.parts == b"\0\1"

    async def test_nothing_looks_like_a_secret_or_a_url(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        row, _ = await sessions.insert(an_upload(State.INITIATING), LATER, LEASE)
        await sessions.finish(row.activated("2~abc"), LATER)
        stored = await redis.hgetall(row_key(row.sid))
        assert b"2~abc" in stored[b"grant"]
        text = repr((stored, await redis.keys("*"))).lower()
        for word in ("http", "x-amz", "signature", "credential", "secret", "password"):
            assert word not in text


class TestTime:
    async def test_is_the_servers_own_unless_a_clock_is_given(
        self, timed: RedisSessionStore, redis: Redis
    ) -> None:
        seconds, micros = await redis.time()
        server = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)
        row, _ = await timed.insert(an_upload(State.COMPLETING), server, LEASE)
        assert row.lease_until is not None
        assert timedelta(seconds=59) < row.lease_until - server < timedelta(seconds=65)

    async def test_of_the_server_decides_about_leases(self, timed: RedisSessionStore) -> None:
        now = SystemClock().now()
        row, _ = await timed.insert(an_upload(State.COMPLETING), now, timedelta(hours=1))
        assert not (await timed.claim(row.sid, State.ABORTING, LEASE))[1]
        assert await timed.renew(row.sid, 0, timedelta())
        assert (await timed.claim(row.sid, State.ABORTING, LEASE))[1]

    async def test_of_the_server_decides_what_is_due(self, timed: RedisSessionStore) -> None:
        now = SystemClock().now()
        await timed.insert(an_upload(name="due"), now - timedelta(minutes=5))
        await timed.insert(an_upload(name="later"), now + timedelta(minutes=5))
        assert await timed.take_due(10, LEASE) == [an_upload(name="due").sid]
        assert await timed.take_due(10, LEASE) == []


class TestTwoClients:
    @pytest.fixture
    async def pair(
        self, sessions: RedisSessionStore, redis_url: str, clock: FakeClock
    ) -> AsyncIterator[tuple[RedisSessionStore, RedisSessionStore]]:
        other = RedisSessionStore(connect(redis_url), clock=clock, patience=REDIS_PATIENCE)
        yield sessions, other
        await other.aclose()

    async def test_never_claim_the_same_upload(
        self, pair: tuple[RedisSessionStore, RedisSessionStore]
    ) -> None:
        for n in range(20):
            await pair[0].insert(an_upload(name=n), LATER)
        for n in range(20):
            claims = (
                store.claim(an_upload(name=n).sid, target, LEASE)
                for store in pair * 4
                for target in (State.COMPLETING, State.ABORTING)
            )
            assert sum(claimed for _, claimed in await asyncio.gather(*claims)) == 1

    async def test_never_take_the_same_upload(
        self, pair: tuple[RedisSessionStore, RedisSessionStore]
    ) -> None:
        sids = [an_upload(name=n).sid for n in range(200)]
        for n in range(200):
            await pair[0].insert(an_upload(name=n), START)
        takers = (store.take_due(30, LEASE) for store in pair * 5)
        taken = [sid for sids in await asyncio.gather(*takers) for sid in sids]
        assert sorted(taken) == sorted(sids)

    async def test_see_what_the_other_did(
        self, pair: tuple[RedisSessionStore, RedisSessionStore], clock: FakeClock
    ) -> None:
        ours, theirs = pair
        await ours.insert(an_upload(), LATER)
        paused, _ = await ours.claim(an_upload().sid, State.COMPLETING, LEASE)
        clock.advance(60)
        taken, claimed = await theirs.claim(an_upload().sid, State.ABORTING, LEASE)
        assert paused is not None and taken is not None and claimed
        assert not await ours.renew(paused.sid, paused.epoch, LEASE)
        assert not await ours.finish(paused.completed(STORED), LATER)
        assert await theirs.finish(taken.aborted(AbortReason.REQUESTED), LATER)


class TestTroubleWithTheServer:
    async def test_scripts_are_loaded_again_when_the_server_forgot_them(
        self, sessions: RedisSessionStore, redis: Redis, clock: FakeClock
    ) -> None:
        await everything(sessions, clock)
        await redis.script_flush()
        # The first to miss its script, for it goes another way than all others.
        await sessions.list_uploads(ALICE, UploadFilter(), limit=10)
        await everything(sessions, clock)

    async def test_no_server_is_unavailable_soon(
        self, relay: Relay, relayed: RedisSessionStore
    ) -> None:
        await relay.cut()
        began = time.monotonic()
        with pytest.raises(SessionsUnavailable):
            await relayed.get(an_upload().sid)
        assert time.monotonic() - began < 20

    async def test_every_call_says_that_there_is_no_server(
        self, relay: Relay, relayed: RedisSessionStore
    ) -> None:
        await relay.cut()
        upload = an_upload(State.COMPLETING)
        for call in (
            relayed.insert(upload, LATER),
            relayed.get(upload.sid),
            relayed.claim(upload.sid, State.ABORTING, LEASE),
            relayed.renew(upload.sid, 0, LEASE),
            relayed.finish(upload.completed(STORED), LATER),
            relayed.remove(upload.sid, 0),
            relayed.take_due(10, LEASE),
            relayed.list_uploads(ALICE, UploadFilter(), limit=10),
        ):
            with pytest.raises(SessionsUnavailable) as caught:
                await call
            assert caught.value.__cause__ is not None
        with pytest.raises(StoreUnusable, match=r"^Redis: the connection failed\."):
            await relayed.check()

    async def test_a_server_that_says_nothing_is_unavailable(
        self, relay: Relay, relayed: RedisSessionStore
    ) -> None:
        relay.deaf = True
        with pytest.raises(SessionsUnavailable):
            await relayed.get(an_upload().sid)

    async def test_work_goes_on_when_the_server_is_back(
        self, relay: Relay, relayed: RedisSessionStore
    ) -> None:
        await relayed.insert(an_upload(), LATER)
        await relay.cut()
        with pytest.raises(SessionsUnavailable):
            await relayed.get(an_upload().sid)
        await relay.open()
        assert await relayed.get(an_upload().sid) == an_upload()
        assert (await relayed.claim(an_upload().sid, State.COMPLETING, LEASE))[1]

    async def test_a_dropped_connection_is_not_noticed(
        self, relay: Relay, relayed: RedisSessionStore
    ) -> None:
        await relayed.insert(an_upload(), LATER)
        relay.drop()
        assert await relayed.get(an_upload().sid) == an_upload()

    async def test_a_server_that_was_demoted_is_looked_for_anew(
        self, relay: Relay, relayed: RedisSessionStore, redis: Redis
    ) -> None:
        await relayed.insert(an_upload(name="before"), LATER)
        assert relay.accepted == 1
        await redis.execute_command("REPLICAOF", "127.0.0.1", 1)
        try:
            with pytest.raises(SessionsUnavailable):
                await relayed.insert(an_upload(), LATER)
            assert relay.accepted > 1
        finally:
            await redis.execute_command("REPLICAOF", "NO", "ONE")
        after = an_upload(name="after")
        assert await relayed.insert(after, LATER) == (after, True)

    async def test_a_call_that_is_cancelled_ends(self, sessions: RedisSessionStore) -> None:
        async def forever() -> None:
            while True:
                await sessions.get(an_upload().sid)

        # At every point of a call: each turn of the loop takes it a little further.
        for turns in range(100):
            calling = asyncio.create_task(forever())
            for _ in range(turns):
                await asyncio.sleep(0)
            calling.cancel()
            _, still = await asyncio.wait({calling}, timeout=20)
            assert not still, turns

    async def test_a_server_without_its_replicas_is_unavailable(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        await redis.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(SessionsUnavailable):
                await sessions.insert(an_upload(), LATER)
        finally:
            await redis.config_set("min-replicas-to-write", 0)

    @pytest.mark.parametrize("lost", ["-evalsha", "-hset", "-hgetall"])
    async def test_a_server_that_takes_a_right_away_is_unavailable(
        self, redis: Redis, redis_url: str, clock: FakeClock, lost: str
    ) -> None:
        rights: Any = {"keys": ["partway:*"], "channels": ["*"]}
        await redis.acl_setuser("weak", enabled=True, nopass=True, commands=["+@all"], **rights)
        url = redis_url.replace("redis://", "redis://weak:x@", 1)
        async with contextlib.aclosing(RedisSessionStore(connect(url), clock=clock)) as sessions:
            try:
                upload, _ = await sessions.insert(an_upload(), LATER)
                await redis.execute_command("ACL", "SETUSER", "weak", lost)
                with pytest.raises(SessionsUnavailable):
                    await sessions.claim(upload.sid, State.COMPLETING, LEASE)
                await redis.execute_command("ACL", "SETUSER", "weak", "+@all")
                assert await sessions.get(upload.sid)
            finally:
                await redis.acl_deluser("weak")


class ReportingServer:
    """A server that reports the given values, loads each script, and has scripts return its run ID.

    It is its own pool and connection.
    """

    def __init__(self, **info: str) -> None:
        self._info = info

    async def ping(self) -> bool:
        return True

    async def publish(self, channel: str, message: str) -> int:
        return 0

    async def info(self, section: str) -> dict[str, str]:
        return self._info

    @property
    def connection_pool(self) -> "ReportingServer":
        return self

    async def get_connection(self) -> "ReportingServer":
        return self

    async def release(self, connection: "ReportingServer") -> None:
        pass

    async def send_packed_command(self, packed: Sequence[bytes]) -> None:
        pass

    async def parse_response(self, connection: "ReportingServer", name: str) -> Any:
        return [b"ab12", 1] if name == "EVALSHA" else b""


def store_reporting(**info: str) -> RedisSessionStore:
    """Return a store over a server that reports these values of itself."""

    async def find() -> list[SlotRange]:
        return [SlotRange(0, SLOTS - 1, ("", 0))]

    server: Any = ReportingServer(**info)
    return RedisSessionStore(RedisTopology(find=find, client=lambda _: server))


class TestCheck:
    @pytest.mark.parametrize("version", ["6.2.14", "5.0.0"])
    async def test_refuses_old_servers(self, version: str) -> None:
        with pytest.raises(ValueError, match=f"{version} is too old.* 7.0 or newer"):
            await store_reporting(redis_version=version, maxmemory_policy="noeviction").check()

    @pytest.mark.parametrize("version", ["7.0.0", "7.2.4", "8.2.3", "10.0.1"])
    async def test_takes_newer_ones(self, version: str) -> None:
        await store_reporting(redis_version=version, maxmemory_policy="noeviction").check()

    @pytest.mark.parametrize("field", ["redis_mode", "server_mode"])
    @pytest.mark.parametrize(
        ("mode", "advice"),
        [("cluster", r"Use redis\+cluster://"), ("sentinel", r"redis\+sentinel://.*/SERVICE")],
    )
    async def test_refuses_what_needs_another_url_and_says_which(
        self, field: str, mode: str, advice: str
    ) -> None:
        with pytest.raises(ValueError, match=advice):
            await store_reporting(redis_version="8.2.3", **{field: mode}).check()

    async def test_refuses_a_server_that_evicts(
        self, sessions: RedisSessionStore, redis: Redis
    ) -> None:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(ValueError, match="allkeys-lru.*SET maxmemory-policy noeviction"):
                await sessions.check()
        finally:
            await redis.config_set("maxmemory-policy", "noeviction")

    async def test_refuses_a_wrong_password_without_telling_it(
        self, redis: Redis, redis_url: str
    ) -> None:
        wrong = redis_url.replace("redis://", "redis://stranger:hunter2@", 1)
        sessions = RedisSessionStore(connect(wrong))
        with pytest.raises(ValueError, match="refuses the user name or password") as caught:
            await sessions.check()
        await sessions.aclose()
        assert "hunter2" not in str(caught.value)

    async def test_refuses_a_user_without_the_channel_whose_changes_go_on_all_the_same(
        self, redis: Redis, redis_url: str, clock: FakeClock
    ) -> None:
        await redis.acl_setuser(
            "mute", enabled=True, nopass=True, keys=["partway:*"], commands=["+@all"]
        )
        url = redis_url.replace("redis://", "redis://mute:x@", 1)
        async with contextlib.aclosing(RedisSessionStore(connect(url), clock=clock)) as sessions:
            try:
                with pytest.raises(ValueError, match="lacks rights: .* channel"):
                    await sessions.check()
                await everything(sessions, clock)
            finally:
                await redis.acl_deluser("mute")

    async def test_refuses_a_user_who_may_not_ask(self, redis: Redis, redis_url: str) -> None:
        await redis.acl_setuser("mute", enabled=True, nopass=True, commands=["+ping"])
        sessions = RedisSessionStore(connect(redis_url.replace("redis://", "redis://mute:x@", 1)))
        try:
            with pytest.raises(ValueError, match="lacks rights: .* the .info. command"):
                await sessions.check()
        finally:
            await sessions.aclose()
            await redis.acl_deluser("mute")

    async def test_a_user_with_the_least_rights_can_do_everything(
        self, redis: Redis, redis_url: str, clock: FakeClock
    ) -> None:
        least = (
            "evalsha script|load hgetall zrange subscribe publish ping info time exists hget hmget"
            " hset hincrby del zadd zrem zrangebyscore zrevrangebylex pexpire xadd"
            # What is used.
            " hexists hdel hscan pttl get set"
        )
        await redis.acl_setuser(
            "least",
            enabled=True,
            nopass=True,
            keys=["partway:*"],
            channels=["partway:changes"],
            commands=[f"+{command}" for command in least.split()],
        )
        url = redis_url.replace("redis://", "redis://least:x@", 1)
        sessions = RedisSessionStore(connect(url), clock=clock)
        try:
            await sessions.check()
            await everything(sessions, clock)
        finally:
            await sessions.aclose()
            await redis.acl_deluser("least")


async def test_a_client_for_rediss_checks_certificates() -> None:
    for kind in ("", "+sentinel", "+cluster"):
        servers = connect(f"rediss{kind}://127.0.0.1:1/{'mymaster' if 'sentinel' in kind else 0}")
        connection = servers.at(("127.0.0.1", 1)).connection_pool.make_connection()
        assert isinstance(connection, SSLConnection)
        assert connection.ssl_context.cert_reqs == ssl.CERT_REQUIRED
        await servers.aclose()


async def test_a_client_for_a_unix_socket_can_connect(tmp_path: Path) -> None:
    # No one listens there; that it is noticed only now shows that the client can be made.
    with pytest.raises(SessionsUnavailable):
        await RedisSessionStore(connect(f"unix://{tmp_path}/redis.sock")).get(an_upload().sid)


def test_an_option_that_redis_does_not_know_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="option"):
        connect("redis://127.0.0.1:1/0?no_such_option=1")
