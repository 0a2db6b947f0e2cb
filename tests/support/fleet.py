"""Replicas behind the gateway, which change one after the other, as an orchestrator does it."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.gateway import Gateway, gateway
from tests.support.polling import wait_for
from tests.support.processes import Service

REPLICAS = 3
DRAIN_SECONDS = 5
"""The default: long enough for the gateway to notice that a replica is about to stop."""

_READY_SECONDS = 120.0
_STOP_SECONDS = 90.0

_FAULTS = ("Traceback", "Task was destroyed", "never retrieved", "never awaited")


@dataclass(frozen=True, slots=True)
class Fleet:
    """The replicas, and the gateway in front of them."""

    replicas: Sequence[Service]
    front: Gateway

    def until_whole(self) -> None:
        """Wait until the gateway sends calls to every replica."""
        wait_for(
            lambda: self.front.healthy() == len(self.replicas),
            "a replica does not come back",
            _READY_SECONDS,
        )

    def roll(self, **settings: object) -> None:
        """Restart one replica after the other, each with these settings."""
        for replica in self.replicas:
            self.restart(replica, partial(replica.change, **settings))
        self.until_whole()

    def restart(self, replica: Service, change: Callable[[], None]) -> None:
        """Stop the replica when all others are there, change it, and start it."""
        self.until_whole()
        replica.server.process.send_signal(signal.SIGTERM)
        assert replica.server.process.wait(_STOP_SECONDS) == 0, replica.logged()[-2000:]
        change()
        replica.start()

    def reload(self, words: str) -> None:
        """Have one replica after the other reload its files, each until it logs these words."""
        for replica in self.replicas:
            replica.server.process.send_signal(signal.SIGHUP)
            self.until_logged(words, replica)

    def until_logged(self, words: str, *replicas: Service) -> None:
        """Wait until those replicas, by default all, have logged these words."""
        for replica in replicas or self.replicas:
            wait_for(lambda r=replica: words in r.logged(), f"no {words!r} in a log")

    def faults(self) -> list[str]:
        """Return the lines of the logs that no service writes which is right."""
        lines = [line for each in self.replicas for line in each.logged().splitlines()]
        return [line for line in lines if any(fault in line for fault in _FAULTS)]


@contextmanager
def running(folder: Path, replicas: Sequence[Service], tls: Any = None) -> Iterator[Fleet]:
    """Start the replicas, and the gateway; `tls` is how it reaches them."""
    with ExitStack() as stack:
        for replica in replicas:
            stack.enter_context(replica)
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda replica: replica.start(), replicas))
        ports = [int(replica.address.rpartition(":")[2]) for replica in replicas]
        fleet = Fleet(replicas, stack.enter_context(gateway(folder, ports, tls=tls)))
        fleet.until_whole()
        yield fleet
