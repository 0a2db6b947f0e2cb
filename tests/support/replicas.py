"""Several processes of the service in one, over the same Redis and storage, that can be killed."""

import asyncio
import base64
import contextlib
import os
import shutil
import signal
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import grpc
import redis
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.config.settings import Settings
from partway_server.domain.grant import Grant
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.upload import State, Upload
from partway_server.runtime.subprocesses import Child, free_port
from partway_server.runtime.wiring import Service, build
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Presigner, Storage

from tests.support.clock import FakeClock
from tests.support.crashable import Life, Mortal, Strike
from tests.support.processes import start_valkey_at
from tests.support.world import SEALING_KEY


class Snapshots:
    """A real Redis whose data can be lost, or restored to an earlier state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._copy = folder / "copy"
        self._port = free_port()
        self._child = self._start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def remember(self) -> None:
        """Keep a copy of everything in Redis now."""
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._data, self._copy)

    def put_back(self) -> None:
        """Kill Redis and restart it from the copy, or empty if there is no copy."""
        self.close()
        shutil.rmtree(self._data)
        if self._copy.exists():
            shutil.copytree(self._copy, self._data)
        self._child = self._start()

    def forget(self) -> None:
        """Kill Redis, discard the copy, and restart it empty."""
        shutil.rmtree(self._copy, ignore_errors=True)
        self.put_back()

    def close(self) -> None:
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.stop()

    def _start(self) -> Child:
        self._data.mkdir(parents=True, exist_ok=True)
        child = start_valkey_at(self._port, self._data)
        child.wait(self._answers)
        return child

    def _answers(self) -> bool:
        with contextlib.closing(redis.Redis.from_url(self.url)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False  # not yet: it reads what it was given


class Witness:
    """A session store that counts the transitions of the session records."""

    def __init__(self, sessions: SessionStore, seen: Counter[tuple[State, State]]) -> None:
        self._sessions = sessions
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sessions, name)

    async def claim(
        self, sid: str, target: State, *args: Any, **named: Any
    ) -> tuple[Upload | None, bool]:
        before = await self._sessions.get(sid)
        row, granted = await self._sessions.claim(sid, target, *args, **named)
        if before is not None and granted:
            self._seen[before.state, target] += 1
        return row, granted

    async def claim_active(
        self, grant: Grant, target: State, *args: Any, **named: Any
    ) -> tuple[Upload | None, bool, bool]:
        answer = await self._sessions.claim_active(grant, target, *args, **named)
        if answer[1]:
            self._seen[State.ACTIVE, target] += 1
        return answer

    async def finish(self, upload: Upload, due: datetime) -> bool:
        before = await self._sessions.get(upload.sid)
        finished = await self._sessions.finish(upload, due)
        if before is not None and finished:
            self._seen[before.state, upload.state] += 1
        return finished


class PresentUrls:
    """Storage whose URLs are signed for the real time, not the test's clock, so that they work."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        return await self._storage.presigner(grant, lifetime, datetime.now(UTC))


@dataclass(slots=True)
class Replica:
    """One process of the service."""

    life: Life
    service: Service
    channel: grpc.aio.Channel
    stub: "rpc.UploadServiceAsyncStub"

    @classmethod
    async def start(
        cls, *, sessions: SessionStore, storage: Storage, policy: Policy, clock: FakeClock
    ) -> Self:
        async def sleep(seconds: float) -> None:
            clock.advance(seconds)
            await asyncio.sleep(0)

        life = Life()
        service = build(
            Settings(identity="metadata", sealing_keys=base64.b64encode(SEALING_KEY).decode()),
            policies=PolicyRegistry({policy.name: policy}),
            sessions=Mortal(sessions, life),
            storage=Mortal(PresentUrls(storage), life),
            clock=clock,
            sleep=sleep,
        )
        port = service.server.bind("127.0.0.1:0")
        await service.server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        return cls(life, service, channel, rpc.UploadServiceStub(channel))

    async def answer(self, work: Any, strike: Strike | None) -> Any:
        """Return the result of `work`, or None if `strike` or a kill ended the process."""
        self.life.threaten(strike)
        died = asyncio.ensure_future(self.life.died.wait())
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, died}, return_when=asyncio.FIRST_COMPLETED)
        self.life.threaten(None)
        died.cancel()
        if self.life.died.is_set():
            task.cancel()
            await asyncio.wait({task})
            return None
        return await task

    async def stop(self) -> None:
        """Stop at once, as a kill does: no call in flight reaches a store."""
        self.life.died.set()
        await self.channel.close()
        await self.service.server.stop(0)
        await self.service.tasks.drain(0)
