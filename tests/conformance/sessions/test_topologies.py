"""Tests the session store while masters die, hand over and give slots away, and its setup."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from partway_server.domain.clock import SystemClock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import State, StoredObject, Upload
from partway_server.redis_client.topology import SLOTS, connect
from partway_server.sessions.redis_keys import CHANGES, due_key, own_key, row_key
from partway_server.sessions.redis_store import RedisSessionStore

from tests.support.processes import until
from tests.support.redis_cluster import OUR_SLOTS, Cluster
from tests.support.redis_sentinel import SERVICE, Sentinels
from tests.support.uploads import ALICE, an_upload
from tests.support.wakeups import heard, notified

pytestmark = pytest.mark.redis

T = TypeVar("T")

LEASE = timedelta(seconds=60)
STORED = StoredObject(size_bytes=1 << 40, etag="0123abcd-64")
PATIENCE = 2.5

SHARD = 7
SLOT = OUR_SLOTS[SHARD]


def now() -> datetime:
    return SystemClock().now()


def of_shard(shard: int, number: int) -> Upload:
    """Return an Upload whose session record is in that shard."""
    return an_upload(sid=f"{number:030x}{shard:02x}")


@contextlib.asynccontextmanager
async def a_store(url: str, patience: float = PATIENCE) -> AsyncIterator[RedisSessionStore]:
    async with contextlib.aclosing(RedisSessionStore(connect(url), patience=patience)) as sessions:
        yield sessions


@pytest.fixture
async def sessions(cluster: Cluster) -> AsyncIterator[RedisSessionStore]:
    """Return an empty store in a Cluster."""
    cluster.flush()
    async with a_store(cluster.url) as sessions:
        yield sessions


class Worker:
    """A caller that takes one Upload after another through its whole life, as the service does."""

    def __init__(self, sessions: RedisSessionStore, name: str) -> None:
        self._sessions, self._name = sessions, name
        self.whole = self.lost = self.unavailable = 0

    async def work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.one()

    async def one(self) -> None:
        upload = an_upload(name=(self._name, self.whole + self.lost))
        sid, sessions = upload.sid, self._sessions
        row, _ = await self._answer(lambda: sessions.insert(upload, now()))
        assert row == upload
        first, granted = await self._answer(lambda: sessions.claim(sid, State.COMPLETING, LEASE))
        if first is None or not granted:
            # The row, or the answer that the claim was granted, went with a master.
            self.lost += 1
            return
        other, granted = await self._answer(lambda: sessions.claim(sid, State.ABORTING, LEASE))
        if granted:
            # The claim went with a master: then this one must not be taken for it.
            assert other is not None and other.epoch > first.epoch
            assert not await self._answer(lambda: sessions.finish(first.completed(STORED), now()))
            self.lost += 1
            return
        done = await self._answer(lambda: sessions.finish(first.completed(STORED), now()))
        found = await self._answer(lambda: sessions.get(sid))
        if done and found == first.completed(STORED):
            self.whole += 1
        else:
            assert found in (None, upload, first)
            self.lost += 1

    async def _answer(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer, after any number of tries; each try must succeed or fail soon."""
        while True:
            began = time.monotonic()
            try:
                return await call()
            except SessionsUnavailable as unavailable:
                assert unavailable.__cause__ is not None
                self.unavailable += 1
            finally:
                assert time.monotonic() - began < PATIENCE + 10


async def work_through(url: str, trouble: Callable[[], Awaitable[None]]) -> None:
    """Check that every answer is right or SessionsUnavailable, and that no trouble remains."""
    async with a_store(url) as sessions:
        workers = [Worker(sessions, f"{trouble!r} {n}") for n in range(8)]
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.work(stop))
            try:
                await until(lambda: sum(worker.whole for worker in workers) > 20)
                await trouble()
            finally:
                stop.set()
        after = Worker(sessions, f"after {trouble!r}")
        for _ in range(64):
            await after.one()
        assert (after.whole, after.lost, after.unavailable) == (64, 0, 0)


