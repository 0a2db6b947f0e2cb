"""Prints what was found: a table for people, and one JSON object."""

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.peers.catalogue import OURS, PEERS
from bench.peers.compare import Found
from bench.peers.rows import ROWS, Row
from bench.presign import processor, spread


def table(found: Found) -> str:
    """Return a table in Markdown: a row a figure, a column a peer, medians with least and most."""
    peers = present(found)
    head = ["", *(PEERS[name].title for name in peers), "aim of Partway", ""]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in _rows(found):
        figures = found.figures[row.name]
        cells = [_cell(figures.get(name, []), row) for name in peers]
        lines.append(_line([row.title, *cells, row.aim_text, verdict(row, figures)]))
    lines += (f"left out: {what}: {why}" for what, why in found.left_out.items())
    return "\n".join(lines)


def present(found: Found) -> list[str]:
    """Return the peers that have a figure, in the order of the catalogue."""
    named = {name for figures in found.figures.values() for name in figures}
    return [name for name in PEERS if name in named]


def verdict(row: Row, figures: Mapping[str, Sequence[float]]) -> str:
    """Return whether Partway meets the aim of a row, by its median."""
    if not figures.get(OURS):
        return "not measured"
    return "met" if row.met(statistics.median(figures[OURS])) else "not met"


def as_json(found: Found, rounds: int) -> str:
    """Return everything as one line."""
    rows: dict[str, Any] = {
        row.name: {
            "peers": {name: spread(each, 2) for name, each in found.figures[row.name].items()},
            "aim": row.aim_text,
            "verdict": verdict(row, found.figures[row.name]),
        }
        for row in _rows(found)
    }
    machine = f"{processor()}, {os.cpu_count()} cores"
    return json.dumps(
        {
            "bench": "peers",
            "machine": machine,
            "rounds": rounds,
            "rows": rows,
            "left_out": found.left_out,
        }
    )


def _rows(found: Found) -> list[Row]:
    return [row for name, row in ROWS.items() if found.figures.get(name)]


def _cell(figures: Sequence[float], row: Row) -> str:
    if not figures:
        return "-"
    least, median, most = (f"{f(figures):,.{row.digits}f}" for f in (min, statistics.median, max))
    return median if least == most else f"{median} ({least} to {most})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
