"""How much Redis and storage have to bear for a number of uploads a day. No I/O.

The figures of one upload are measured: tests/conformance/sessions/test_sizing.py compares each with
a real Redis.
"""

import math
from dataclasses import dataclass

DAY_SECONDS = 86_400

ROW_BYTES = {64: 1350, 1024: 660}
"""The session record of an open upload, by the `hash-max-listpack-value` of Redis."""

COMPLETED_ROW_BYTES = {64: 1400, 1024: 800}
"""The same, once the upload is complete."""

REPORTED_PART_BYTES = 0.125
"""What a reported part adds to a record: a bit."""

INDEX_BYTES = 200
"""The entries of an upload in the indexes, of which there are many."""

EVENT_BYTES = 950
"""One event in a stream of many."""

EVENTS_OF_UPLOAD = 2
"""Initialized, and completed, aborted or expired."""

LISTED_PARTS = 1000
"""The parts in one answer to ListParts, and the URLs in one message."""

_WATCH_PER_SECOND = 1
"""How often a process asks both Redis and storage whether they answer."""

_SHARDS = 64


@dataclass(frozen=True, slots=True)
class Load:
    """What to size for. `open_seconds` is how long an upload lasts on average.

    `reports` are the calls of ReportParts for one upload, and `listpack_value` is a setting of
    Redis, 64 or 1024.
    """

    uploads_per_day: int
    parts: int = 20
    open_seconds: float = 3600.0
    reports: int = 1
    completed_keep_seconds: float = 7.0 * DAY_SECONDS
    event_keep_seconds: float = 7.0 * DAY_SECONDS
    processes: int = 2
    janitor_seconds: float = 30.0
    listpack_value: int = 64


@dataclass(frozen=True, slots=True)
class Sizing:
    """What that takes. Bytes are those in Redis at a time; the rest is by day or by second."""

    open_records_bytes: int
    completed_records_bytes: int
    events_bytes: int
    redis_commands_per_day: int
    s3_writes_per_day: int
    s3_reads_per_day: int
    part_puts_per_day: int

    @property
    def redis_bytes(self) -> int:
        """Return what Redis holds."""
        return self.open_records_bytes + self.completed_records_bytes + self.events_bytes

    @property
    def redis_commands_per_second(self) -> float:
        """Return the average of a day; peaks are several times as high."""
        return self.redis_commands_per_day / DAY_SECONDS

    @property
    def s3_requests_per_second(self) -> float:
        """Return those of the service, on average."""
        return (self.s3_writes_per_day + self.s3_reads_per_day) / DAY_SECONDS


def sizing(load: Load) -> Sizing:
    """Return what a load takes, all uploads of it completed."""
    each, reported = load.uploads_per_day, load.parts * REPORTED_PART_BYTES * (load.reports > 0)
    open_bytes = ROW_BYTES[load.listpack_value] + reported + INDEX_BYTES
    completed_bytes = COMPLETED_ROW_BYTES[load.listpack_value] + reported + INDEX_BYTES
    watches = load.processes * _WATCH_PER_SECOND * DAY_SECONDS
    sweeps = load.processes * _SHARDS * DAY_SECONDS / load.janitor_seconds
    return Sizing(
        open_records_bytes=_at_a_time(each, load.open_seconds, open_bytes),
        completed_records_bytes=_at_a_time(each, load.completed_keep_seconds, completed_bytes),
        events_bytes=_at_a_time(each, load.event_keep_seconds, EVENTS_OF_UPLOAD * EVENT_BYTES),
        redis_commands_per_day=math.ceil(each * redis_commands(load) + watches + sweeps),
        s3_writes_per_day=each * s3_writes(load.parts),
        s3_reads_per_day=each + watches,
        part_puts_per_day=each * load.parts,
    )


def redis_commands(load: Load) -> int:
    """Return the scripts that Redis runs for one upload: those of its calls, and its removal."""
    initialize = 1 if load.parts == 1 else 2
    # The first URLs come with Initialize.
    presign = math.ceil(load.parts / LISTED_PARTS) - 1
    complete, removal = 2, 2
    return initialize + presign + 2 * load.reports + complete + removal


def s3_writes(parts: int) -> int:
    """Return the requests of the service that cost as a PUT does: create, list, complete.

    Beside them it makes one HEAD, of the finished object.
    """
    return 0 if parts == 1 else 2 + math.ceil(parts / LISTED_PARTS)


def _at_a_time(per_day: int, seconds: float, size: float) -> int:
    return math.ceil(per_day * seconds / DAY_SECONDS * size)