class TestSentinel:
    async def test_work_goes_on_when_the_master_hands_over(self, sentinels: Sentinels) -> None:
        async def trouble() -> None:
            await asyncio.to_thread(sentinels.hand_over)
            await asyncio.to_thread(sentinels.settle)

        await work_through(sentinels.url, trouble)

    async def test_work_goes_on_when_the_master_is_killed(self, sentinels: Sentinels) -> None:
        async def trouble() -> None:
            try:
                await asyncio.to_thread(sentinels.kill_master)
            finally:
                # Or all tests that follow would have no master.
                sentinels.revive()
            await asyncio.to_thread(sentinels.settle)

        await work_through(sentinels.url, trouble)

    async def test_a_sentinel_that_is_gone_is_passed_over(self, sentinels: Sentinels) -> None:
        async with a_store(sentinels.url.replace("//", "//127.0.0.1:1,", 1)) as sessions:
            await sessions.check()

    async def test_a_replica_is_not_taken_for_the_master(self, sentinels: Sentinels) -> None:
        with sentinels.calling_a_replica_master("stale") as url:
            async with a_store(url, patience=0.5) as sessions:
                with pytest.raises(SessionsUnavailable):
                    await sessions.get(an_upload().sid)

    async def test_a_service_that_no_sentinel_knows_is_a_mistake(
        self, sentinels: Sentinels
    ) -> None:
        async with a_store(sentinels.url.replace(SERVICE, "stranger")) as sessions:
            with pytest.raises(ValueError, match="know no master by that name"):
                await sessions.check()

    async def test_the_url_of_a_server_is_a_mistake(self, redis_url: str) -> None:
        place = redis_url.removeprefix("redis://").partition("/")[0]
        async with a_store(f"redis+sentinel://{place}/{SERVICE}") as sessions:
            with pytest.raises(ValueError, match="does not accept the URL"):
                await sessions.check()

    async def test_a_sentinel_is_not_a_server(self, sentinels: Sentinels) -> None:
        place = sentinels.url.removeprefix("redis+sentinel://").partition(",")[0]
        async with a_store(f"redis://{place}") as sessions:
            with pytest.raises(ValueError, match=r"redis\+sentinel://"):
                await sessions.check()


def move_away(cluster: Cluster, slot: int) -> None:
    cluster.move(slot, cluster.another(slot))


