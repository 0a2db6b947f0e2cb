"""Draws the figures of `bench.overload` as SVG: goodput, and the quiet tenant's p99."""

from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT, MARGIN = 640, 240, 48


def draw(found: dict[str, dict[str, Any]], loads: Sequence[int]) -> str:
    """Return two panels over the number of noisy callers, equally spaced."""
    goodput = [found[str(load)]["goodput"] for load in loads]
    refused = [found[str(load)]["refused"] for load in loads]
    ratio = [found[str(load)]["to_idle"][1] for load in loads]
    panels = [
        _panel(0, "answered (solid) and refused (dashed) calls/s", loads, [goodput, refused]),
        _panel(HEIGHT, "p99 of the quiet tenant, to that of idle", loads, [ratio]),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {2 * HEIGHT}">'
    style = "<style>text{font:12px sans-serif}path{fill:none;stroke:black}</style>"
    return "\n".join([head, style, *panels, "</svg>"]) + "\n"


def _panel(top: int, title: str, loads: Sequence[int], series: Sequence[Sequence[float]]) -> str:
    most = max(max(values) for values in series) or 1.0
    step = (WIDTH - 2 * MARGIN) / (len(loads) - 1)
    bottom = top + HEIGHT - MARGIN

    def at(n: int, value: float) -> str:
        return f"{MARGIN + n * step:.1f},{bottom - value / most * (HEIGHT - 2 * MARGIN):.1f}"

    drawn = [f'<text x="{MARGIN}" y="{top + 24}">{title}; at most {most:.1f}</text>']
    drawn.append(f'<path d="M{at(0, 0)} L{at(len(loads) - 1, 0)}" stroke-width="0.5"/>')
    for dash, values in zip(("none", "4"), series, strict=False):
        points = " L".join(at(n, value) for n, value in enumerate(values))
        drawn.append(f'<path d="M{points}" stroke-dasharray="{dash}"/>')
    for n, load in enumerate(loads):
        x = MARGIN + n * step
        drawn.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{load}</text>')
    return "\n".join(drawn)
