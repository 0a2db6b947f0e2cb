"""An event consumer as docs/events.md describes it: a process that logs what it received.

Run by its path, with the URL of Redis and the file to append to. It may be killed at any time;
another consumer then takes over what was delivered to it and not acknowledged.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from partway_server.sessions.redis_keys import SHARDS, events_key
from redis import Redis, exceptions

GROUP = "audit"
STREAMS = tuple(events_key(shard) for shard in range(SHARDS))

_BLOCK_MS = 200
_IDLE_MS = 500
_TAKE_OVER_SECONDS = 1.0
_AGAIN_SECONDS = 0.05


class Consumer:
    """A member of the consumer group, with a name of its own."""

    def __init__(self, redis: Any, file: Path) -> None:
        self._redis, self._name = redis, f"consumer-{os.getpid()}"
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._looked = 0.0

    def run(self) -> None:
        """Consume until killed. Redis may be down, and may come back without the groups."""
        while True:
            try:
                self._make_groups()
                while True:
                    self._take_over()
                    wanted = dict.fromkeys(STREAMS, ">")
                    got = self._redis.xreadgroup(
                        GROUP, self._name, wanted, count=5, block=_BLOCK_MS
                    )
                    for stream, entries in got:
                        self._process(stream, entries)
            except (exceptions.RedisError, OSError):
                # Redis is down: a real process waits for it in real time.
                time.sleep(_AGAIN_SECONDS)

    def _make_groups(self) -> None:
        for stream in STREAMS:
            try:
                self._redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
            except exceptions.ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def _take_over(self) -> None:
        if time.monotonic() < self._looked + _TAKE_OVER_SECONDS:
            return
        self._looked = time.monotonic()
        for stream in STREAMS:
            _, entries, *_ = self._redis.xautoclaim(stream, GROUP, self._name, _IDLE_MS, count=100)
            self._process(stream, entries)

    def _process(self, stream: str, entries: Any) -> None:
        for place, fields in entries:
            reported = {"at": time.monotonic(), "place": place, **fields}
            os.write(self._file, json.dumps(reported).encode() + b"\n")
            self._redis.xack(stream, GROUP, place)


if __name__ == "__main__":
    url, name = sys.argv[1:]
    Consumer(Redis.from_url(url, decode_responses=True, socket_timeout=5), Path(name)).run()
