"""What is made of the figures: the table, the JSON, the plot, and the verdict of the guard."""

import asyncio
import json
import os
import statistics
from xml.etree import ElementTree

import pytest

from bench.peers.catalogue import OBVIOUS, OURS, PEERS
from bench.peers.compare import Found
from bench.peers.guard import judge
from bench.peers.measure import EXPERIMENTS, THROUGH
from bench.peers.plot import draw
from bench.peers.processes import cpu_seconds
from bench.peers.relay import CountingRelay
from bench.peers.report import as_json, table
from bench.peers.rows import ROWS


def found(**rows: dict[str, list[float]]) -> Found:
    made = Found()
    for row, peers in rows.items():
        for peer, figures in peers.items():
            for figure in figures:
                made.add(peer, {row: figure})
    return made


def test_the_table_has_the_median_the_spread_and_whether_the_aim_is_met() -> None:
    made = found(
        initialize={OURS: [0.9, 3, 0.8], OBVIOUS: [1.9, 1.9, 1.9]}, rate_1={OURS: [91, 92, 93]}
    )
    made.left_out["tusd"] = "it is not there"
    lines = table(made).splitlines()
    assert lines[0] == "|  | FastAPI + aioboto3 | Partway | aim of Partway |  |"
    assert "| Initialize, CPU ms | 1.90 | 0.90 (0.80 to 3.00) | at most 1 | met |" in lines
    assert lines[3].endswith("| - | 92 (91 to 93) | at least 400 | not met |")
    assert lines[-1] == "left out: tusd: it is not there"


def test_the_last_line_is_one_object() -> None:
    printed = json.loads(as_json(found(upload_1={OURS: [2.0], OBVIOUS: [4.0]}), rounds=1))
    assert printed["rows"]["upload_1"] == {
        "peers": {
            OURS: {"min": 2.0, "median": 2.0, "max": 2.0},
            OBVIOUS: {"min": 4.0, "median": 4.0, "max": 4.0},
        },
        "aim": "at most 2.5",
        "verdict": "met",
    }
    only_theirs = json.loads(as_json(found(upload_1={OBVIOUS: [4.0]}), rounds=1))
    assert only_theirs["rows"]["upload_1"]["verdict"] == "not measured"


def test_the_plot_is_to_scale_within_a_row() -> None:
    svg = ElementTree.fromstring(draw(found(upload_100={OURS: [5.0], OBVIOUS: [20.0]})))
    theirs, ours = (
        float(bar.attrib["width"]) for bar in svg if bar.tag == "{http://www.w3.org/2000/svg}rect"
    )
    assert ours / theirs == pytest.approx(0.25, rel=0.01)


@pytest.mark.parametrize(
    ("ours", "good"), [([1.0, 9.0, 1.0], True), ([9.0, 1.0, 9.0], False), ([4.0, 4.0, 4.0], True)]
)
def test_the_guard_judges_by_the_median_of_ratios_within_a_round(
    ours: list[float], good: bool
) -> None:
    made = found(
        upload_100={OURS: ours, OBVIOUS: [10.0, 10.0, 10.0]},
        upload_1={OURS: [1.0, 1.0, 1.0], OBVIOUS: [2.0, 2.0, 2.0]},
    )
    verdict, sentences = judge(made)
    assert verdict is good
    assert f"{'within' if good else 'over'} the limit of 0.45, and" in sentences[0]
    aimed = statistics.median(ours) <= 3
    assert f"{'within' if aimed else 'over'} the aim of 0.3." in sentences[0]
    assert "0.50 times as much (0.50 to 0.50 in 3 rounds)" in sentences[1]


def test_each_row_has_an_experiment() -> None:
    assert {row.experiment for row in ROWS.values()} == {*EXPERIMENTS, "counts"}
    assert set(THROUGH) <= set(EXPERIMENTS)
    assert OURS in PEERS and OBVIOUS in PEERS


async def test_a_relay_counts_a_pipeline_as_one_round_trip() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"last\n":
                writer.write(b"answer\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, CountingRelay.to(f"127.0.0.1:{server.sockets[0].getsockname()[1]}") as relay:
        host, _, port = relay.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        for _ in range(2):
            writer.write(b"first\n")
            await writer.drain()
            writer.write(b"last\n")
            assert await reader.readline() == b"answer\n"
        assert relay.round_trips == 2
        assert relay.bytes == 2 * len(b"first\nlast\nanswer\n")
        relay.reset()
        assert relay.round_trips == relay.bytes == 0
        writer.close()


def test_the_cpu_of_a_process_grows_with_its_work() -> None:
    before = cpu_seconds(os.getpid())
    sum(range(100_000))
    assert cpu_seconds(os.getpid()) > before > 0
