"""Draws the times over the ideal as SVG: for each line a bar for each client."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, NAMES, VALUES, BAR, GAP = 760, 230, 70, 11, 10
MOST = 4.0
"""Times the ideal at which a bar ends."""

_LENGTH = WIDTH - NAMES - VALUES
_SHADES = ("black", "#777", "#aaa", "#ccc")


def draw(found: Mapping[str, Mapping[str, float | None]], clients: Sequence[str]) -> str:
    """Return the plot of the times over the ideal, by line and client; None: it did not end."""
    top, drawn = 24, [_legend(clients)]
    for line, times in found.items():
        drawn.append(f'<text x="0" y="{top + BAR * len(times) / 2 + 4:.0f}">{escape(line)}</text>')
        for n, client in enumerate(clients):
            if client in times:
                drawn += _bar(top + n * BAR, _SHADES[n], times[client])
        top += BAR * len(clients) + GAP
    for times_ideal in (1.0, 1.3):
        x = NAMES + times_ideal / MOST * _LENGTH
        drawn.append(f'<path d="M{x:.1f},20 L{x:.1f},{top}" stroke="red" stroke-dasharray="2"/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}">'
    return "\n".join([head, "<style>text{font:11px sans-serif}</style>", *drawn, "</svg>"]) + "\n"


def _bar(y: int, shade: str, times: float | None) -> list[str]:
    length = (MOST if times is None else min(times, MOST)) / MOST * _LENGTH
    words = "did not end" if times is None else f"{times:.2f}"
    return [
        f'<rect x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR - 1}" fill="{shade}"/>',
        f'<text x="{NAMES + length + 4:.1f}" y="{y + BAR - 2}">{words}</text>',
    ]


def _legend(clients: Sequence[str]) -> str:
    words = ", ".join(f"{name} ({shade})" for name, shade in zip(clients, _SHADES, strict=False))
    return f'<text x="0" y="12">time over the ideal: {words}; lines at 1 and 1.3</text>'
