"""Tests the picture of the board: Prometheus answers each query over a recorded outage."""

import subprocess
import sys
from xml.etree import ElementTree

import pytest

from tests.alerts.names import ROOT, queries, rules
from tests.alerts.promtool import RECORDINGS, TOOLS

SVG = "{http://www.w3.org/2000/svg}"
EMPTY = ("Refused by a limit of the process", "Refused by a quota", "Days to the end")
"""The panels that have nothing to show in an outage of storage."""


@pytest.mark.alerts
def test_the_panels_of_an_outage_have_lines() -> None:
    if not (TOOLS / "prometheus").exists():
        # Only Debian has it ready to run, and Go takes minutes to build it.
        pytest.skip("prometheus cannot be had here")
    script = ROOT / "deploy/grafana/picture.py"
    recording = RECORDINGS / "storage-hangs.json"
    tools = (TOOLS / "prometheus", TOOLS / "promtool")
    command = [sys.executable, *map(str, (script, recording, *tools))]
    drawn = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    panels = list(ElementTree.fromstring(drawn).iter(f"{SVG}g"))
    without = [
        group.findtext(f"{SVG}text") or "" for group in panels if group.find(f"{SVG}path") is None
    ]
    assert len(panels) == 30
    assert [title for title in without if not title.startswith(EMPTY)] == []


def test_the_rules_that_the_board_reads_exist() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {query for query in queries() if query.startswith("partway:")} <= recorded
