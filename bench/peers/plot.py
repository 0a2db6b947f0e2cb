"""Draws what was found as SVG: for each row a bar for each peer, and the aim as a line."""

import statistics
from collections.abc import Sequence
from html import escape

from bench.peers.catalogue import OURS, PEERS
from bench.peers.compare import Found
from bench.peers.report import present
from bench.peers.rows import ROWS, Row

WIDTH, NAMES, VALUES, BAR, GAP = 760, 200, 90, 14, 34
_LENGTH = WIDTH - NAMES - VALUES


def draw(found: Found) -> str:
    """Return bars that are to scale within a row. Ours is black."""
    top, panels = 8, []
    for row in ROWS.values():
        if not (figures := found.figures.get(row.name)):
            continue
        peers = [name for name in present(found) if figures.get(name)]
        medians = {name: statistics.median(figures[name]) for name in peers}
        panels.append(_panel(top, row, medians))
        top += GAP + BAR * len(peers)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}">'
    style = "<style>text{font:11px sans-serif}.row{font-weight:bold}path{stroke:black}</style>"
    return "\n".join([head, style, *panels, "</svg>"]) + "\n"


def _panel(top: int, row: Row, medians: dict[str, float]) -> str:
    most = max(*medians.values(), row.aim)
    title = f"{row.title} (line: the aim, {row.aim_text})"
    drawn = [f'<text class="row" x="0" y="{top + 12}">{escape(title)}</text>']
    for n, (name, median) in enumerate(medians.items()):
        drawn += _bar(top + 18 + n * BAR, row, name, median, median / most * _LENGTH)
    aim = NAMES + row.aim / most * _LENGTH
    end = top + 18 + len(medians) * BAR
    drawn.append(f'<path d="M{aim:.1f},{top + 16} L{aim:.1f},{end}" stroke-dasharray="2"/>')
    return "\n".join(drawn)


def _bar(y: int, row: Row, name: str, median: float, length: float) -> Sequence[str]:
    colour = "black" if name == OURS else "silver"
    size = f'width="{max(length, 1):.1f}" height="{BAR - 3}"'
    label = f"{median:,.{row.digits}f}"
    return (
        f'<text x="{NAMES - 6}" y="{y + 10}" text-anchor="end">{escape(PEERS[name].title)}</text>',
        f'<rect x="{NAMES}" y="{y}" {size} fill="{colour}"/>',
        f'<text x="{NAMES + length + 4:.1f}" y="{y + 10}">{label}</text>',
    )
