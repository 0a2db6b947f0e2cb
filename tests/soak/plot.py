"""Draws memory and descriptors over time, as SVG."""

from collections.abc import Callable, Sequence

from tests.soak.samples import Sample

WIDTH, HEIGHT, MARGIN = 720, 220, 48
_MOST_POINTS = 400

_PANELS: tuple[tuple[str, Callable[[Sample], float]], ...] = (
    ("resident memory, MiB", lambda sample: sample.rss),
    ("open file descriptors", lambda sample: sample.descriptors),
)


def draw(samples: Sequence[Sample], begin: float) -> str:
    """Return one panel above the other; `begin` is marked, where the judged part begins."""
    shown = samples[:: -(-len(samples) // _MOST_POINTS)]
    panels = [
        _panel(n * HEIGHT, title, [(each.at, value(each)) for each in shown], begin)
        for n, (title, value) in enumerate(_PANELS)
    ]
    size = f"{WIDTH} {len(_PANELS) * HEIGHT}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}">'
    style = "<style>text{font:12px sans-serif}path{fill:none;stroke:black}</style>"
    return "\n".join([head, style, *panels, "</svg>"]) + "\n"


def _panel(top: int, title: str, points: Sequence[tuple[float, float]], begin: float) -> str:
    most = max(value for _, value in points) * 1.1 or 1.0
    end = max(points[-1][0], 1.0)
    bottom = top + HEIGHT - MARGIN

    def at(seconds: float, value: float) -> str:
        x = MARGIN + seconds / end * (WIDTH - 2 * MARGIN)
        return f"{x:.1f},{bottom - value / most * (HEIGHT - 2 * MARGIN):.1f}"

    line = " L".join(at(*point) for point in points)
    last = f"{points[-1][1]:.0f} after {end / 60:.0f} minutes"
    return "\n".join(
        [
            f'<text x="{MARGIN}" y="{top + 24}">{title}: {last}</text>',
            f'<path d="M{at(0, 0)} L{at(end, 0)}" stroke-width="0.5"/>',
            f'<path d="M{at(begin, 0)} L{at(begin, most)}" stroke-dasharray="4"/>',
            f'<path d="M{line}"/>',
            f'<text x="{MARGIN}" y="{bottom + 18}">0</text>',
            f'<text x="{WIDTH - MARGIN}" y="{bottom + 18}" text-anchor="end">'
            f"{end / 60:.0f} min</text>",
        ]
    )
