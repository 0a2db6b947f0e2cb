"""Runs and kills the event consumer of a run, and reads what it logged."""

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.asyncio
from partway_server.runtime.subprocesses import Child
from redis import exceptions

from tests.chaos import consumer
from tests.chaos.fault_schedule import Harm

_SETTLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as a consumer processed it, `at` a time of the ledger.

    `place` is its position in the stream of its upload. Order by that, since what a dead consumer
    left is processed late.
    """

    at: float
    place: tuple[int, int]
    id: str
    type: str
    sid: str
    key: str
    etag: str
    size_bytes: int


class ConsumerProcess:
    """The consumer process, restarted after each kill until `stop`."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self._file = folder / "heard.jsonl"
        self._child: Child | None = None
        self._alone = asyncio.Lock()

    def harms(self) -> Sequence[Harm]:
        return [Harm("consumer killed", 8, self._kill)]

    def start(self) -> None:
        # The file must exist however early the consumer is killed.
        self._file.touch()
        program = [sys.executable, consumer.__file__, self._url, str(self._file)]
        self._child = Child("consumer", program, log=self._folder / "consumer.log", patience=0)

    async def settle(self) -> None:
        """Wait until the group has processed everything. Fails after half a minute."""
        async with redis.asyncio.Redis.from_url(self._url, decode_responses=True) as client:
            async with asyncio.timeout(_SETTLE_SECONDS):
                # Polling: it is another process and sends no notification.
                while not await settled(client, consumer.GROUP):
                    assert self._child is not None
                    self._child.check()
                    await asyncio.sleep(0.1)

    def stop(self) -> None:
        """Kill it with SIGKILL."""
        if self._child is not None:
            self._child.stop()

    def heard(self) -> list[Heard]:
        """Return the processed events in order. A truncated line does not count as processed."""
        found = []
        for line in self._file.read_text("utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(_heard(json.loads(line)))
        return found

    async def _kill(self, chance: random.Random) -> None:
        async with self._alone:
            self.stop()
            await asyncio.sleep(chance.uniform(0, 1))
            self.start()


async def settled(client: redis.asyncio.Redis, group: str) -> bool:
    """Return whether the group has processed everything in the streams."""
    for stream in consumer.STREAMS:
        try:
            about = await client.xinfo_stream(stream)
            groups = await client.xinfo_groups(stream)
        except exceptions.ResponseError:
            # Redis was flushed, and the consumer is about to create the group again.
            return False
        ours = [each for each in groups if each["name"] == group]
        last = (about["last-entry"] or ("0-0",))[0]
        if not ours or ours[0]["pending"] or _place(ours[0]["last-delivered-id"]) < _place(last):
            return False
    return True


def _heard(reported: dict[str, str | float]) -> Heard:
    event = json.loads(str(reported["event"]))
    assert (event["id"], event["type"], event["subject"]) == (
        reported["id"],
        reported["type"],
        reported["upload"],
    )
    return heard_of(event, float(reported["at"]), _place(str(reported["place"])))


def heard_of(event: Mapping[str, Any], at: float, place: tuple[int, int]) -> Heard:
    """Return the received CloudEvent as a `Heard`."""
    data = event["data"]
    return Heard(
        at=at,
        place=place,
        id=event["id"],
        type=event["type"],
        sid=event["subject"],
        key=data["key"],
        etag=data["etag"],
        size_bytes=data["size_bytes"],
    )


def _place(text: str) -> tuple[int, int]:
    milliseconds, _, number = text.partition("-")
    return int(milliseconds), int(number)
