"""From a key to the server that is its master now: one Redis, one behind Sentinels, or a Cluster.

What differs is how masters are found, and nothing else. All three come as spans of hash slots with
the address of their master; one server has all slots. Each master has a pool of connections of its
own, whose callers wait for their turn.

redis-py has a client for Cluster, which is not used: it sends ASKING on one connection and the
command that it is for on another, follows ASK for scripts that must not (see `Command.whole`), and
drops the connections of all calls in progress when a slot moves.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.crc import key_slot

from partway_server.redis_client.urls import CLUSTER, Address, Deployment, deployment

SLOTS = 16384
"""https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/"""


@dataclass(frozen=True, slots=True)
class SlotRange:
    """The slots from `first` to `last`, and where their master is."""

    first: int
    last: int
    master: Address


_GONE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    OSError,
)
"""After these, the master may be another."""

Find = Callable[[], Awaitable[Sequence[SlotRange]]]


def connect(url: str, *, max_connections: int = 64) -> "RedisTopology":
    """The servers of a URL as `redis_urls` has them, which rather fail than make a call wait.

    Nothing is asked before the first use. Options in the query of the URL go before those here.
    Raises ValueError if the URL, or an option in it, is none.
    """
    named = deployment(url)
    if named is None:
        client = _client(url, max_connections=max_connections)
        return RedisTopology(find=_only, client=lambda _: client)

    def master(address: Address) -> Redis:
        # In a Cluster a replica answers every command of ours with where to go.
        checked = {} if named.kind == CLUSTER else {"redis_connect_func": _check_role}
        return _client(named.server_url(address), max_connections=max_connections, **checked)

    # Tried once, so that a bad URL is known now.
    master(named.addresses[0])
    find = _cluster(named) if named.kind == CLUSTER else _behind_sentinels(named)
    return RedisTopology(find=find, client=master, cluster=named.kind == CLUSTER)


class RedisTopology:
    """The masters, found when first needed and again after any trouble with one."""

    def __init__(
        self, *, find: Find, client: Callable[[Address], Redis], cluster: bool = False
    ) -> None:
        self.cluster = cluster
        self._find = find
        self._client = client
        self._spans: Sequence[SlotRange] = ()
        self._moved: dict[int, Address] = {}
        self._clients: dict[Address, Redis] = {}
        self._known = False
        self._finding = asyncio.Lock()

    async def of(self, key: str) -> Redis:
        """The master of the key, as far as is known. Raises ClusterDownError if it has none."""
        await self._look()
        slot = key_slot(key.encode())
        for span in self._spans:
            if span.first <= slot <= span.last:
                return self.at(self._moved.get(slot, span.master))
        raise exceptions.ClusterDownError(f"slot {slot} has no server")

    async def masters(self) -> Sequence[Redis]:
        """Every master."""
        await self._look()
        return [self.at(address) for address in {span.master: None for span in self._spans}]

    async def covered(self) -> int:
        """How many of the slots have a master."""
        await self._look()
        return sum(span.last - span.first + 1 for span in self._spans)

    def at(self, address: Address) -> Redis:
        """The server at that address."""
        if address not in self._clients:
            self._clients[address] = self._client(address)
        return self._clients[address]

    async def learn(self, error: Exception, server: Redis | None) -> None:
        """What an error of `server` says about where masters are. They are looked for anew."""
        if isinstance(error, exceptions.MovedError):
            self._moved[error.slot_id] = self.place(error, server)
            return
        if not isinstance(error, _GONE):
            return
        self._known = False
        if isinstance(error, exceptions.ReadOnlyError) and server is not None:
            # A name may point to another server by now: connections are made anew.
            await _drop_idle(server)

    def place(self, error: exceptions.AskError, server: Redis | None) -> Address:
        """Where a redirection points. Without a host, it is the host of who said so."""
        if error.host or server is None:
            return error.host, error.port
        return str(server.connection_pool.connection_kwargs["host"]), error.port

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def _look(self) -> None:
        if self._known:
            return
        async with self._finding:
            # Another call may have found them while this one waited.
            if self._known:
                return
            self._spans, self._moved, self._known = await self._find(), {}, True
            masters = {span.master for span in self._spans}
            # No more than the idle ones: what is under way on the others ends by itself.
            for address in self._clients.keys() - masters:
                await _drop_idle(self._clients[address])


async def _only() -> Sequence[SlotRange]:
    return [SlotRange(0, SLOTS - 1, ("", 0))]


def _behind_sentinels(named: Deployment) -> Find:
    """Asks Sentinels as https://redis.io/docs/latest/develop/reference/sentinel-clients/ says.

    With the third step, ROLE, for each connection: a master that was demoted while nobody talked
    to it would answer from rows that are old.
    """
    addresses = deque(named.addresses)

    async def find() -> Sequence[SlotRange]:
        found = await _asked(
            *("SENTINEL", "GET-MASTER-ADDR-BY-NAME", named.service),
            addresses=addresses,
            url=named.sentinel_url,
        )
        if found is None:
            raise MasterNotFoundError(f"Sentinel knows no service {named.service}")
        host, port = found
        return [SlotRange(0, SLOTS - 1, (host.decode(), int(port)))]

    return find


def _cluster(named: Deployment) -> Find:
    """Asks a node for all: first those that were masters before, then those of the URL."""
    addresses = deque(named.addresses)

    async def find() -> Sequence[SlotRange]:
        found = await _asked("CLUSTER", "SLOTS", addresses=addresses, url=named.server_url)
        asked = addresses[0]
        spans = [
            # A node that does not know its own host, or is not to tell, stands for the one asked.
            SlotRange(first, last, ((master[0] or b"").decode() or asked[0], int(master[1])))
            for first, last, master, *_ in found
        ]
        masters = [span.master for span in spans]
        addresses.clear()
        addresses.extend(dict.fromkeys([asked, *masters, *named.addresses]))
        return spans

    return find


async def _asked(*command: str, addresses: deque[Address], url: Callable[[Address], str]) -> Any:
    """The answer of the first server that gives one, which is put first in `addresses`.

    Each time another is asked first: one whose answer was of no use is not asked again at once.
    """
    trouble: Exception = exceptions.ConnectionError("there is nobody to ask")
    for _ in range(len(addresses)):
        addresses.rotate(-1)
        client: Any = _client(url(addresses[0]), max_connections=1)
        try:
            return await client.execute_command(*command)
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
            trouble = error
        finally:
            await client.aclose()
    raise trouble


def _client(url: str, *, max_connections: int, **more: Any) -> Redis:
    # A unix socket has nobody at the other end who could be gone without a word.
    if not url.startswith("unix:"):
        more |= {"socket_connect_timeout": 1.0, "socket_keepalive": True}
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=0.5,
        socket_timeout=1.0,
        # The store repeats, for it knows where to.
        retry=Retry(NoBackoff(), retries=0),
        **more,
    )
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as exc:
        raise ValueError("an option in the query of the URL is unknown") from exc
    return Redis.from_pool(pool)


async def _check_role(connection: Any) -> None:
    await connection.on_connect()
    await connection.send_command("ROLE")
    role = await connection.read_response()
    if role[0] != b"master":
        raise exceptions.ConnectionError("the server is no longer a master")


async def _drop_idle(client: Redis) -> None:
    await client.connection_pool.disconnect(inuse_connections=False)
