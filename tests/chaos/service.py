"""Runs one service process, as `partway-server serve` does, over stores with failpoints.

Processes are forked from a server that has imported everything and started nothing: a new one
serves within a quarter of a second, so that hundreds of deaths fit into minutes.
"""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

import uvloop
from partway_server.config.settings import Settings
from partway_server.observability.logging import configure_logging
from partway_server.runtime import app
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Storage
from partway_server.storage.capabilities import KNOWN

from tests.chaos.failpoints import Armed, Watched, die


@dataclass(frozen=True, slots=True)
class Orders:
    """The options of a process. `ahead`: how far its clock, and Redis's for it, run ahead."""

    environ: Mapping[str, str] = field(repr=False)
    log: str
    armed: Armed | None = None
    ahead: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Ahead:
    """The machine's clock, shifted into the future."""

    by: timedelta

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


def serve(orders: Orders) -> None:
    """Serve until stopped."""
    log = os.open(orders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # Ctrl-C is for the harness, which ends all processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The service reads the secrets of webhooks there.
    os.environ.update(orders.environ)
    settings = Settings.load(orders.environ, backends=KNOWN)
    configure_logging(level=settings.log_level, as_json=False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_stopped(settings, orders))


async def _until_stopped(settings: Settings, orders: Orders) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    # Nothing outlives the harness, not even if it is killed.
    harness = multiprocessing.parent_process()
    assert harness is not None
    loop.add_reader(harness.sentinel, os._exit, 1)

    def over(sessions: SessionStore, storage: Storage) -> tuple[SessionStore, Storage]:
        if orders.armed is None:
            return sessions, storage
        watched = partial(Watched, armed=orders.armed, now=time.monotonic, die=die)
        return watched(sessions, seam="sessions"), watched(storage, seam="storage")

    clock = Ahead(orders.ahead) if orders.ahead else None
    await app.run(settings, stop=stop, over=over, clock=clock)
