"""Sessions in Redis 7.0 or newer, or Valkey: one server, or one behind an address that follows it.

A failover is waited out where the address stays and what it points to changes. The keys are laid
out for Cluster, a shard to a slot, but this client speaks neither Cluster nor Sentinel.

Every change of a row is one script. A script takes its time from Redis, or, if the store was
given a clock, from the caller: one argument says which. A reply can be lost after the script ran,
and redis-py then sends it again; so each change carries a random mark, the row keeps the last
one, and a script that finds its own mark answers as it did before.

A Redis user needs the keys `partway:*` and the commands evalsha, script|load, hgetall, zrange, ping
and info, and those that the scripts use.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from partway_server.clock import Clock
from partway_server.errors import SessionsUnavailable
from partway_server.sessions import redis_rows as rows
from partway_server.sessions.base import AFTER_LEASE, Cursor
from partway_server.uploads import CLAIMS, FINISHES, LEASED, Caller, State, Upload

_SCAN = 100
"""The most rows of a shard that one page looks at."""

_VERBS = ("insert", "claim", "renew", "finish", "remove", "take_due", "list_own", "incarnation")

_SKEW_MS = 5_000
"""How much the clocks of two servers, or of one and ours, may differ."""

_UNAVAILABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterError,
    exceptions.TryAgainError,
    exceptions.SlotNotCoveredError,
    exceptions.InvalidResponse,
    OSError,
)

_UNAVAILABLE_CODES = ("BUSY ", "MISCONF ", "NOREPLICAS ")
"""Answers of a server that will not write now, for which redis-py has no class."""


def connect(url: str, *, max_connections: int = 64) -> Redis:
    """A client for redis://, rediss:// or unix:// that would rather fail than make a call wait.

    Connects when first used. Options in the query of the URL go before those here. Raises
    ValueError if the URL, or an option in it, is none.
    """
    # A unix socket has nobody at the other end who could be gone without a word.
    tcp = (
        {} if url.startswith("unix:") else {"socket_connect_timeout": 1.0, "socket_keepalive": True}
    )
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=0.5,
        socket_timeout=1.0,
        retry=Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.2), retries=2),
        # After a failover: the retry connects anew, to where the name points by then.
        retry_on_error=[exceptions.ReadOnlyError],
        **tcp,
    )
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as exc:
        raise ValueError("an option in the query of the URL is unknown") from exc
    return Redis.from_pool(pool)


class RedisSessions:
    """Rows in Redis. `redis` must not decode responses; the store closes it.

    `patience` is how long a command may take with all its retries, in seconds.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        clock: Clock | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        patience: float = 2.5,
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._random_bytes = random_bytes
        self._patience = patience
        # By shard: the start of the server that answered last, and since when we know it.
        self._incarnations: dict[int, tuple[bytes, int]] = {}
        self._scripts = {verb: redis.register_script(_source(verb)) for verb in _VERBS}

    async def insert(
        self, upload: Upload, due: datetime, lease: timedelta | None = None
    ) -> tuple[Upload, bool]:
        held = lease if upload.state in LEASED else None
        stored, row = await self._run(
            "insert",
            rows.keys_of(upload.grant),
            self._mark(),
            upload.sid,
            rows.position(upload.grant.create_time, upload.sid),
            rows.moment_ms(due),
            rows.span_ms(rows.KEEP),
            "" if held is None else rows.span_ms(held),
            *rows.flat(rows.fields(upload)),
        )
        return _upload(row), bool(stored)

    async def get(self, sid: str) -> Upload | None:
        row = await self._answer(self._redis.hgetall(rows.row_key(sid)))
        return rows.upload_from(row) if row else None

    async def vouches(self, upload: Upload) -> bool:
        run_id, now = await self._run("incarnation", (rows.row_key(upload.sid),))
        shard = rows.shard_of(upload.sid)
        known, since = self._incarnations.get(shard, (b"", 0))
        if run_id != known:
            # It may have begun from an old copy, or be a replica that had fallen behind.
            since = now + (0 if self._clock else _SKEW_MS)
            self._incarnations[shard] = run_id, since
        return upload.epoch >= since

    async def claim(
        self, sid: str, target: State, lease: timedelta, manifest: bytes | None = None
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

    async def finish(self, upload: Upload, due: datetime) -> bool:
        outcome = rows.fields(upload)
        for kept in ("epoch", "fingerprint", "digest"):
            del outcome[kept]
        finished = await self._run(
            "finish",
            rows.keys_of(upload.grant),
            self._mark(),
            upload.sid,
            upload.epoch,
            rows.moment_ms(due),
            rows.span_ms(rows.KEEP),
            rows.words(state for state, outcomes in FINISHES.items() if upload.state in outcomes),
            *rows.flat(outcome),
        )
        return bool(finished)

    async def remove(self, sid: str, epoch: int) -> bool:
        # The row names its caller, and so the index it is in. That never changes, so that there
        # is no race between reading it and the script.
        row = await self.get(sid)
        if row is None:
            return True
        position = rows.position(row.grant.create_time, sid)
        return bool(await self._run("remove", rows.keys_of(row.grant), sid, epoch, position))

    async def take_due(self, limit: int, again: timedelta) -> Sequence[str]:
        heads = await self._each_shard(
            lambda pipe, shard: pipe.zrange(rows.due_key(shard), 0, 0, withscores=True)
        )
        waiting = sorted((head[0][1], shard) for shard, head in enumerate(heads) if head)
        taken: list[str] = []
        now = float("inf")
        for head, shard in waiting:
            if len(taken) == limit or head > now:
                break
            now, sids = await self._run(
                "take_due",
                (rows.due_key(shard),),
                limit - len(taken),
                rows.span_ms(again),
                rows.row_prefix(shard),
            )
            taken += (sid.decode() for sid in sids)
        return taken

    async def peek_due(self, limit: int) -> Sequence[str]:
        seconds, micros = await self._answer(self._redis.time())
        now = self._now() or seconds * 1000 + micros // 1000
        shards = await self._each_shard(
            lambda pipe, shard: pipe.zrange(
                rows.due_key(shard), "-inf", now, byscore=True, offset=0, num=limit, withscores=True
            )
        )
        waiting = sorted((due, sid) for found in shards for sid, due in found)
        return [sid.decode() for _, sid in waiting[:limit]]

    async def list_uploads(
        self,
        caller: Caller,
        *,
        state: State | None,
        fingerprint: str,
        before: Cursor | None,
        limit: int,
    ) -> tuple[Sequence[Upload], Cursor | None]:
        bound = f"({rows.position(before.create_time, before.sid)}" if before else "+"
        # Sids are random: a shard holds about one in 64 of a page, hardly ever eight more.
        wanted = limit // rows.SHARDS + 8

        script = self._scripts["list_own"]

        def ask(pipe: Any, shard: int) -> None:
            args = (rows.row_prefix(shard), bound, wanted, _SCAN, state or "", fingerprint)
            # As a bare command: a pipeline for Cluster has a method for it, but refuses it.
            pipe.execute_command(
                "EVALSHA", script.sha, 1, rows.own_key(shard, caller), self._now(), *args
            )

        try:
            answers = await self._each_shard(ask)
        except exceptions.NoScriptError:
            await self._answer(self._redis.script_load(script.script))
            answers = await self._each_shard(ask)
        return _page(answers, limit)

    async def check(self) -> None:
        try:
            await self._answer(self._redis.ping())
            server = await self._answer(self._redis.info("server"))
            memory = await self._answer(self._redis.info("memory"))
        except exceptions.NoPermissionError as exc:
            raise ValueError("the Redis user may not run PING and INFO: add +ping +info") from exc
        except exceptions.ResponseError as exc:
            raise ValueError(f"Redis does not take the URL: {exc}") from exc
        except SessionsUnavailable as exc:
            if isinstance(exc.__cause__, exceptions.AuthenticationError):
                raise ValueError("Redis refuses the user name or password of its URL") from exc
            raise
        # The first is what Redis calls it, the second Valkey.
        if "cluster" in (server.get("redis_mode"), server.get("server_mode")):
            raise ValueError(
                "Redis Cluster is not supported yet by this client: give Partway one Redis or"
                " Valkey without cluster mode"
            )
        version = str(server["redis_version"])
        if int(version.partition(".")[0]) < 7:
            raise ValueError(f"Redis {version} is too old: run 7.0 or newer, or Valkey")
        # Some hosted services do not tell it.
        policy = memory.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            raise ValueError(
                f"Redis may evict rows (maxmemory-policy {policy}):"
                " set maxmemory-policy to noeviction, or give Partway a Redis of its own with it"
            )

    async def aclose(self) -> None:
        await self._redis.aclose()

    def _mark(self) -> bytes:
        return self._random_bytes(8)

    def _now(self) -> int | str:
        return "" if self._clock is None else rows.moment_ms(self._clock.now())

    async def _run(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> Any:
        return await self._answer(self._scripts[verb](keys=keys, args=(self._now(), *args)))

    async def _each_shard(self, ask: Callable[[Any, int], object]) -> list[Any]:
        """The answers of all shards to what `ask` puts into a pipeline, shard by shard."""
        pipe = self._redis.pipeline(transaction=False)
        for shard in range(rows.SHARDS):
            ask(pipe, shard)
        answers: list[Any] = await self._answer(_executed(pipe))
        return answers

    async def _answer(self, call: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._patience):
                return await call
        except _UNAVAILABLE as exc:
            raise SessionsUnavailable from exc
        except exceptions.ResponseError as exc:
            if str(exc).startswith(_UNAVAILABLE_CODES):
                raise SessionsUnavailable from exc
            raise


def _source(verb: str) -> str:
    scripts = files("partway_server.sessions")
    parts = (scripts.joinpath(f"{name}.lua").read_text("utf-8") for name in ("prelude", verb))
    return "\n".join(parts)


async def _executed(pipe: Any) -> list[Any]:
    answers: list[Any] = await pipe.execute(raise_on_error=False)
    for answer in answers:
        if isinstance(answer, Exception):
            # As the server said it: what the pipeline raises of itself says it in other words.
            raise answer
    return answers


def _upload(row: Sequence[bytes]) -> Upload:
    """The Upload in a row as scripts answer it."""
    return rows.upload_from(rows.unflat(row))


def _page(answers: Sequence[Any], limit: int) -> tuple[list[Upload], Cursor | None]:
    """The newest of what the shards found, and where the next page begins.

    A shard that was not read to its end says nothing about what is older than where it stopped:
    what the others found beyond that point is left for the next page.
    """
    horizon = max(stopped for stopped, _ in answers)
    found = [entry for _, entries in answers for entry in entries if entry[0] >= horizon]
    found.sort(key=lambda entry: entry[0], reverse=True)
    if len(found) > limit:
        horizon = found[limit - 1][0]
    cursor = rows.cursor_at(horizon.decode()) if horizon else None
    return [_upload(row) for _, row in found[:limit]], cursor
