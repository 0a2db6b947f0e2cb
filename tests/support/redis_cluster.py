"""A Redis Cluster on loopback whose slots a test may move and whose masters it may kill."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
from partway_server.runtime.subprocesses import Child, free_port
from partway_server.sessions.redis_keys import SHARDS, due_key
from redis.crc import key_slot

from tests.support.redis_sentinel import start_server, wait_for_servers

SLOTS = 16384
_PATIENT_MS = 15_000
"""When a silent node counts as gone. On a busy machine a live one may say nothing for seconds."""

BUS_OFFSET = 10_000
"""A node talks to the others at the port this much higher."""

OUR_SLOTS = [key_slot(due_key(shard).encode()) for shard in range(SHARDS)]
"""The slot of each shard: all others are empty."""


class Cluster:
    """A Redis Cluster, from `start_cluster`; `url` is for Partway. Every method blocks."""

    def __init__(self, folder: Path, *, masters: int, replicas: int, dead_after_ms: int) -> None:
        self._folder, self._dead_after_ms = folder, dead_after_ms
        self._children: dict[int, Child] = {}
        self._clients: dict[int, Any] = {}
        self._dead = 0
        ports = [self._start_node() for _ in range(masters * (1 + replicas))]
        for index, port in enumerate(ports):
            # Before they meet: nodes of one epoch would have to sort out their differences.
            self.node(port).execute_command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for index, port in enumerate(ports[:masters]):
            first, last = index * SLOTS // masters, (index + 1) * SLOTS // masters - 1
            self.node(port).execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
        for port in ports[1:]:
            self.node(port).execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0])
        wait_for_servers(lambda: all(self._knows(port, len(ports)) for port in ports))
        for index, port in enumerate(ports[masters:]):
            master = self._id(ports[index % masters])
            self.node(port).execute_command("CLUSTER", "REPLICATE", master)
        self.settle()
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{port}' for port in ports)}"

    def node(self, port: int) -> Any:
        """Return a client of one node."""
        return self._clients[port]

    def masters(self) -> list[int]:
        """Return the ports of the nodes that have slots."""
        return sorted({port for _, _, port in self._spans()})

    def owner(self, slot: int) -> int:
        """Return the port of the master of a slot."""
        return next(port for first, last, port in self._spans() if first <= slot <= last)

    def another(self, slot: int) -> int:
        """Return the port of a master that does not own the slot."""
        here = self.owner(slot)
        return next(port for port in self.masters() if port != here)

    def flush(self) -> None:
        for port in self.masters():
            self.node(port).flushall()

    def begin_move(self, slot: int, to: int) -> None:
        """Open the slot: from now on, keys missing on its master are on `to`."""
        here = self.owner(slot)
        self.node(to).execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self._id(here))
        self.node(here).execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self._id(to))

    def keys(self, slot: int) -> list[bytes]:
        """Return the keys of the slot that are still on its master."""
        found: list[bytes] = self.node(self.owner(slot)).execute_command(
            *("CLUSTER", "GETKEYSINSLOT", slot, 10_000)
        )
        return found

    def move_keys(self, slot: int, to: int, *keys: bytes) -> None:
        """Move these keys to `to`; by default, all of them."""
        here = self.node(self.owner(slot))
        for key in keys or self.keys(slot):
            here.execute_command("MIGRATE", "127.0.0.1", to, key, 0, 5000)

    def end_move(self, slot: int, to: int) -> None:
        """Move the remaining keys and close the slot: `to` becomes its master."""
        here = self.owner(slot)
        while self.keys(slot):
            self.move_keys(slot, to)
        # First the new master: if the old one forgot first, the slot could have none.
        others = [port for port in self.masters() if port not in (here, to)]
        for port in (to, here, *others):
            self.node(port).execute_command("CLUSTER", "SETSLOT", slot, "NODE", self._id(to))

    def move(self, slot: int, to: int) -> None:
        """Move a slot, as redis-cli --cluster reshard does."""
        self.begin_move(slot, to)
        self.move_keys(slot, to)
        self.end_move(slot, to)

    @contextlib.contextmanager
    def frozen(self, port: int) -> Iterator[None]:
        """Freeze a node, for less time than the other nodes take to notice."""
        os.kill(self._children[port].pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._children[port].pid, signal.SIGCONT)
            self.settle()

    @contextlib.contextmanager
    def uncovered(self, slot: int) -> Iterator[None]:
        """Leave a slot without a master."""
        owner = self.owner(slot)
        for node in self._clients.values():
            node.execute_command("CLUSTER", "DELSLOTS", slot)
        try:
            yield
        finally:
            self.node(owner).execute_command("CLUSTER", "ADDSLOTS", slot)
            self.settle()

    def kill_master(self, port: int) -> None:
        """Kill a master and wait until a replica has taken over."""
        self._notice_after(self._dead_after_ms)
        os.kill(self._children[port].pid, signal.SIGKILL)
        self._clients.pop(port).close()
        wait_for_servers(lambda: port not in self.masters() and self._settled())
        self._notice_after(_PATIENT_MS)
        self._children.pop(port).stop()
        self._dead = port

    def revive(self) -> None:
        """Restart what was killed. Call it from the main thread: a child process ends with the
        thread that started it.
        """
        self._start_node(self._dead)

    def hand_over(self, port: int) -> None:
        """Let a replica of that master take over, as an operator does."""
        replica = next(p for p in self._clients if self._follows(p, port))
        self.node(replica).execute_command("CLUSTER", "FAILOVER")
        wait_for_servers(lambda: port not in self.masters() and self._settled())

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until all nodes agree; fail after `seconds`."""
        wait_for_servers(self._settled, seconds)

    def _notice_after(self, milliseconds: int) -> None:
        """Set how long a node may be silent before the others consider it failed."""
        for client in self._clients.values():
            client.config_set("cluster-node-timeout", milliseconds)

    def _settled(self) -> bool:
        """Return whether all nodes agree: every slot has a master, and replicas follow theirs."""
        views = {tuple(sorted(self._spans(port))) for port in self._clients}
        healthy = all(
            b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")
            for client in self._clients.values()
        )
        roles = [client.execute_command("ROLE") for client in self._clients.values()]
        following = all(role[3] == b"connected" for role in roles if role[0] == b"slave")
        return len(views) == 1 and healthy and following

    def stop(self) -> None:
        for client in self._clients.values():
            client.close()
        for child in self._children.values():
            child.stop()

    def _start_node(self, port: int = 0) -> int:
        port = port or free_port(BUS_OFFSET)
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        options = {
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": str(_PATIENT_MS),
        }
        self._children[port] = start_server(port, folder, options)
        self._clients[port] = redis.Redis(port=port, socket_timeout=5)
        return port

    def _spans(self, port: int = 0) -> list[tuple[int, int, int]]:
        """Return the first slot, last slot and port of each master, as a node sees them."""
        node = self.node(port) if port else next(iter(self._clients.values()))
        found = node.execute_command("CLUSTER", "SLOTS")
        return [(first, last, int(master[1])) for first, last, master, *_ in found]

    def _knows(self, port: int, nodes: int) -> bool:
        # A line for each node, and none in the middle of a handshake.
        listed = self.node(port).execute_command("CLUSTER", "NODES").strip().splitlines()
        return len(listed) == nodes and not any(b"handshake" in line for line in listed)

    def _follows(self, port: int, master: int) -> bool:
        role = self.node(port).execute_command("ROLE")
        return role[0] == b"slave" and int(role[2]) == master

    def _id(self, port: int) -> str:
        found: bytes = self.node(port).execute_command("CLUSTER", "MYID")
        return found.decode()


@contextlib.contextmanager
def start_cluster(
    folder: Path, *, masters: int = 3, replicas: int = 0, dead_after_ms: int = 2000
) -> Iterator[Cluster]:
    """Run a cluster whose nodes agree, until the block ends. Each master has `replicas`.

    A master that was killed counts as gone after `dead_after_ms`.
    """
    cluster = Cluster(folder, masters=masters, replicas=replicas, dead_after_ms=dead_after_ms)
    try:
        yield cluster
    finally:
        cluster.stop()
