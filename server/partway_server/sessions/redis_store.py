"""Sessions in Redis 7.0 or newer, or Valkey: one server, one behind Sentinels, or a Cluster.

Every change of a row is one script, and all that it touches is in one slot. A script takes its
time from Redis, or, if the store was given a clock, from the caller: one argument says which. A
reply can be lost after the script ran, and it is then sent again; so each change carries a random
mark, the row keeps the last one, and a script that finds its own mark answers as it did before.

A failover can lose what was acknowledged, for replicas follow late, and it goes on by the clock of
another machine. So a row can be put back to any earlier state, and a lease can be long over, or run
on, by as much as the clocks differ. Then two workers may hold one Upload, and both may ask storage;
what they tell and record is what storage shows, as after any loss of Redis. The epoch of the later
claim is the higher one: it is the time or, where a clock was ahead, one more than the last. Only
where a failover brings a clock that is behind by more than the failover took, and the claim that is
lost was the last, may an epoch come twice; and then storage decides as well. For that reason no
WAIT follows a claim: it would cost each of them another round trip to a replica, fail where there
is none, and still be no proof, as its documentation says (https://redis.io/docs/latest/commands/wait/).

What scripts change, they tell on one channel (see `redis_changes.py`). Nothing rests on that.

A Redis user needs the keys `partway:*`, the channel `partway:changes`, and the commands evalsha,
script|load, hgetall, zrange, subscribe, publish, ping and info, and those that the scripts use;
behind Sentinels role, and in a Cluster cluster|slots and asking. A user of a Sentinel needs
sentinel|get-master-addr-by-name.
"""

import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError

from partway_server.domain.clock import Clock, SystemClock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.events import Telling, type_of
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import CLAIMS, FINISHES, LEASED, Caller, State, Upload
from partway_server.redis_client.client import Calls, Command, script
from partway_server.redis_client.topology import SLOTS, Servers
from partway_server.sessions import redis_keys as rows
from partway_server.sessions.base import AFTER_LEASE, Cursor
from partway_server.sessions.notifications import Wakeup
from partway_server.sessions.redis_notifications import RedisChanges

_SCAN = 100
"""The most rows of a shard that one page looks at."""

_VERBS = (
    *("insert", "claim", "renew", "put_off", "finish", "report", "remove"),
    *("take_due", "list_own", "incarnation"),
)

_SKEW_MS = 5_000
"""How much the clocks of two servers, or of one and ours, may differ."""

_WHOLE = frozenset({"take_due", "list_own"})
"""They find rows through an index, and take those that are missing off it."""

_MODES = {
    "cluster": "is a node of a Cluster: write redis+cluster://HOST:PORT,HOST:PORT",
    "sentinel": "is a Sentinel: write redis+sentinel://HOST:PORT,HOST:PORT/SERVICE",
}
"""What a server says it is, where one Redis is expected, and what to do about it."""


