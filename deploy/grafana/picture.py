"""Draws the board over recorded series, as SVG: `make board-picture`.

    python deploy/grafana/picture.py RECORDING.json PROMETHEUS PROMTOOL > docs/images/board.svg

Prometheus answers the board's own queries over the series; only the drawing is not Grafana's.
"""

import contextlib
import html
import json
import math
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from board import RATE, ROWS, Panel

PORT = 19_390
RULES = Path(__file__).parents[1] / "prometheus" / "partway.rules.yml"
SCRAPES_PER_RATE = 4
WIDTH, HEIGHT, ACROSS = 400, 230, 3
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 26, 64
HEADING = 30
COLOURS = ("#3366cc", "#dc3912", "#109618", "#ff9900", "#990099", "#0099c6", "#dd4477", "#666666")
MOST_LINES = 8
_LABEL = re.compile(r"{{(\w+)}}")
_RECORDED = re.compile(r"(partway:[\w:]+)(?:\[(\w+)\])?")
_UNITS = {"s": " s", "reqps": "/s", "ops": "/s", "percentunit": "", "d": " d", "short": ""}

Line = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Recording:
    """Samples of series, one each `every` seconds from `at`, and when what broke was broken."""

    at: float
    every: int
    broken: tuple[float, float]
    series: Mapping[str, Sequence[float | None]]

    @property
    def end(self) -> float:
        return self.at + self.every * (max(map(len, self.series.values())) - 1)

    @classmethod
    def read(cls, path: Path) -> "Recording":
        found = json.loads(path.read_text())
        at, every = found["at"], found["every"]
        begin = at + every * found["healthy"]
        broken = (begin, begin + every * found["broken"])
        return cls(at, every, broken, found["series"])

    def exposition(self) -> str:
        """Return the samples as OpenMetrics, one family each."""
        lines = []
        for name, values in sorted(self.series.items()):
            for n, value in enumerate(values):
                if value is not None:
                    lines.append(f"{name} {value} {self.at + n * self.every:.3f}")
        return "\n".join([*lines, "# EOF\n"])


@contextlib.contextmanager
def prometheus(recording: Recording, program: str, promtool: str) -> Iterator[None]:
    """Run Prometheus over the recording."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = folder / "samples.txt"
        text.write_text(recording.exposition())
        (folder / "prometheus.yml").write_text("global: {}\n")
        create = [promtool, "tsdb", "create-blocks-from", "openmetrics", text, folder / "data"]
        subprocess.run(create, check=True, stdout=subprocess.DEVNULL)
        options = {
            "config.file": folder / "prometheus.yml",
            "storage.tsdb.path": folder / "data",
            "storage.tsdb.retention.time": "100y",
            "web.listen-address": f"127.0.0.1:{PORT}",
            "log.level": "error",
        }
        with subprocess.Popen([program, *(f"--{k}={v}" for k, v in options.items())]) as process:
            try:
                while not _ready():
                    assert process.poll() is None, "Prometheus ended"
                    time.sleep(0.1)
                yield
            finally:
                process.terminate()


def _ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/-/ready") as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def without_rules(query: str, every: int) -> str:
    """Return the query with the expressions of the recording rules in the place of their names."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    rules = (rule for group in groups for rule in group["rules"])
    recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}

    def inline(found: re.Match[str]) -> str:
        expression = _RECORDED.sub(inline, recorded[found[1]])
        return f"({expression})" + (f"[{found[2]}:{every}s]" if found[2] else "")

    return _RECORDED.sub(inline, query)


