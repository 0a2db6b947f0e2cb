"""Find the current master of a key: one Redis, one behind Sentinels, or a Cluster.

They differ only in how masters are found. Each is represented as ranges of hash slots with the
address of their master; a single server has all slots. Each master has its own connection pool, for
whose connections callers queue.

The Cluster client of redis-py is not used: it sends ASKING on one connection and the command that
it is for on another, follows ASK for scripts that must not (see `RedisCommand.whole`), and drops
the connections of all calls in progress when a slot moves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.crc import key_slot

from partway_server.domain.obstacle import Obstacle
from partway_server.redis_client.diagnosis import diagnose
from partway_server.redis_client.obstacles import (
    CLUSTER_COMMANDS,
    OBSTACLES,
    SENTINEL_COMMANDS,
    is_forbidden,
    rights,
    said,
    word_of,
    writes,
)
from partway_server.redis_client.urls import CLUSTER, Address, Deployment, deployment

SLOTS = 16384
"""https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/"""


@dataclass(frozen=True, slots=True)
class SlotRange:
    """The slots from `first` to `last`, and the address of their master."""

    first: int
    last: int
    master: Address


_MASTER_LOST = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    OSError,
)
"""After these errors, another server may be the master."""

_ON_THE_WAY = ("connect", "timeout", "no Redis")
"""Obstacles that another may be behind, such as TLS."""

Find = Callable[[], Awaitable[Sequence[SlotRange]]]


def connect(url: str, *, max_connections: int = 64) -> "RedisTopology":
    """Return the topology behind a URL as defined in `urls.py`, with short timeouts.

    It connects on first use. Options in the query of the URL override those here. Raises ValueError
    if the URL, or an option in it, is invalid.
    """
    named, look = deployment(url), partial(diagnose, url)
    if named is None:
        client = _client(url, max_connections=max_connections)
        return RedisTopology(find=_all_slots, client=lambda _: client, look=look)

    def master(address: Address) -> Redis:
        # In a Cluster a replica redirects every command of ours to its master.
        checked = {} if named.kind == CLUSTER else {"redis_connect_func": _check_role}
        return _client(named.server_url(address), max_connections=max_connections, **checked)

    # Built once now, so that an invalid URL is reported at once.
    master(named.addresses[0])
    if named.kind == CLUSTER:
        found, commands = _cluster(named), CLUSTER_COMMANDS
    else:
        found, commands = _behind_sentinels(named), SENTINEL_COMMANDS
    cluster = named.kind == CLUSTER
    return RedisTopology(find=found, client=master, cluster=cluster, look=look, commands=commands)


class RedisTopology:
    """The masters of a deployment, looked up on first use and again after any error of one.

    `look` returns what is at its addresses, as `diagnose` does; `commands` are those that are
    needed to find the masters.
    """

    def __init__(
        self,
        *,
        find: Find,
        client: Callable[[Address], Redis],
        cluster: bool = False,
        look: Callable[[], Awaitable[str]] | None = None,
        commands: Sequence[str] = (),
    ) -> None:
        self.cluster = cluster
        self._look = look
        self._commands = commands
        self._find = find
        self._client = client
        self._spans: Sequence[SlotRange] = ()
        self._moved: dict[int, Address] = {}
        self._clients: dict[Address, Redis] = {}
        self._is_known = False
        self._lookup_lock = asyncio.Lock()

    async def of(self, key: str) -> Redis:
        """Return the last known master of the key. Raises ClusterDownError if its slot has none."""
        await self._look_up()
        slot = key_slot(key.encode())
        for span in self._spans:
            if span.first <= slot <= span.last:
                return self.at(self._moved.get(slot, span.master))
        raise exceptions.ClusterDownError(f"slot {slot} has no server")

    async def masters(self) -> Sequence[Redis]:
        """Return every master."""
        await self._look_up()
        return [self.at(address) for address in {span.master: None for span in self._spans}]

    async def covered(self) -> int:
        """Return the number of slots that have a master."""
        await self._look_up()
        return sum(span.last - span.first + 1 for span in self._spans)

    def at(self, address: Address) -> Redis:
        """Return the client of the server at that address."""
        if address not in self._clients:
            self._clients[address] = self._client(address)
        return self._clients[address]

    async def learn(self, error: Exception, server: Redis | None) -> None:
        """Learn from an error of `server`: follow a move, or look the masters up again."""
        if isinstance(error, exceptions.MovedError):
            self._moved[error.slot_id] = self.place(error, server)
            return
        if not isinstance(error, _MASTER_LOST):
            return
        self._is_known = False
        if isinstance(error, exceptions.ReadOnlyError) and server is not None:
            # The host name may resolve to another server by now, so reconnect.
            await _drop_idle(server)

    def place(self, error: exceptions.AskError, server: Redis | None) -> Address:
        """Return the target of a redirection. Without a host, it is the host that redirected."""
        if error.host or server is None:
            return error.host, error.port
        return str(server.connection_pool.connection_kwargs["host"]), error.port

    async def obstacle(self, error: BaseException) -> Obstacle:
        """Return what is wrong, by an error and by a look at what is there."""
        if isinstance(error, exceptions.NoPermissionError) or is_forbidden(error):
            return self.rights(str(error))
        if found := writes(said(error)):
            return found
        word = word_of(error)
        if word in _ON_THE_WAY and self._look is not None:
            word = await self._look() or word
        return OBSTACLES[word]

    def rights(self, refusal: str) -> Obstacle:
        """Return what is wrong with a user to whom Redis said `refusal`."""
        return rights(f"its user lacks rights: {refusal}", *self._commands)

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def _look_up(self) -> None:
        if self._is_known:
            return
        async with self._lookup_lock:
            # Another call may have looked them up while this one waited.
            if self._is_known:
                return
            self._spans, self._moved, self._is_known = await self._find(), {}, True
            masters = {span.master for span in self._spans}
            # Only idle connections: calls in flight on the others end by themselves.
            for address in self._clients.keys() - masters:
                await _drop_idle(self._clients[address])


async def _all_slots() -> Sequence[SlotRange]:
    return [SlotRange(0, SLOTS - 1, ("", 0))]


def _behind_sentinels(named: Deployment) -> Find:
    """Return a lookup through Sentinels.

    It follows https://redis.io/docs/latest/develop/reference/sentinel-clients/, including the third
    step, ROLE, for each connection: a master that was demoted while idle would answer with stale
    records.
    """
    addresses = deque(named.addresses)

    async def find() -> Sequence[SlotRange]:
        found = await _first_answer(
            *("SENTINEL", "GET-MASTER-ADDR-BY-NAME", named.service),
            addresses=addresses,
            url=named.sentinel_url,
        )
        if found is None:
            raise MasterNotFoundError(f"Sentinel does not know the service {named.service}")
        host, port = found
        return [SlotRange(0, SLOTS - 1, (host.decode(), int(port)))]

    return find


def _cluster(named: Deployment) -> Find:
    """Return a lookup through Cluster nodes: the last known masters first, then the URL's."""
    addresses = deque(named.addresses)

    async def find() -> Sequence[SlotRange]:
        found = await _first_answer("CLUSTER", "SLOTS", addresses=addresses, url=named.server_url)
        asked = addresses[0]
        spans = [
            # A node that does not know or announce its host is the one that was asked.
            SlotRange(first, last, ((master[0] or b"").decode() or asked[0], int(master[1])))
            for first, last, master, *_ in found
        ]
        masters = [span.master for span in spans]
        addresses.clear()
        addresses.extend(dict.fromkeys([asked, *masters, *named.addresses]))
        return spans

    return find


