"""The delivery state of webhooks in Redis, all of a shard in one slot.

Each webhook is a consumer group of the event streams. An event that was read into the group and not
yet settled is pending, and stays so through the death of its process. All processes share one
consumer name, for a lease decides who works a shard; the mark of the lease is new for each process
that takes it, so that none trusts what it remembers from before another one had the shard.

In a Cluster some shards may answer while others do not. Those are `away`, and hold up no one who
asks for the others.

Settling and giving up need no lease: an event that was delivered is delivered, wherever the lease
is by now. Every call is idempotent.

A Redis user needs XREAD and XRANGE for this, in addition to what `sessions.redis_store` lists.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from partway_server.domain.clock import Clock
from partway_server.domain.errors import SessionsUnavailable
from partway_server.events.retry_schedule import RetryState
from partway_server.events.stored_deliveries import (
    DeadLetter,
    LeasedShard,
    dead_letter,
    leased_shard,
)
from partway_server.redis_client.client import RedisClient, RedisCommand
from partway_server.redis_client.scripts import load_script
from partway_server.redis_client.topology import RedisTopology
from partway_server.sessions import redis_keys as rows
from partway_server.sessions.key_types import retry_mistyped

KEEP_DEAD = timedelta(days=30)
"""How long a dead letter is kept."""

_KEEP = timedelta(days=31)
"""How long leases and retry states outlive their last use. Housekeeping: decides nothing."""

_VERBS = ("take", "settle", "postpone", "bury", "revive", "join", "release")

_LISTED = 1000

_WORKERS = 0
"""The shard that lists the workers of a webhook."""


class DeliveryQueue:
    """The deliveries in Redis. Closes `servers`.

    `owner` names this process, and never another; a `clock` replaces that of Redis. `away` are the
    shards that did not answer, until they are taken again. Calls about one event or letter raise
    SessionsUnavailable.
    """

    def __init__(
        self,
        servers: RedisTopology,
        *,
        owner: str,
        clock: Clock | None = None,
        patience: float = 2.5,
    ) -> None:
        self.owner = owner
        self.away: set[int] = set()
        self._servers = servers
        self._clock = clock
        self._calls = RedisClient(topology=servers, patience=patience)
        self._scripts = {
            verb: load_script(
                "sessions/scripts/prelude.lua",
                "events/scripts/prelude.lua",
                f"events/scripts/{verb}.lua",
                # Deliveries free memory, and what they write is small.
                allow_oom=True,
            )
            for verb in _VERBS
        }

    async def join(self, webhook: str, lease: timedelta) -> Sequence[str] | None:
        """Register this process as a worker of the webhook for the length of the lease.

        Return all workers, or None while the shard that lists them is away.
        """
        if _WORKERS in self.away:
            return None
        key = rows.webhook_key(_WORKERS, "workers", webhook)
        command = self._command("join", (key,), self.owner, rows.span_ms(lease))
        [found] = await self._run_each([command], [key])
        if isinstance(found, SessionsUnavailable):
            self.away.add(_WORKERS)
            return None
        return [owner.decode(errors="replace") for owner in found]

    async def take(
        self,
        webhook: str,
        wanted: Mapping[int, tuple[str, str, datetime | None]],
        *,
        new_mark: str,
        lease: timedelta,
        most: int,
    ) -> dict[int, LeasedShard | None]:
        """Take or renew the leases of shards, and read what is new in them.

        A shard is None in the result if another process has it, and missing if it is away. `wanted`
        has by shard the known mark and place, and where the webhook begins if it has no group there
        yet; None begins with everything that is kept. At most `most` events may be pending.
        """
        commands = [
            self._command(
                "take",
                _keys(shard, "lease events tries dead", webhook),
                self.owner,
                new_mark,
                mark,
                rows.span_ms(lease),
                rows.span_ms(_KEEP),
                _group(webhook),
                "0" if since is None else f"{max(rows.moment_ms(since), 0)}-0",
                place,
                most,
            )
            for shard, (mark, place, since) in wanted.items()
        ]
        keys = [key for shard in wanted for key in _keys(shard, "lease events tries dead", webhook)]
        answers = zip(wanted, await self._run_each(commands, keys), strict=True)
        found = {s: leased_shard(a) for s, a in answers if not isinstance(a, SessionsUnavailable)}
        self.away |= wanted.keys() - found.keys()
        self.away -= found.keys()
        return found

    async def release(self, webhook: str, shards: Collection[int]) -> None:
        """Release our leases. Where Redis does not answer, they run out."""
        await self._calls.run_each(
            [
                self._command("release", _keys(shard, "lease", webhook), self.owner)
                for shard in shards
            ]
        )

    async def changed_shards(self, seen: Mapping[int, str]) -> set[int]:
        """Return the shards whose stream has more than the id that was seen."""
        shards, found = list(seen), set[str]()
        # One server with all slots answers for all shards in one call.
        together = [[shard] for shard in shards] if self._servers.cluster else [shards]
        together = [each for each in together if each]
        commands = [_read({rows.events_key(s): seen[s] for s in each}) for each in together]
        answers = await self._run_each(commands, [rows.events_key(shard) for shard in shards])
        for each, answer in zip(together, answers, strict=True):
            if isinstance(answer, SessionsUnavailable):
                self.away.update(each)
            else:
                found.update(k if isinstance(k, str) else k.decode() for k in _names(answer))
        return {shard for shard in shards if rows.events_key(shard) in found}

    async def body(self, shard: int, place: str) -> str | None:
        """Return the CloudEvent at that place, None if the stream no longer has it."""
        key = rows.events_key(shard)
        found = await self._run(shard, RedisCommand(key, ("XRANGE", key, place, place)))
        if not found:
            return None
        text: bytes = found[0][1][b"event"]
        return text.decode()

    async def settle(self, webhook: str, shard: int, places: Sequence[str]) -> None:
        """Mark these deliveries as done: delivered, or not wanted."""
        if places:
            keys = _keys(shard, "events tries", webhook)
            await self._run(shard, self._command("settle", keys, _group(webhook), *places))

    async def postpone(self, webhook: str, shard: int, place: str, tries: RetryState) -> None:
        """Record a failure and when to retry. Ignored unless this process has the lease."""
        keys = _keys(shard, "lease tries", webhook)
        args = (self.owner, rows.span_ms(_KEEP), place, tries.pack())
        await self._run(shard, self._command("postpone", keys, *args))

    async def bury(self, webhook: str, shard: int, place: str, attempts: int, why: str) -> None:
        """Give a delivery up, and make it a dead letter."""
        keys = _keys(shard, "events tries dead", webhook)
        args = (_group(webhook), place, rows.span_ms(KEEP_DEAD), attempts, why)
        await self._run(shard, self._command("bury", keys, *args))

    async def dead_letters(self, webhook: str) -> list[DeadLetter]:
        """Return all dead letters of a webhook, the oldest first."""
        found: list[DeadLetter] = []
        for shard in range(rows.SHARDS):
            key, after = rows.dead_key(shard, webhook), "-"
            while page := await self._calls.run(
                RedisCommand(key, ("XRANGE", key, after, "+", "COUNT", _LISTED))
            ):
                found += filter(None, (dead_letter(webhook, shard, *entry) for entry in page))
                after = f"({page[-1][0].decode()}"
        return sorted(found, key=lambda letter: int(letter.place.partition("-")[0]))

    async def revive(self, letter: DeadLetter) -> bool:
        """Put a dead letter back for delivery, and return whether it was still there."""
        keys = _keys(letter.shard, "dead events", letter.webhook)
        return bool(
            await self._calls.run(self._command("revive", keys, letter.place, letter.webhook))
        )

    async def aclose(self) -> None:
        await self._servers.aclose()

    async def _run_each(self, commands: Sequence[RedisCommand], keys: Iterable[str]) -> list[Any]:
        return await retry_mistyped(self._calls, keys, lambda: self._calls.run_each(commands))

    async def _run(self, shard: int, command: RedisCommand) -> Any:
        keys = [word for word in command.words if isinstance(word, str) and rows.is_key(word)]
        try:
            return await retry_mistyped(self._calls, keys, lambda: self._calls.run(command))
        except SessionsUnavailable:
            self.away.add(shard)
            raise

    def _command(self, verb: str, keys: Sequence[str], *args: str | bytes | int) -> RedisCommand:
        now = "" if self._clock is None else rows.moment_ms(self._clock.now())
        known = self._scripts[verb]
        words = ("EVALSHA", known.sha, len(keys), *keys, now, *args)
        return RedisCommand(keys[0], words, script=known.source)


def _keys(shard: int, kinds: str, webhook: str) -> list[str]:
    own = {"events": rows.events_key(shard), "dead": rows.dead_key(shard, webhook)}
    return [own.get(kind) or rows.webhook_key(shard, kind, webhook) for kind in kinds.split()]


def _group(webhook: str) -> str:
    return f"webhook:{webhook}"


def _read(seen: Mapping[str, str]) -> RedisCommand:
    keys = tuple(seen)
    return RedisCommand(keys[0], ("XREAD", "COUNT", 1, "STREAMS", *keys, *seen.values()))


def _names(answer: Any) -> list[Any]:
    """Return the keys in a reply to XREAD: a map in RESP3, pairs in RESP2."""
    return list(answer) if isinstance(answer, dict) else [key for key, _ in answer or ()]
