"""Processes every completed upload, whatever happens to an individual worker.

    partway-server dev | python examples/worker.py --out results.jsonl

It reads the ready line of `partway-server dev` from standard input. Run as many as you like, all
with the same --group: Redis gives each event to one of them. For each `upload.completed` the worker
reads the object and appends its SHA-256, bytes and lines to --out. Only then does it acknowledge
the event. If a worker dies before that, another claims the event after --claim-after seconds.

So an object may be processed twice, but is never missed. Redis remembers the IDs of processed
events, so that a replayed event is skipped; only a worker that dies between writing its result and
recording the event ID leaves a result twice, with the same ID.
"""

import argparse
import contextlib
import hashlib
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from redis import Redis
from redis.exceptions import RedisError, ResponseError

STREAMS = [f"partway:{{{shard:02d}}}:events" for shard in range(64)]
TYPE = "upload.completed"
REMEMBERED_SECONDS = 8 * 24 * 3600
"""One day longer than the streams keep an event."""


class Worker:
    """One member of a consumer group."""

    def __init__(self, redis: Any, storage: Any, out: Path, group: str, claim_after: float) -> None:
        self._redis, self._storage = redis, storage
        self._out, self._group = out, group
        self._claim_after = claim_after
        self._next_claim = 0.0
        self._name = f"{socket.gethostname()}-{os.getpid()}"

    def run(self) -> None:
        while True:
            try:
                self._make_groups()
                self._say(f"waiting for {TYPE} as {self._name} of {self._group}")
                while True:
                    self._claim()
                    wanted = dict.fromkeys(STREAMS, ">")
                    # One at a time: while a worker has an event, no other worker processes it.
                    found = self._redis.xreadgroup(
                        self._group, self._name, wanted, count=1, block=1000
                    )
                    for stream, entries in found:
                        self._process(stream, entries)
            except (RedisError, OSError) as error:
                # Redis is down, or came back empty and the groups must be created again.
                self._say(f"retrying in a second: {error}")
                time.sleep(1)

    def _make_groups(self) -> None:
        for stream in STREAMS:
            try:
                # From the beginning: events from before the group existed must be processed too.
                self._redis.xgroup_create(stream, self._group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    def _claim(self) -> None:
        """Take events that another worker received a while ago and never acknowledged."""
        if time.monotonic() < self._next_claim:
            return
        self._next_claim = time.monotonic() + self._claim_after / 2
        for stream in STREAMS:
            _, entries, *_ = self._redis.xautoclaim(
                stream, self._group, self._name, int(self._claim_after * 1000), count=10
            )
            self._process(stream, entries)

    def _process(self, stream: str, entries: Any) -> None:
        for place, fields in entries:
            if fields["type"] != TYPE or self._done(fields["id"]) or self._work(fields):
                self._redis.xack(stream, self._group, place)

    def _work(self, fields: dict[str, str]) -> bool:
        """Process the event and return whether it is done; if not, it will be delivered again."""
        data = json.loads(fields["event"])["data"]
        try:
            found = self._storage.get_object(Bucket=data["bucket"], Key=data["key"])
            result = measure(found["Body"])
        except self._storage.exceptions.NoSuchKey:
            self._say(f"{data['uri']}: removed by someone else")
            return True
        except (BotoCoreError, ClientError, OSError) as error:
            self._say(f"{data['uri']}: {error}; will retry")
            return False
        line = {"id": fields["id"], "uri": data["uri"], "etag": data["etag"], **result}
        with self._out.open("a") as out:
            print(json.dumps(line), file=out)
        self._redis.set(self._note(fields["id"]), "", ex=REMEMBERED_SECONDS)
        self._say(f"{data['uri']}: {result['bytes']:,} bytes, {result['lines']:,} lines")
        return True

    def _done(self, event_id: str) -> bool:
        return bool(self._redis.exists(self._note(event_id)))

    def _note(self, event_id: str) -> str:
        return f"worker:{self._group}:done:{event_id}"

    def _say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


def measure(body: Any) -> dict[str, Any]:
    """Read an object once, and return its SHA-256, bytes and lines."""
    digest, size, lines = hashlib.sha256(), 0, 0
    for chunk in body.iter_chunks(1 << 20):
        digest.update(chunk)
        size += len(chunk)
        lines += chunk.count(b"\n")
    return {"sha256": digest.hexdigest(), "bytes": size, "lines": lines}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--group", default="measure")
    parser.add_argument("--claim-after", type=float, default=60.0, metavar="SECONDS")
    asked = parser.parse_args()
    ready = json.loads(sys.stdin.readline())
    s3 = ready["s3"]
    storage = boto3.client(
        "s3",
        endpoint_url=s3["endpoint"],
        region_name=s3["region"],
        aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"],
        config=Config(s3={"addressing_style": "path"}),
    )
    redis = Redis.from_url(ready["redis"], decode_responses=True, socket_timeout=10)
    with contextlib.suppress(KeyboardInterrupt):
        Worker(redis, storage, asked.out, asked.group, asked.claim_after).run()


if __name__ == "__main__":
    main()
