"""Compares uploads over simulated lines: `python -m bench.line`, or `make bench-line`.

The last line of output is one JSON object. `--only` takes a part of a line's name, more than once.
"""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.line.clients import CLIENTS, OURS, Client, present
from bench.line.lines import LINES, SimulatedLine
from bench.line.measure import Run, Stand, service, stand, write_file
from bench.line.plot import draw
from bench.peers.processes import backends

Figures = dict[str, dict[str, float | int | None]]


def figures(line: SimulatedLine, run: Run, lost_bytes: int | None) -> dict[str, float | int | None]:
    """Return what is reported of one upload."""
    over = None if run.seconds is None else round(run.seconds / line.ideal_seconds, 2)
    twice = max(0, run.passed_bytes - line.size_bytes) / line.size_bytes
    return {
        "to_ideal": over,
        "sent_twice": round(twice, 3),
        "resets": run.resets,
        "lost_at_kill": lost_bytes,
    }


async def measure(one: Stand, clients: Sequence[Client], *, kill: bool) -> Figures:
    """Return the figures of each client on one line."""
    file = write_file(one.target.state / "file.bin", one.line.size_bytes)
    found: Figures = {}
    for client in clients:
        run = await one.upload(client, file)
        # The others do not resume.
        lost = await one.lost_at_kill(client, file) if kill and client.name == OURS else None
        found[client.name] = figures(one.line, run, lost)
        print(f"  {client.name:8} {_row(found[client.name])}", flush=True)
    return found


def _row(row: dict[str, float | int | None]) -> str:
    times = "did not end" if row["to_ideal"] is None else f"{row['to_ideal']:.2f} of the ideal"
    words = f"{times:20} {100 * (row['sent_twice'] or 0):5.1f} % twice, {row['resets']} resets"
    if row["lost_at_kill"] is not None:
        words += f", {row['lost_at_kill'] / 1e6:.1f} MB lost at kill -9"
    return words


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument(
        "--no-kill",
        action="store_true",
        help="leave out the kills, which take four times as long for our client",
    )
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    lines = [
        each for each in LINES if not options.only or any(o in each.name for o in options.only)
    ]
    clients = present()
    for client in CLIENTS:
        if client not in clients:
            print(f"{client.name} is left out: {client.program.name} is not installed")
    print(f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores at the start")
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="partway-line-") as name:
        # rclone compares entity tags with what it sent.
        with backends(Path(name), "-hash") as shared:
            async with service(shared) as running:
                for line in lines:
                    print(
                        f"{line.name}: {line.size_bytes / 1e6:.1f} MB, {line.ideal_seconds:.0f} s"
                    )
                    state = Path(tempfile.mkdtemp(dir=name))
                    async with stand(line, shared, running, state) as one:
                        found[line.name] = await measure(one, clients, kill=not options.no_kill)
    if options.plot:
        times = {
            name: {c: row["to_ideal"] for c, row in each.items()} for name, each in found.items()
        }
        options.plot.write_text(draw(times, [client.name for client in clients]))
    print(json.dumps({"bench": "line", "load": os.getloadavg()[0], "lines": found}))


if __name__ == "__main__":
    asyncio.run(main())