class TestCluster:
    async def test_work_goes_on_when_a_master_hands_over(self, cluster: Cluster) -> None:
        await work_through(
            cluster.url, partial(asyncio.to_thread, cluster.hand_over, cluster.owner(SLOT))
        )

    async def test_work_goes_on_when_a_master_is_killed(self, cluster: Cluster) -> None:
        async def trouble() -> None:
            await asyncio.to_thread(cluster.kill_master, cluster.owner(SLOT))
            cluster.revive()
            await asyncio.to_thread(cluster.settle)

        await work_through(cluster.url, trouble)

    async def test_work_goes_on_while_slots_move(self, cluster: Cluster) -> None:
        async def trouble() -> None:
            for slot in OUR_SLOTS[:16]:
                await asyncio.to_thread(move_away, cluster, slot)

        await work_through(cluster.url, trouble)

    async def test_a_node_that_says_nothing_is_unavailable_and_the_others_are_not(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        there = next(s for s in range(64) if cluster.owner(OUR_SLOTS[s]) != cluster.owner(SLOT))
        await sessions.insert(of_shard(there, 0), now())
        with cluster.frozen(cluster.owner(SLOT)):
            async with a_store(cluster.url, patience=0.8) as hasty:
                began = time.monotonic()
                with pytest.raises(SessionsUnavailable):
                    await hasty.get(of_shard(SHARD, 0).sid)
                assert time.monotonic() - began < 15
            assert await sessions.get(of_shard(there, 0).sid) is not None

    async def test_a_slot_without_a_server_is_a_mistake(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        with cluster.uncovered(slot=1):
            with pytest.raises(ValueError, match=f"1 of the {SLOTS} slots .* no server"):
                await sessions.check()

    async def test_one_master_that_evicts_is_a_mistake(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        node = cluster.node(cluster.masters()[-1])
        node.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(ValueError, match="allkeys-lru"):
                await sessions.check()
        finally:
            node.config_set("maxmemory-policy", "noeviction")

    async def test_a_node_is_not_a_server(self, cluster: Cluster) -> None:
        async with a_store(f"redis://127.0.0.1:{cluster.masters()[0]}") as sessions:
            with pytest.raises(ValueError, match=r"redis\+cluster://"):
                await sessions.check()

    async def test_a_server_is_not_a_node(self, redis_url: str) -> None:
        url = redis_url.replace("redis://", "redis+cluster://")
        async with a_store(url) as sessions:
            with pytest.raises(ValueError, match="it is a single server"):
                await sessions.check()


LEAST = (
    "evalsha script|load hgetall zrange subscribe publish ping info time exists hget hmget hset"
    " hincrby del zadd zrem zrangebyscore zrevrangebylex pexpire xadd hdel"
)


@contextlib.contextmanager
def a_user_with_the_least_rights(servers: Sequence[Any], *more: str) -> Iterator[None]:
    """Create the user `least` on each of the servers."""
    commands = [f"+{command}" for command in (*LEAST.split(), *more)]
    for server in servers:
        server.acl_setuser(
            "least",
            enabled=True,
            nopass=True,
            keys=["partway:*"],
            channels=["partway:changes"],
            commands=commands,
        )
    try:
        yield
    finally:
        for server in servers:
            server.acl_deluser("least")


async def live(sessions: RedisSessionStore, upload: Upload) -> None:
    """Take an Upload from its first record to its last, with everything that a janitor does."""
    await sessions.check()
    await sessions.insert(upload, now())
    claimed, _ = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
    assert claimed is not None
    with sessions.changes(upload.sid) as wake:
        await heard(wake)
        assert await sessions.renew(upload.sid, claimed.epoch, LEASE)
        assert await sessions.finish(claimed.reopened(), now())
        await notified(wake)
    assert await sessions.report(upload, [1]) is not None
    claimed, _ = await sessions.claim(upload.sid, State.COMPLETING, LEASE)
    assert claimed is not None
    assert await sessions.finish(claimed.completed(STORED), now())
    assert await sessions.take_due(10, LEASE) == [upload.sid]
    assert [row.sid for row in await listed(sessions)] == [upload.sid]
    assert await sessions.remove(upload.sid, claimed.epoch)


class TestLeastRights:
    """Tests of a user with just the rights that the docstring of the store names."""

    async def test_are_enough_behind_sentinels(self, sentinels: Sentinels) -> None:
        with contextlib.closing(sentinels.client()) as master:
            master.flushall()
            with a_user_with_the_least_rights([master], "role"):
                url = sentinels.url.replace("://", "://least:x@", 1)
                async with a_store(url) as sessions:
                    await live(sessions, an_upload())

    async def test_are_enough_in_a_cluster_while_a_slot_moves(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        url = cluster.url.replace("://", "://least:x@", 1)
        masters = [cluster.node(port) for port in cluster.masters()]
        upload = of_shard(SHARD, 0)
        await sessions.insert(upload, now())
        to = cluster.another(SLOT)
        with a_user_with_the_least_rights(masters, "cluster|slots", "asking"):
            async with a_store(url) as restricted:
                cluster.begin_move(SLOT, to)
                cluster.move_keys(SLOT, to)
                assert (await restricted.claim(upload.sid, State.COMPLETING, LEASE))[1]
                cluster.end_move(SLOT, to)
                cluster.flush()
                await live(restricted, upload)


class TestChanges:
    """Tests that waiting callers hear changes again without doing anything."""

    async def test_are_heard_after_the_master_behind_sentinels_is_another(
        self, sentinels: Sentinels
    ) -> None:
        async with a_store(sentinels.url) as sessions, a_store(sentinels.url) as others:
            with sessions.changes(an_upload().sid) as wake:
                await heard(wake)
                try:
                    await asyncio.to_thread(sentinels.kill_master)
                finally:
                    sentinels.revive()
                await asyncio.to_thread(sentinels.settle)
                await heard(wake)
                await others.insert(an_upload(), now())
                await notified(wake)
                row = await others.get(an_upload().sid)
                assert row is not None and await others.remove(row.sid, row.epoch)

    async def test_are_heard_of_every_shard_of_a_cluster_after_the_node_that_told_them_is_gone(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        uploads = [of_shard(shard, 1) for shard in (0, SHARD, 40)]
        with sessions.changes(*(upload.sid for upload in uploads)) as wake:
            await heard(wake)
            for upload in uploads:
                await sessions.insert(upload, now())
                await notified(wake)
            [there] = [
                port
                for port in cluster.masters()
                if dict(cluster.node(port).pubsub_numsub(CHANGES)) == {CHANGES.encode(): 1}
            ]
            await asyncio.to_thread(cluster.kill_master, there)
            cluster.revive()
            await heard(wake)
            await asyncio.to_thread(cluster.settle)
            for upload in uploads:
                await sessions.report(upload, [1])
                await notified(wake)


class TestASlotOnItsWay:
    """Tests of a slot that moves key by key, as `redis-cli --cluster reshard` moves it."""

    async def test_is_served_before_its_first_key_moved(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        await sessions.insert(of_shard(SHARD, 1), now())
        to = cluster.another(SLOT)
        cluster.begin_move(SLOT, to)
        row, claimed = await sessions.claim(of_shard(SHARD, 1).sid, State.COMPLETING, LEASE)
        assert claimed and row is not None
        cluster.end_move(SLOT, to)
        assert await sessions.finish(row.completed(STORED), now())

    async def test_is_unavailable_where_a_script_needs_keys_of_both_sides(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        upload = of_shard(SHARD, 1)
        await sessions.insert(upload, now())
        to = cluster.another(SLOT)
        cluster.begin_move(SLOT, to)
        cluster.move_keys(SLOT, to, row_key(upload.sid).encode())
        async with a_store(cluster.url, patience=0.5) as hasty:
            assert await hasty.get(upload.sid) == upload
            with pytest.raises(SessionsUnavailable):
                await hasty.claim(upload.sid, State.COMPLETING, LEASE)
        # A call is in the middle of its patience when the slot arrives.
        claiming = asyncio.ensure_future(sessions.claim(upload.sid, State.COMPLETING, LEASE))
        await asyncio.sleep(0)
        await asyncio.to_thread(cluster.end_move, SLOT, to)
        assert (await claiming)[1]

    async def test_is_served_by_its_next_master_as_soon_as_all_keys_are_there(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        uploads = [of_shard(SHARD, n) for n in range(40)]
        for upload in uploads:
            await sessions.insert(upload, now())
        to = cluster.another(SLOT)
        cluster.begin_move(SLOT, to)
        cluster.move_keys(SLOT, to)
        # At once, so that ASKING and what it is for are on many connections.
        claims = (sessions.claim(upload.sid, State.COMPLETING, LEASE) for upload in uploads)
        assert all(claimed for _, claimed in await asyncio.gather(*claims))
        cluster.end_move(SLOT, to)
        found = [await sessions.get(upload.sid) for upload in uploads]
        assert {row.state for row in found if row} == {State.COMPLETING} and None not in found

    async def test_loses_nothing_that_is_due_when_the_index_goes_first(
        self, cluster: Cluster, sessions: RedisSessionStore
    ) -> None:
        ours = [of_shard(SHARD, n) for n in range(20)]
        other = of_shard(SHARD + 1, 0)
        for upload in (*ours, other):
            await sessions.insert(upload, now() - timedelta(minutes=len(upload.sid)))
        to = cluster.another(SLOT)
        cluster.begin_move(SLOT, to)
        cluster.move_keys(SLOT, to, due_key(SHARD).encode())
        async with a_store(cluster.url, patience=0.3) as hasty:
            assert await hasty.take_due(100, LEASE) == [other.sid]
            with pytest.raises(SessionsUnavailable):
                await hasty.take_due(100, LEASE)
        cluster.end_move(SLOT, to)
        assert sorted(await sessions.take_due(100, LEASE)) == sorted(u.sid for u in ours)

    @pytest.mark.parametrize("first", ["index", "rows"])
    async def test_loses_nothing_from_a_callers_list(
        self, cluster: Cluster, sessions: RedisSessionStore, first: str
    ) -> None:
        ours = [of_shard(SHARD, n) for n in range(5)]
        for upload in ours:
            await sessions.insert(upload, now())
        to = cluster.another(SLOT)
        cluster.begin_move(SLOT, to)
        index = own_key(SHARD, ALICE)
        keys = [index] if first == "index" else [row_key(upload.sid) for upload in ours]
        cluster.move_keys(SLOT, to, *(key.encode() for key in keys))
        async with a_store(cluster.url, patience=0.3) as hasty:
            with pytest.raises(SessionsUnavailable):
                await listed(hasty)
        cluster.end_move(SLOT, to)
        assert {upload.sid for upload in await listed(sessions)} == {u.sid for u in ours}


async def listed(sessions: RedisSessionStore) -> list[Upload]:
    page, _ = await sessions.list_uploads(ALICE, UploadFilter(), limit=100)
    return list(page)