async def _first_answer(
    *command: str, addresses: deque[Address], url: Callable[[Address], str]
) -> Any:
    """Return the answer of the first server that responds, and move it to the front of `addresses`.

    Each lookup begins with the next server, so that one whose answer was wrong is not asked again
    at once.
    """
    error_seen: Exception = exceptions.ConnectionError("no server to ask")
    for _ in range(len(addresses)):
        addresses.rotate(-1)
        client: Any = _client(url(addresses[0]), max_connections=1)
        try:
            return await client.execute_command(*command)
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
            error_seen = error
        finally:
            await client.aclose()
    raise error_seen


def _client(url: str, *, max_connections: int, **more: Any) -> Redis:
    # The peer of a Unix socket cannot disappear silently.
    if not url.startswith("unix:"):
        more |= {"socket_connect_timeout": 1.0, "socket_keepalive": True}
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=0.5,
        socket_timeout=1.0,
        # RedisClient retries, because it knows which server to use.
        retry=Retry(NoBackoff(), retries=0),
        **more,
    )
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as exc:
        raise ValueError("the query of the URL has an unknown option") from exc
    return Redis.from_pool(pool)


async def _check_role(connection: Any) -> None:
    await connection.on_connect()
    await connection.send_command("ROLE")
    role = await connection.read_response()
    if role[0] != b"master":
        raise exceptions.ConnectionError("the server is no longer a master")


async def _drop_idle(client: Redis) -> None:
    await client.connection_pool.disconnect(inuse_connections=False)
