"""The command: its arguments, what it starts, what it says."""

import argparse
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import report
from tests.fuzz.again import again
from tests.fuzz.crew import ALONE, LANES
from tests.fuzz.run import Outcome, Run, Wishes
from tests.fuzz.sender import PATIENCE
from tests.fuzz.stack import running

_ABOUT = """\
Send hostile input to a real service over a real Redis (Valkey) and a real S3 server (SeaweedFS),
in several lanes at once, and see that nothing comes as a surprise: no UNKNOWN, no INTERNAL, no
crash, every error with a documented reason, no traceback and no secret in errors and logs, memory
and open files no more at the end than after a fifth of the run.

Exit code 0: nothing was found. 1: something was; each finding has a line, and where one call is
enough a command that repeats it. 130: stopped by Ctrl-C, with what was found until then.
"""
_MORE = """\
The same seed gives the same input, and not the same interleaving. Findings and logs are in the
folder that the last line names; it is removed if nothing was found, unless with --keep.

  python -m tests.fuzz --minutes 10 --seed 7
  python -m tests.fuzz --minutes 1 --only raw --only rest
  python -m tests.fuzz --requests 1000000 --seed 11
"""


_PATIENCE = "seconds that an answer may take; more where much else runs (default: %(default)s)"


def main() -> int:
    """Run as the command line says; the exit code."""
    wanted = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="partway-fuzz-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = 1
    try:
        code = again(wanted.again, folder, wanted.service) if wanted.again else _run(wanted, folder)
    except KeyboardInterrupt:
        code = 130
    finally:
        if code or wanted.keep:
            _say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code


def _run(wanted: argparse.Namespace, folder: Path) -> int:
    lanes = wanted.only or list(LANES)
    wishes = Wishes(wanted.seed, wanted.minutes * 60, wanted.requests, lanes)
    stopped = False
    with contextlib.ExitStack() as opened:
        stack = None
        if not set(lanes) <= ALONE:
            stack = opened.enter_context(running(folder, wanted.service, wanted.patience))
        run = Run(wishes, stack, folder, _Progress())
        try:
            run.whole()
        except KeyboardInterrupt:
            stopped = True
            _say("stopped")
        # Before the services are stopped, which may fail as well.
        _report(wanted, run.outcome, folder)
    return 130 if stopped else int(bool(run.outcome.findings))


def _report(wanted: argparse.Namespace, outcome: Outcome, folder: Path) -> None:
    _say("")
    figures = report.figures(outcome, seed=wanted.seed)
    print(json.dumps(figures) if wanted.json else report.table(outcome), flush=True)
    for line in report.stories(outcome.findings, folder):
        _say(line)


class _Progress:
    """Shows one live line on a terminal, and a line now and then elsewhere."""

    def __init__(self) -> None:
        self._live, self._last = sys.stderr.isatty(), 0.0

    def __call__(self, line: str) -> None:
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{line[:width]:{width}}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() > self._last + 10:
            self._last = time.monotonic()
            _say(line)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--requests", type=int, default=0, help="end after so many, however long")
    parser.add_argument("--patience", type=float, default=PATIENCE, help=_PATIENCE)
    parser.add_argument("--seed", type=int, default=7, help="what decides the input (default: 7)")
    parser.add_argument("--only", action="append", choices=LANES, metavar="LANE", help=_lanes())
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    parser.add_argument("--again", type=Path, metavar="FILE", help="repeat a finding")
    parser.add_argument("--service", default="partway_server", help=argparse.SUPPRESS)
    return parser.parse_args()


def _lanes() -> str:
    return "one lane, may be repeated: " + "; ".join(f"{k}, {v}" for k, v in LANES.items())
