"""Compares Partway with other services that coordinate uploads, over the same stub of S3.

Each peer is one process on one core; the stub, Redis and the callers have the others. The peers
take turns in each round. The last line of output is one JSON object.
"""

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from partway_server.runtime.subprocesses import ChildError

from bench.peers.catalogue import PEERS
from bench.peers.compare import Plan, compare
from bench.peers.plot import draw
from bench.peers.processes import STUB
from bench.peers.report import as_json, table
from bench.peers.rows import ROWS
from bench.presign import processor


def _names(known: Sequence[str]) -> "argparse._ActionType":
    def names(words: str) -> list[str]:
        found = words.split(",")
        if unknown := sorted(set(found) - set(known)):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
        return found

    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each peer has its turn")
    parser.add_argument(
        "--peers",
        type=_names(list(PEERS)),
        default=list(PEERS),
        help=f"comma-separated, of: {', '.join(PEERS)}",
    )
    parser.add_argument(
        "--rows",
        type=_names(list(ROWS)),
        default=list(ROWS),
        help=f"comma-separated, of: {', '.join(ROWS)}",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="how much of the usual number of repetitions is made, such as 0.1 for a try",
    )
    parser.add_argument("--plot", type=Path, help="where to write an SVG")
    return parser


def main() -> int:
    asked = _parser().parse_args()
    if not STUB.exists():
        print("bench.peers: the stub is not built: make bench-peers builds it", file=sys.stderr)
        return 2
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    experiments = {ROWS[name].experiment for name in asked.rows}
    try:
        found = asyncio.run(compare(Plan(asked.peers, experiments, asked.rounds, asked.share)))
    except ChildError as error:
        print(f"bench.peers: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    for name in set(found.figures) - set(asked.rows):
        del found.figures[name]
    print(table(found))
    if asked.plot:
        asked.plot.write_text(draw(found), "utf-8")
    print(as_json(found, asked.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