class RedisSessionStore:
    """Rows in Redis. The store closes `servers`.

    `patience` is how long a command may take with all its retries, in seconds.
    """

    def __init__(
        self,
        servers: Servers,
        *,
        clock: Clock | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        patience: float = 2.5,
        telling: Telling | None = None,
    ) -> None:
        self._servers = servers
        self._clock = clock
        self._telling = telling or Telling()
        self._random_bytes = random_bytes
        # By shard: the start of the server that answered last, and since when we know it.
        self._incarnations: dict[int, tuple[bytes, int]] = {}
        self._calls = Calls(servers=servers, patience=patience)
        self._changes = RedisChanges(servers=servers)
        self._scripts = {
            verb: script("sessions/scripts/prelude.lua", f"sessions/scripts/{verb}.lua")
            for verb in _VERBS
        }

    async def insert(
        self, upload: Upload, due: datetime, lease: timedelta | None = None
    ) -> tuple[Upload, bool]:
        held = lease if upload.state in LEASED else None
        event = self._telling.inserted(upload, self._moment())
        stored, row = await self._run(
            "insert",
            rows.change_keys(upload.grant),
            self._mark(),
            upload.sid,
            rows.position(upload.grant.create_time, upload.sid),
            rows.moment_ms(due),
            rows.span_ms(rows.KEEP),
            "" if held is None else rows.span_ms(held),
            # What is not told again counts as told.
            type_of(upload),
            rows.span_ms(self._telling.keep),
            *rows.told(event),
            *rows.flat(rows.fields(upload)),
        )
        return _upload(row), bool(stored)

    async def get(self, sid: str) -> Upload | None:
        key = rows.row_key(sid)
        row = await self._calls.run(Command(key, ("HGETALL", key)))
        return rows.upload_from(row) if row else None

    async def is_current(self, upload: Upload) -> bool:
        run_id, now = await self._run("incarnation", (rows.row_key(upload.sid),))
        shard = rows.shard_of(upload.sid)
        known, since = self._incarnations.get(shard, (b"", 0))
        if run_id != known:
            # It may have begun from an old copy, or be a replica that had fallen behind.
            since = now + (0 if self._clock else _SKEW_MS)
            self._incarnations[shard] = run_id, since
        return upload.epoch >= since

    async def claim(
        self,
        sid: str,
        target: State,
        lease: timedelta,
        manifest: bytes | None = None,
        *,
        seen: Upload | None = None,
    ) -> tuple[Upload | None, bool]:
        claimed, row = await self._run(
            "claim",
            rows.claim_keys(sid),
            self._mark(),
            sid,
            target,
            rows.span_ms(lease),
            rows.span_ms(AFTER_LEASE),
            b"" if manifest is None else b"=" + manifest,
            rows.words(CLAIMS.get(target, ())),
            rows.words(LEASED),
            *(rows.sight(seen) if seen else ("", "", "")),
        )
        return _upload(row) if row else None, bool(claimed)

    async def renew(self, sid: str, epoch: int, lease: timedelta) -> bool:
        renewed = await self._run(
            "renew",
            rows.claim_keys(sid),
            self._mark(),
            sid,
            epoch,
            rows.span_ms(lease),
            rows.span_ms(AFTER_LEASE),
            rows.words(LEASED),
        )
        return bool(renewed)

    async def put_off(self, sid: str, epoch: int, due: datetime) -> bool:
        keys = rows.claim_keys(sid)
        return bool(await self._run("put_off", keys, sid, epoch, rows.moment_ms(due)))

    async def finish(self, upload: Upload, due: datetime) -> bool:
        outcome = rows.fields(upload)
        for kept in ("epoch", "fingerprint", "digest", "metadata"):
            del outcome[kept]
        finished = await self._run(
            "finish",
            rows.change_keys(upload.grant),
            self._mark(),
            upload.sid,
            upload.epoch,
            rows.moment_ms(due),
            rows.span_ms(rows.KEEP),
            rows.words(state for state, outcomes in FINISHES.items() if upload.state in outcomes),
            rows.span_ms(self._telling.keep),
            *rows.told(self._telling.finished(upload, self._moment())),
            *rows.flat(outcome),
        )
        return bool(finished)

    async def report(self, upload: Upload, numbers: Collection[int]) -> Upload | None:
        token, *_ = rows.sight(upload)
        row = await self._run(
            "report",
            (rows.row_key(upload.sid),),
            upload.sid,
            token,
            State.ACTIVE,
            *chain.from_iterable(rows.spans(upload.grant.plan, numbers)),
        )
        return _upload(row) if row else None

    def changes(self, *sids: str) -> AbstractContextManager[Wakeup]:
        return self._changes.of(*sids)

    async def remove(self, sid: str, epoch: int) -> bool:
        # The row names its caller, and so the index it is in. That never changes, so that there
        # is no race between reading it and the script.
        row = await self.get(sid)
        if row is None:
            return True
        position = rows.position(row.grant.create_time, sid)
        return bool(await self._run("remove", rows.keys_of(row.grant), sid, epoch, position))

    async def take_due(self, limit: int, again: timedelta) -> Sequence[str]:
        heads = await self._each_shard(_head)
        waiting = sorted(
            (score, shard) for shard, head in enumerate(heads) for _, score in _scored(head)
        )
        taken: list[str] = []
        now = float("inf")
        trouble: SessionsUnavailable | None = None
        for head, shard in waiting:
            if len(taken) == limit or head > now:
                break
            try:
                now, sids = await self._run(
                    "take_due",
                    (rows.due_key(shard),),
                    limit - len(taken),
                    rows.span_ms(again),
                    rows.row_prefix(shard),
                )
            except SessionsUnavailable as exc:
                # What was taken is put off already; and a shard that is moving, which may last,
                # is not to hold up the others.
                trouble = exc
                continue
            taken += (sid.decode() for sid in sids)
        if trouble is not None and not taken:
            raise trouble
        return taken

    async def peek_due(self, limit: int) -> Sequence[str]:
        [server, *_] = await self._calls.masters()
        seconds, micros = await self._calls.ask(server.time)
        now = self._now() or seconds * 1000 + micros // 1000

        def ask(shard: int) -> Command:
            key = rows.due_key(shard)
            words = ("ZRANGE", key, "-inf", now, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES")
            return Command(key, words)

        found = (entry for answer in await self._each_shard(ask) for entry in _scored(answer))
        waiting = sorted((due, sid) for sid, due in found)
        return [sid.decode() for _, sid in waiting[:limit]]

    async def list_uploads(
        self, caller: Caller, wanted: UploadFilter, *, before: Cursor | None = None, limit: int
    ) -> tuple[Sequence[Upload], Cursor | None]:
        lowest, highest = rows.bounds(before, wanted.created_from, wanted.created_before)
        # Sids are random: a shard holds about one in 64 of a page, hardly ever eight more.
        share = limit // rows.SHARDS + 8

        def ask(shard: int) -> Command:
            args = (rows.row_prefix(shard), lowest, highest, share, _SCAN)
            chosen = (wanted.state or "", wanted.fingerprint, wanted.policy)
            return self._command("list_own", (rows.own_key(shard, caller),), *args, *chosen)

        return _page(await self._each_shard(ask), limit, wanted.policy)

    async def check(self) -> None:
        try:
            for server in await self._calls.masters():
                await self._check_server(server)
            missing = SLOTS - await self._servers.covered()
        except exceptions.ResponseError as exc:
            raise ValueError(f"Redis does not take the URL: {exc}") from exc
        except SessionsUnavailable as exc:
            if isinstance(cause := exc.__cause__, exceptions.NoPermissionError):
                raise ValueError(f"the Redis user may not run all that is needed: {cause}") from exc
            if isinstance(exc.__cause__, exceptions.AuthenticationError):
                raise ValueError("Redis refuses the user name or password of its URL") from exc
            if isinstance(exc.__cause__, MasterNotFoundError):
                raise ValueError(str(exc.__cause__)) from exc
            raise
        if missing:
            raise ValueError(f"{missing} of the {SLOTS} slots of the Redis Cluster have no server")

    async def _check_server(self, server: Redis) -> None:
        await self._calls.ask(server.ping)
        info = await self._calls.ask(lambda: server.info("server"))
        # Valkey has another name for it.
        mode = info.get("redis_mode") or info.get("server_mode", "")
        if mode in _MODES and not self._servers.cluster:
            raise ValueError(f"Redis {_MODES[mode]}")
        version = str(info["redis_version"])
        if int(version.partition(".")[0]) < 7:
            raise ValueError(f"Redis {version} is too old: run 7.0 or newer, or Valkey")
        memory = await self._calls.ask(lambda: server.info("memory"))
        # Some hosted services do not tell it.
        policy = memory.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise ValueError(
                f"Redis may evict rows (maxmemory-policy {policy}):"
                " set maxmemory-policy to noeviction, or give Partway a Redis of its own with it"
            )
        # Scripts go on without the right to it, and watches would be slow with nobody knowing why.
        await self._calls.ask(lambda: server.publish(rows.CHANGES, ""))

    async def aclose(self) -> None:
        await self._changes.aclose()
        await self._servers.aclose()

    def _mark(self) -> bytes:
        return self._random_bytes(8)

    def _moment(self) -> datetime:
        """When an event is told."""
        return (self._clock or SystemClock()).now()

    def _now(self) -> int | str:
        return "" if self._clock is None else rows.moment_ms(self._clock.now())

    async def _run(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        return await self._calls.run(self._command(verb, keys, *args))

    def _command(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> Command:
        script = self._scripts[verb]
        words = ("EVALSHA", script.sha, len(keys), *keys, self._now(), *args)
        return Command(keys[0], words, script=script.source, whole=verb in _WHOLE)

    async def _each_shard(self, ask: Callable[[int], Command]) -> list[Any]:
        """The answers of all shards to what `ask` asks them, shard by shard."""
        return await self._calls.run_all([ask(shard) for shard in range(rows.SHARDS)])


def _head(shard: int) -> Command:
    """What is due first in a shard."""
    key = rows.due_key(shard)
    return Command(key, ("ZRANGE", key, 0, 0, "WITHSCORES"))


def _scored(answer: Sequence[Any]) -> Iterator[tuple[bytes, float]]:
    """The members of a sorted set with their scores: pairs in RESP3, one after another in RESP2."""
    pairs = (
        answer
        if answer and isinstance(answer[0], list)
        else zip(answer[::2], answer[1::2], strict=True)
    )
    for member, score in pairs:
        yield member, float(score)


def _upload(row: Sequence[bytes]) -> Upload:
    """The Upload in a row as scripts answer it."""
    return rows.upload_from(rows.unflat(row))


def _page(answers: Sequence[Any], limit: int, policy: str) -> tuple[list[Upload], Cursor | None]:
    """The newest of what the shards found, and where the next page begins.

    A shard that was not read to its end says nothing about what is older than where it stopped:
    what the others found beyond that point is left for the next page.

    Rows of an older version do not say their policy, so that scripts let them pass.
    """
    horizon = max(stopped for stopped, _ in answers)
    found = [entry for _, entries in answers for entry in entries if entry[0] >= horizon]
    found.sort(key=lambda entry: entry[0], reverse=True)
    if len(found) > limit:
        horizon = found[limit - 1][0]
    cursor = rows.cursor_at(horizon.decode()) if horizon else None
    page = [_upload(row) for _, row in found[:limit]]
    return [upload for upload in page if policy in ("", upload.grant.policy)], cursor
