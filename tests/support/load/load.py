"""A load in a thread of its own, so that a test may wait for processes meanwhile."""

import asyncio
import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import aiohttp
import grpc
from botocore.exceptions import ClientError
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

from tests.support.bucket import Bucket
from tests.support.load.caller import OPTIONS, Caller, LifeEnded
from tests.support.load.lives import OF_CHANGES, Life
from tests.support.load.tally import Acknowledged, Tally
from tests.support.load.turnstile import Turnstile
from tests.support.polling import wait_for

CHANNELS = 6
"""A gateway has at most 100 calls at a time on each connection; in an outage there are more."""

_STOP_SECONDS = 120.0
_READERS = 8


class Load:
    """Calls at `address`, `rate` a second, from when the block is entered until `stop`.

    Use it as a context. `mix` says how often each life begins, to the others.
    """

    def __init__(
        self,
        address: str,
        rate: float,
        *,
        mix: Mapping[Life, float] = OF_CHANGES,
        seed: int = 7,
        cancelled: float = 0.0,
    ) -> None:
        self._address, self._rate = address, rate
        self._mix = mix
        self._chance = random.Random(seed)
        self._cancelled = cancelled
        self._thread = threading.Thread(target=self._run_loop, name="load")
        self._running = threading.Event()
        self._fault: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._turnstile: Turnstile | None = None
        self.tally = Tally()

    def __enter__(self) -> Self:
        self._thread.start()
        self._running.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop(check=error is None)

    @property
    def alive(self) -> int:
        """Return how many callers have not finished."""
        return self._turnstile.alive if self._turnstile else 0

    @property
    def latest(self) -> float:
        """Return by how many seconds a call began too late, at most: a measure of this machine."""
        return self._turnstile.latest if self._turnstile else 0.0

    def go_on(self, seconds: float) -> None:
        """Wait until as many more calls were made as belong to that time."""
        wanted = self.tally.made + int(seconds * self._rate)
        wait_for(
            lambda: self._fault or self.tally.made >= wanted,
            f"the load makes no calls: {self.tally.summary()}",
            60 + 4 * seconds,
        )
        self.raise_fault()

    def outlive(self) -> None:
        """Wait until all callers that have begun by now have finished."""
        assert self._loop is not None and self._turnstile is not None
        waiting = asyncio.run_coroutine_threadsafe(self._turnstile.outlive(), self._loop)
        waiting.result(_STOP_SECONDS)

    def stop(self, *, check: bool = True) -> Tally:
        """Begin nothing more, wait until everything that was begun has ended; return the tally."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_SECONDS)
        if check:
            assert not self._thread.is_alive(), "calls do not end"
            self.raise_fault()
        return self.tally

    def raise_fault(self) -> None:
        """Raise what is wrong with the load itself, if anything is."""
        if self._fault is not None:
            raise self._fault

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._fault = error
        finally:
            self._running.set()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        channels = [grpc.aio.insecure_channel(self._address, OPTIONS) for _ in range(CHANNELS)]
        async with aiohttp.ClientSession() as http:
            turnstile = Turnstile(self._rate, lambda: self._live(caller))
            caller = Caller(channels, http, turnstile.turn, self._chance, self._cancelled)
            caller.tally = self.tally
            self._turnstile = turnstile
            self._running.set()
            try:
                await turnstile.run(self._stop)
            finally:
                await turnstile.cancel()
                for channel in channels:
                    await channel.close()

    async def _live(self, caller: Caller) -> None:
        [life] = self._chance.choices(list(self._mix), list(self._mix.values()))
        try:
            await life(caller)
        except LifeEnded:
            # It is in the tally.
            return


def lost(acknowledged: list[Acknowledged], bucket: Bucket, address: str) -> list[str]:
    """Return a line for each upload that is not as it was acknowledged: in storage, or by Status.

    Without an `address`, only storage is asked.
    """
    with ThreadPoolExecutor(_READERS) as readers:
        found = list(readers.map(lambda each: _lost_in_storage(each, bucket), acknowledged))
    if address:
        with grpc.insecure_channel(address, OPTIONS) as channel:
            stub: Any = UploadServiceStub(channel)
            found += [_unknown_to(stub, each) for each in acknowledged]
    return [line for line in found if line]


def _lost_in_storage(upload: Acknowledged, bucket: Bucket) -> str:
    try:
        body = bucket.body(upload.key)
    except ClientError as error:
        return f"{upload.key}: {error.response['Error']['Code']}"
    return "" if body == upload.body else f"{upload.key}: other bytes"


def _unknown_to(stub: Any, upload: Acknowledged) -> str:
    try:
        answer = stub.Status(pb.StatusRequest(upload_id=upload.upload_id), timeout=60)
    except grpc.RpcError as error:
        return f"{upload.key}: Status is {error.code().name}"  # type: ignore[attr-defined]
    state = answer.upload.state
    return "" if state == upload_pb2.UPLOAD_STATE_COMPLETED else f"{upload.key}: state {state}"
