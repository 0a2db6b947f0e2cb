"""Tests how the figures of several processes become one."""

import asyncio
from pathlib import Path

import pytest
from partway_server.observability import fleet
from partway_server.observability.definitions import Definitions, Joined
from partway_server.observability.fleet import FleetMember, fold
from partway_server.observability.snapshots import Snapshot, SnapshotCollector, join
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families


class Process:
    """What a worker counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.define = Definitions(self.registry)
        self.calls = self.define.counter("calls", "Calls.", ["rpc"])
        self.seconds = self.define.histogram("seconds", "Time.", buckets=(0.1, 1.0))
        self.open = self.define.gauge("open", "Open.")
        self.oldest = self.define.gauge("oldest", "Oldest.", joined=Joined.MAX)
        self.first = self.define.gauge("first", "First.", joined=Joined.MIN)

    def counted(self, calls: int, level: float) -> "Process":
        self.calls.labels("Status").inc(calls)
        self.seconds.observe(level)
        for gauge in (self.open, self.oldest, self.first):
            gauge.set(level)
        return self

    def member(self, folder: Path) -> FleetMember:
        return FleetMember(folder, self.registry, self.define.joined)


def values(snapshot: Snapshot) -> dict[str, float]:
    """Return the samples without labels, or with the label rpc alone."""
    return {
        name + (f"_{dict(labels)['le']}" if "le" in dict(labels) else ""): value
        for family in snapshot.families.values()
        for (name, labels), (value, _) in family.samples.items()
    }


def gathered(collector: object) -> dict[str, float]:
    assert isinstance(collector, SnapshotCollector)
    return values(collector._snapshot)


def test_counters_and_histograms_add_up_and_gauges_join_as_defined() -> None:
    one, other = Process().counted(3, 0.05), Process().counted(4, 2.0)
    found = join(
        (Snapshot.of(each.registry, name) for each, name in ((one, "a"), (other, "b"))),
        one.define.joined,
    )
    assert values(found) == {
        "calls_total": 7,
        "seconds_bucket_0.1": 1,
        "seconds_bucket_1.0": 1,
        "seconds_bucket_+Inf": 2,
        "seconds_sum": 2.05,
        "seconds_count": 2,
        "open": 2.05,
        "oldest": 2.0,
        "first": 0.05,
    }
    assert found.sources == {"a", "b"}


def test_of_a_process_that_has_ended_its_counters_stay_and_its_gauges_do_not() -> None:
    snapshot = Snapshot.of(Process().counted(3, 0.05).registry, "a")
    assert "open" not in values(snapshot.lasting())
    assert values(snapshot.lasting())["calls_total"] == 3


def test_a_snapshot_can_be_packed_and_is_served_as_it_was() -> None:
    process = Process().counted(3, 0.05)
    process.seconds.observe(0.5, {"trace_id": "abc"})
    again = Snapshot.unpack(Snapshot.of(process.registry, "a").pack())
    shown = SnapshotCollector(again)
    assert sorted(generate_latest(shown).splitlines()) == sorted(
        generate_latest(process.registry).splitlines()
    )
    text = open_metrics(shown).decode()
    assert 'trace_id="abc"' in text
    assert list(text_string_to_metric_families(text))


def test_the_newest_exemplar_is_kept() -> None:
    one, other = Process(), Process()
    one.seconds.observe(0.5, {"trace_id": "older"})
    other.seconds.observe(0.6, {"trace_id": "newer"})
    found = join(
        (Snapshot.of(each.registry, name) for each, name in ((other, "b"), (one, "a"))),
        one.define.joined,
    )
    text = open_metrics(SnapshotCollector(found)).decode()
    assert "newer" in text and "older" not in text


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"x", b"\x92\x01\x02"])
def test_bytes_that_are_not_a_snapshot_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError):
        Snapshot.unpack(packed)


async def test_each_worker_answers_for_all(tmp_path: Path) -> None:
    one, other = Process().counted(3, 0.05), Process().counted(4, 2.0)
    first, second = one.member(tmp_path), other.member(tmp_path)
    async with first.answering(), second.answering():
        assert gathered(await first.gather())["calls_total"] == 7
        assert gathered(await second.gather())["calls_total"] == 7
        other.calls.labels("Status").inc()
        assert gathered(await first.gather())["calls_total"] == 8


async def test_what_an_ended_worker_counted_stays_before_and_after_it_is_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Process().counted(3, 0.05)
    async with one.member(tmp_path).answering():
        for pid in (4001, 4002):
            monkeypatch.setattr(fleet.os, "getpid", lambda pid=pid: pid)  # type: ignore[attr-defined]
            ended = Process().counted(4, 2.0)
            async with ended.member(tmp_path).answering():
                ended.calls.labels("Status").inc()
        monkeypatch.undo()
        reader = Process().member(tmp_path)
        assert gathered(await reader.gather())["calls_total"] == 13
        fold(tmp_path, 4001)
        assert gathered(await reader.gather())["calls_total"] == 13
        fold(tmp_path, 4002)
        found = gathered(await reader.gather())
        assert found["calls_total"] == 13
        assert found["open"] == 0.05, "gauges are those of workers that run"


async def test_a_worker_that_was_killed_between_file_and_fold_counts_once(tmp_path: Path) -> None:
    ended = Process().counted(4, 2.0)
    member = ended.member(tmp_path)
    async with member.answering():
        pass
    [figures] = tmp_path.glob("*.figures")  # noqa: ASYNC240
    left = figures.read_bytes()
    fold(tmp_path, int(figures.name.partition("-")[0]))
    # As a reader sees it that listed the folder before the parent removed the file.
    figures.write_bytes(left)
    assert gathered(await Process().member(tmp_path).gather())["calls_total"] == 4


async def test_a_worker_that_does_not_answer_delays_no_one_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "_ANSWER_SECONDS", 0.05)
    stopped = Process().counted(4, 2.0)
    member = stopped.member(tmp_path)

    release = asyncio.Event()

    async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()
        await writer.wait_closed()

    monkeypatch.setattr(member, "_answer", never)
    async with member.answering():
        await asyncio.sleep(0)
        found = gathered(await Process().member(tmp_path).gather())
        release.set()
        await asyncio.sleep(0.01)
    assert found["calls_total"] == 4
    assert found["open"] == 0


async def test_a_folder_that_cannot_be_written_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    member = Process().counted(3, 0.05).member(tmp_path / "missing")
    assert gathered(await member.gather())["calls_total"] == 3
    await member.gather()
    assert len(caplog.messages) == 1
