"""`python -m tests.soak`: a service under a mixed load for hours, and its memory meanwhile.

Exit code 0: nothing leaks, nothing failed; 1: see the last lines. See --help.
"""

import argparse
import json
import os
import sys
from pathlib import Path


def main() -> int:
    # Programs are started by fork and exec, which gRPC would comment on every time. It reads this
    # when it is imported.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
    from tests.soak.plot import draw
    from tests.soak.run import soak
    from tests.soak.verdict import judge

    given = _arguments()
    found = soak(given.hours * 3600, given.rate, given.seed)
    verdict = judge(found.samples, found.seconds)
    if given.plot:
        given.plot.write_text(draw(found.samples, verdict.begin), "utf-8")
    if given.samples:
        given.samples.write_text(json.dumps([list(s) for s in found.samples]), "utf-8")
    print(json.dumps({**found.summary(), **verdict.summary()}, indent=2))
    problems = [*found.problems(busy=given.busy), *verdict.problems]
    for problem in problems:
        print(f"BAD  {problem}")
    print("soak: " + ("failed" if problems else "all held"))
    return 1 if problems else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="how long to call (2)")
    parser.add_argument("--rate", type=float, default=50.0, help="calls a second (50)")
    parser.add_argument("--seed", type=int, default=7, help="of the order of calls (7)")
    parser.add_argument(
        "--busy",
        action="store_true",
        help="other programs take the CPU: do not judge failed calls and outages, only the rest",
    )
    parser.add_argument("--plot", type=Path, help="where to draw memory and descriptors, as SVG")
    parser.add_argument("--samples", type=Path, help="where to write the samples, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
