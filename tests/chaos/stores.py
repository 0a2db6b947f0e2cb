"""Runs one persistent Redis (Valkey) that is killed, loses writes, and comes back."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import redis.asyncio
from partway_server.runtime.subprocesses import Child, free_port
from redis import exceptions

from tests.chaos.fault_schedule import Harm
from tests.support.processes import start_valkey_at
from tests.support.usage_audit import read_hashes, usage_faults

_OF_EVENTS = (b"events", b"lease", b"tries", b"workers", b"dead")

_LOST_SECONDS = 1.0
"""What `appendfsync everysec` may lose with the machine: a second
(https://valkey.io/topics/persistence/)."""

_SAMPLE_SECONDS = 0.1


class OneRedis:
    """A single server on one port, over one folder."""

    def __init__(self, folder: Path, *, flush_every: float) -> None:
        folder.mkdir()
        self._folder, self._flush_every = folder, flush_every
        self._port = free_port()
        self._child: Child | None = None
        self._client = redis.asyncio.Redis(port=self._port, socket_timeout=5)
        self._alone = asyncio.Lock()
        self._sizes: deque[tuple[float, Path, int]] = deque()
        self._sampler: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def harms(self) -> Sequence[Harm]:
        found = [
            Harm("redis killed", 20, self._kill),
            Harm("redis lost a second", 30, self._lose),
        ]
        if self._flush_every:
            found.append(Harm("redis flushed", self._flush_every, self._flush))
        return found

    async def start(self) -> None:
        await self._start()
        self._sampler = asyncio.create_task(self._sample())

    async def keys(self) -> int:
        # Streams are kept for their retention, and so is the delivery state of webhooks.
        kinds = [name.split(b":")[2] async for name in self._client.scan_iter("*", count=1000)]
        return len([kind for kind in kinds if kind not in _OF_EVENTS])

    async def usage_faults(self) -> list[str]:
        """Return what is counted otherwise than the session records say. No service may run."""
        return usage_faults(await read_hashes(self._client))

    async def stop(self) -> None:
        if self._sampler is not None:
            self._sampler.cancel()
            await asyncio.wait({self._sampler})
        await self._client.aclose()
        if self._child is not None:
            self._child.stop()

    async def _start(self) -> None:
        self._child = start_valkey_at(self._port, self._folder)
        async with asyncio.timeout(30):
            while True:
                # No answer yet, or "loading": ask again.
                with contextlib.suppress(exceptions.RedisError, OSError):
                    await self._client.ping()
                    return
                self._child.check()
                # Polling: the server has no other way to say that it is ready.
                await asyncio.sleep(0.02)

    async def _kill(self, chance: random.Random) -> None:
        async with self._alone:
            self._die()
            await asyncio.sleep(chance.uniform(0, 1.5))
            await self._start()

    async def _lose(self, chance: random.Random) -> float | None:
        """Crash it with its machine: what was not yet on disk is lost."""
        async with self._alone:
            self._die()
            since = self._forget(time.monotonic() - chance.uniform(0, _LOST_SECONDS))
            await self._start()
        return since

    async def _flush(self, chance: random.Random) -> float:
        async with self._alone:
            since = time.monotonic()
            await self._client.flushall()
        return since

    def _die(self) -> None:
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.stop()

    def _log(self) -> Path:
        """Return the file that is being appended to: a rewrite begins the next."""
        logs = (self._folder / "appendonlydir").glob("*.incr.aof")
        return max(logs, key=lambda path: path.stat().st_mtime_ns)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            # Between two rewrites the file may be missing.
            with contextlib.suppress(FileNotFoundError, ValueError):
                log = self._log()
                self._sizes.append((time.monotonic(), log, log.stat().st_size))
            while len(self._sizes) > 3 * _LOST_SECONDS / _SAMPLE_SECONDS:
                self._sizes.popleft()

    def _forget(self, since: float) -> float | None:
        """Truncate what was written since then or a little earlier; return the exact time."""
        log, cut = self._log(), None
        before = [(at, size) for at, path, size in self._sizes if at <= since and path == log]
        if before and before[-1][1] < log.stat().st_size:
            cut, size = before[-1]
            os.truncate(log, size)
        self._sizes.clear()
        return cut