def lines_of(panel: Panel, recording: Recording) -> dict[str, Line]:
    """Return the lines of a panel by their legends."""
    rate, found = f"{SCRAPES_PER_RATE * recording.every}s", {}
    for query, legend in panel.queries:
        asked = without_rules(query, recording.every).replace(RATE, rate)
        wanted = {
            "query": asked,
            "start": str(recording.at + SCRAPES_PER_RATE * recording.every),
            "end": str(recording.end),
            "step": str(recording.every),
        }
        url = f"http://127.0.0.1:{PORT}/api/v1/query_range?{urllib.parse.urlencode(wanted)}"
        with urllib.request.urlopen(url) as answer:
            for series in json.load(answer)["data"]["result"]:
                labels = series["metric"]
                name = _LABEL.sub(lambda m, of=labels: of.get(m[1], ""), legend)
                points = [(float(at), float(value)) for at, value in series["values"]]
                found[name] = [point for point in points if math.isfinite(point[1])]
    most = sorted(found.items(), key=lambda item: -max((v for _, v in item[1]), default=0.0))
    return dict(most[:MOST_LINES])


def draw(recording: Recording) -> str:
    """Return the rows of the board, below each other."""
    drawn, top = [], 0
    for title, panels in ROWS.items():
        drawn.append(f'<text class="row" x="{RIGHT}" y="{top + 20}">{html.escape(title)}</text>')
        for n, panel in enumerate(panels):
            left, down = n % ACROSS * WIDTH, top + HEADING + n // ACROSS * HEIGHT
            drawn.append(f'<g transform="translate({left} {down})">')
            drawn.extend(_panel(panel, lines_of(panel, recording), recording))
            drawn.append("</g>")
        top += HEADING + -(-len(panels) // ACROSS) * HEIGHT
    style = (
        "text{font:10px sans-serif;fill:#333}.row{font:bold 14px sans-serif}"
        ".title{font:bold 12px sans-serif}path{fill:none;stroke-width:1.2}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {ACROSS * WIDTH} {top}">'
    paper = f'<rect width="{ACROSS * WIDTH}" height="{top}" fill="white"/>'
    return "\n".join([head, f"<style>{style}</style>", paper, *drawn, "</svg>"]) + "\n"


def _panel(panel: Panel, lines: Mapping[str, Line], recording: Recording) -> Iterator[str]:
    most = max((v for line in lines.values() for _, v in line), default=0.0) * 1.1 or 1.0
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    whole = recording.end - recording.at

    def x(at: float) -> float:
        return LEFT + (at - recording.at) / whole * wide

    begin, end = map(x, recording.broken)
    yield f'<text class="title" x="{LEFT}" y="16">{html.escape(panel.title)}</text>'
    size = f'y="{TOP}" height="{high}"'
    yield f'<rect x="{begin:.1f}" width="{end - begin:.1f}" {size} fill="#fbe9e7"/>'
    yield f'<rect x="{LEFT}" width="{wide}" {size} fill="none" stroke="#ccc"/>'
    yield f'<text x="{LEFT - 4}" y="{TOP + 8}" text-anchor="end">{_short(most, panel.unit)}</text>'
    yield f'<text x="{LEFT - 4}" y="{TOP + high}" text-anchor="end">0</text>'
    for n, (name, line) in enumerate(lines.items()):
        colour = COLOURS[n % len(COLOURS)]
        points = " L".join(f"{x(at):.1f},{TOP + high * (1 - v / most):.1f}" for at, v in line)
        if line:
            yield f'<path d="M{points}" stroke="{colour}"/>'
        column, row = n % 2, n // 2
        place = f'x="{LEFT + column * wide / 2:.0f}" y="{TOP + high + 14 + 12 * row}"'
        yield f'<text {place} style="fill:{colour}">{html.escape(name[:29])}</text>'
    if not lines:
        middle = f'x="{LEFT + wide / 2}" y="{TOP + high / 2}"'
        yield f'<text {middle} text-anchor="middle">no data</text>'


def _short(value: float, unit: str) -> str:
    if unit in ("bytes", "Bps"):
        return f"{value / 2**20:.3g} MiB" + ("/s" if unit == "Bps" else "")
    return f"{value:.3g}{_UNITS[unit]}"


def main(path: str, program: str, promtool: str) -> None:
    """Draw the recording at `path`."""
    recording = Recording.read(Path(path))
    with prometheus(recording, program, promtool):
        sys.stdout.write(draw(recording))


if __name__ == "__main__":
    main(*sys.argv[1:])
