"""The session store in Redis 7.0 or newer, or Valkey: one server, Sentinels, or a Cluster.

Every change of a session record is one script, and everything it accesses is in one slot. A script
takes the time from Redis or, if the store was given a clock, from an argument. A reply can be lost
after the script ran, and the script is then sent again. So each change carries a random mark, the
record keeps the last one, and a script that finds its own mark answers as it did before.

A failover can lose acknowledged writes, because replication is asynchronous, and it continues with
the clock of another machine. So a record can revert to any earlier state, and a lease can end early
or late by as much as the clocks differ. Then two workers may both have a lease on one upload, and
both may call storage; what they report and record is what storage shows, as after any loss of
Redis. The later claim has the higher epoch: it is the time or, where a clock was ahead, one more
than the last. Only if the new clock is behind by more than the failover took, and the last claim
was lost, can an epoch repeat; and then storage decides as well. For that reason no WAIT follows a
claim: it would cost another round trip to a replica, fail where there is no replica, and still
prove nothing, as its documentation says (https://redis.io/docs/latest/commands/wait/).

Scripts publish their changes on one channel (see `redis_notifications.py`). Nothing depends on it.

A Redis user needs the keys `partway:*`, the channel `partway:changes`, and the commands evalsha,
script|load, hgetall, hmget, zrange, time, subscribe, publish, ping and info, and those that scripts
use; behind Sentinels role, and in a Cluster cluster|slots and asking. A user of a Sentinel needs
sentinel|get-master-addr-by-name.
"""

import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from partway_server.domain.clock import Clock, SystemClock
from partway_server.domain.events import EventComposer, event_type_of
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.quota import Bucket, Rate
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import FINISHES, LEASED, State, Upload
from partway_server.domain.usage import CallerUsage, day_of, standing_of
from partway_server.redis_client.client import RedisClient
from partway_server.redis_client.topology import RedisTopology
from partway_server.sessions import record_encoding, redis_keys
from partway_server.sessions.base import Cursor
from partway_server.sessions.notifications import Wakeup
from partway_server.sessions.redis_claims import RedisClaims
from partway_server.sessions.redis_due_index import RedisDueIndex
from partway_server.sessions.redis_full import FullLog
from partway_server.sessions.redis_incarnations import Incarnations
from partway_server.sessions.redis_listing import RedisListing
from partway_server.sessions.redis_notifications import RedisChanges
from partway_server.sessions.redis_records import RedisRecords
from partway_server.sessions.redis_scripts import RedisScripts
from partway_server.sessions.redis_startup_check import check_redis
from partway_server.sessions.redis_usage import RedisUsage
from partway_server.sessions.script_arguments import (
    event_values,
    flat,
    moment_ms,
    span_ms,
    spans,
    words,
)


