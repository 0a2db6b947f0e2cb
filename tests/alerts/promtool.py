"""Runs promtool's unit tests of the rules over series."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.alerts.names import ROOT, RULES, metrics_in, rules

RECORDINGS = Path(__file__).parent / "recordings"
TOOLS = ROOT / ".tools/bin"

Series = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Recording:
    """What was scraped in an outage. Times are in scrapes, of `every` seconds; `at` is the first's."""

    name: str
    every: int
    at: float
    begins: int
    ends: int
    series: Series

    @property
    def last(self) -> int:
        return max(map(len, self.series.values())) - 1


@dataclass(frozen=True)
class Expected:
    """The alerts that fire at a time, in seconds; `either` may fire or not."""

    at: int
    firing: frozenset[str]
    either: frozenset[str] = frozenset()


def recording(name: str) -> Recording:
    """Read a recording."""
    found = json.loads((RECORDINGS / f"{name}.json").read_text())
    begins = found["healthy"]
    ends = begins + found["broken"]
    return Recording(name, found["every"], found["at"], begins, ends, found["series"])


def from_zero(series: Series, at: float) -> Series:
    """Count times of day from `at`, since the tests of promtool begin at 0."""
    return {
        name: [v if v is None else v - at for v in values] if "_timestamp_" in name else values
        for name, values in series.items()
    }


def check(series: Series, every: int, expected: Iterable[Expected], folder: Path) -> None:
    """Fail unless the rules fire as expected over these series."""
    wanted = {name for rule in rules() for name in metrics_in(rule["expr"])}
    test = {
        "interval": f"{every}s",
        "input_series": [
            {"series": _labelled(name), "values": " ".join(map(_value, values))}
            for name, values in series.items()
            if name.partition("{")[0] in wanted
        ],
        "promql_expr_test": [_expression(each) for each in expected],
    }
    written = {"rule_files": [str(RULES)], "evaluation_interval": f"{every}s", "tests": [test]}
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump(written))
    done = run("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run promtool, that of `make .tools/bin/promtool` or of PATH."""
    path = f"{TOOLS}:{os.environ['PATH']}"
    program = shutil.which("promtool", path=path)
    assert program, "`make .tools/bin/promtool` gets it"
    return subprocess.run([program, *words], capture_output=True, text=True, cwd=ROOT)


def _labelled(series: str) -> str:
    """Add the labels of a scrape."""
    name, _, labels = series.partition("{")
    own = 'job="partway",instance="a:9090"'
    return f"{name}{{{own},{labels}" if labels else f"{name}{{{own}}}"


def _value(value: float | None) -> str:
    return "_" if value is None else repr(value)


def _expression(expected: Expected) -> dict[str, Any]:
    """Return a test of which alerts fire at a moment."""
    others = "|".join(sorted(expected.either)) or "-"
    return {
        "expr": f'group by (alertname) (ALERTS{{alertstate="firing",alertname!~"{others}"}})',
        "eval_time": f"{expected.at}s",
        "exp_samples": [
            {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected.firing)
        ],
    }