class RedisSessionStore:
    """Session records in Redis. The store closes `topology`.

    `patience` is how long a command may take with all its retries, in seconds; `retried` is called
    with the error before each retry.
    """

    def __init__(
        self,
        topology: RedisTopology,
        *,
        clock: Clock | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        patience: float = 2.5,
        composer: EventComposer | None = None,
        retried: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._topology = topology
        self._clock = clock
        self._composer = composer or EventComposer()
        self._random_bytes = random_bytes
        self._client = RedisClient(topology=topology, patience=patience, retried=retried)
        self._changes = RedisChanges(topology=topology)
        self._scripts = RedisScripts(self._client, clock)
        self._incarnations = Incarnations(self._scripts, skewed=clock is None)
        self._records = RedisRecords(self._client, self._scripts)
        self._claims = RedisClaims(self._records, self._incarnations, random_bytes)
        self._due = RedisDueIndex(self._client, self._scripts)
        self._listing = RedisListing(self._scripts, self._records)
        self._usage = RedisUsage(self._client, self._scripts, self._records)
        self._full = FullLog(self._moment)

    async def insert(
        self,
        upload: Upload,
        due: datetime,
        lease: timedelta | None = None,
        *,
        restore: bool = False,
    ) -> tuple[Upload, bool]:
        held = lease if upload.state in LEASED else None
        event = self._composer.inserted(upload, self._moment())
        inserting = self._records.run(
            "restore" if restore else "insert",
            upload.sid,
            redis_keys.change_keys(upload.grant),
            self._mark(),
            upload.sid,
            redis_keys.position(upload.grant.create_time, upload.sid),
            moment_ms(due),
            span_ms(redis_keys.KEEP),
            "" if held is None else span_ms(held),
            # An event that is not repeated counts as appended.
            event_type_of(upload),
            span_ms(self._composer.keep),
            *event_values(event),
            record_encoding.usage_entry(upload.grant),
            standing_of(upload),
            *flat(record_encoding.fields(upload)),
            parse=lambda answer: (record_encoding.returned(upload.sid, answer[1]), bool(answer[0])),
        )
        return await (inserting if restore else self._full.watch(inserting))

    async def get(self, sid: str) -> Upload | None:
        return await self._records.get(sid)

    async def is_current(self, upload: Upload) -> bool:
        return await self._incarnations.ask(upload.sid, upload.epoch)

    async def look(self, sid: str) -> tuple[Upload | None, bool]:
        return await self._records.run(
            "look",
            sid,
            (redis_keys.row_key(sid),),
            parse=lambda answer: self._incarnations.judged(
                record_encoding.returned_if_any(sid, answer[0]), answer[1:]
            ),
        )

    async def claim(
        self,
        sid: str,
        target: State,
        lease: timedelta,
        manifest: bytes | None = None,
        *,
        seen: Upload | None = None,
    ) -> tuple[Upload | None, bool]:
        return await self._claims.of_seen(sid, target, lease, manifest, seen)

    async def claim_active(
        self, grant: Grant, target: State, lease: timedelta, manifest: bytes | None = None
    ) -> tuple[Upload | None, bool, bool]:
        return await self._claims.of_active(grant, target, lease, manifest)

    async def renew(self, sid: str, epoch: int, lease: timedelta) -> bool:
        return await self._claims.renew(sid, epoch, lease)

    async def put_off(self, sid: str, epoch: int, due: datetime) -> bool:
        keys = redis_keys.claim_keys(sid)
        return bool(await self._run("put_off", keys, sid, epoch, moment_ms(due)))

    async def finish(self, upload: Upload, due: datetime) -> bool:
        outcome = record_encoding.fields(upload)
        for kept in ("epoch", "fingerprint", "digest", "metadata"):
            outcome.pop(kept, None)
        return await self._records.run(
            "finish",
            upload.sid,
            redis_keys.change_keys(upload.grant),
            self._mark(),
            upload.sid,
            upload.epoch,
            moment_ms(due),
            span_ms(redis_keys.KEEP),
            words(state for state, outcomes in FINISHES.items() if upload.state in outcomes),
            span_ms(self._composer.keep),
            *event_values(self._composer.finished(upload, self._moment())),
            record_encoding.usage_entry(upload.grant),
            standing_of(upload),
            *flat(outcome),
            parse=bool,
        )

    async def extend(
        self, seen: Upload, expire_time: datetime, due: datetime
    ) -> tuple[Upload | None, bool]:
        token, epoch, _ = record_encoding.sight(seen)
        return await self._records.run(
            "extend",
            seen.sid,
            (*redis_keys.keys_of(seen.grant), *redis_keys.usage_keys(seen.grant)),
            self._mark(),
            seen.sid,
            moment_ms(due),
            span_ms(redis_keys.KEEP),
            seen.extended(expire_time).grant.pack(),
            State.ACTIVE,
            token,
            epoch,
            parse=lambda answer: (
                record_encoding.returned_if_any(seen.sid, answer[1]),
                bool(answer[0]),
            ),
        )

    async def report(self, upload: Upload, numbers: Collection[int]) -> Upload | None:
        token, *_ = record_encoding.sight(upload)
        return await self._records.run(
            "report",
            upload.sid,
            (redis_keys.row_key(upload.sid),),
            upload.sid,
            token,
            State.ACTIVE,
            *chain.from_iterable(spans(upload.grant.plan, numbers)),
            parse=lambda row: record_encoding.returned_if_any(upload.sid, row),
        )

    def changes(self, *sids: str) -> AbstractContextManager[Wakeup]:
        return self._changes.of(*sids)

    async def remove(self, sid: str, epoch: int) -> bool:
        # The record names its caller, and thereby its index. The caller never changes, so there is
        # no race between this read and the script.
        row = await self.get(sid)
        if row is None:
            return True
        position = redis_keys.position(row.grant.create_time, sid)
        keys = *redis_keys.keys_of(row.grant), *redis_keys.usage_keys(row.grant)
        entry = record_encoding.usage_entry(row.grant)
        return bool(await self._run("remove", keys, sid, epoch, position, entry))

    async def take_due(self, limit: int, again: timedelta) -> Sequence[str]:
        return await self._due.take(limit, again)

    async def peek_due(self, limit: int) -> Sequence[str]:
        return await self._due.peek(limit)

    async def first_due(self) -> datetime | None:
        return await self._due.first()

    async def list_uploads(
        self, caller: Caller, wanted: UploadFilter, *, before: Cursor | None = None, limit: int
    ) -> tuple[Sequence[Upload], Cursor | None]:
        return await self._listing.page(caller, wanted, before, limit)

    async def ping(self) -> None:
        await self._client.ping()

    async def time(self) -> datetime:
        theirs = await self._client.time()
        return self._clock.now() if self._clock else theirs

    async def usage(self, caller: Caller) -> CallerUsage:
        return await self._usage.of(caller, day_of(self._moment()))

    async def reconcile_usage(self, limit: int) -> int:
        return await self._usage.reconcile(limit)

    async def take_tokens(
        self, bucket: Bucket, rate: Rate, needed: int, welcome: int
    ) -> tuple[int, float]:
        return await self._usage.take_tokens(bucket, rate, needed, welcome)

    async def check(self) -> None:
        await check_redis(self._client, self._topology, self._prepare)

    async def aclose(self) -> None:
        await self._changes.aclose()
        await self._topology.aclose()

    async def _prepare(self) -> None:
        """Spare the first calls what would cost them more round trips than later ones."""
        await self._scripts.load()
        await self._incarnations.learn()

    def _mark(self) -> bytes:
        return self._random_bytes(8)

    def _moment(self) -> datetime:
        """Return the time of an event."""
        return (self._clock or SystemClock()).now()

    async def _run(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        return await self._scripts.run(verb, keys, *args)
