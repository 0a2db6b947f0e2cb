"""The command: its arguments, what it starts, what it says."""

import argparse
import asyncio
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from partway_server.devstack.servers import start_seaweedfs

from tests.chaos import report
from tests.chaos.bucket_reader import Auditor
from tests.chaos.run import Outcome, Run, Wishes
from tests.chaos.stores import OneRedis
from tests.chaos.time_limit import Hung, within
from tests.support.bucket import look_into

_ABOUT = """\
Upload, watch and compose through several real service processes over one real Redis (Valkey) and
one real S3 server (SeaweedFS), while services are killed at random and at named failpoints, a
consumer of the events is killed, and Redis is killed, loses its last second, and is emptied. Then
let a clock run ahead, let the janitors clear up, and have other programs (rclone, boto3) read what
is in storage.

Exit code 0: nothing acknowledged was lost, no byte is wrong, no answer was false, no event is
missing or untrue, nothing is left over, and every caller got through. 1: something of this is not
so; the stories of those uploads are printed. 130: stopped by Ctrl-C.
"""
_MORE = """\
The same seed gives the same uploads (kind, size, bytes) and the same schedule of harm. It does not
give the same interleaving: processes, disks and networks have their own minds. Run it again, or
longer, to see whether something comes back. While the clock is ahead, the failpoints are those that
were not hit before, whichever those are.

Progress and stories go to standard error, the table and, as the last line, one JSON object to
standard output. With --keep the folder with the services' logs stays.

  python -m tests.chaos --seconds 60 --seed 7
  python -m tests.chaos --seconds 720 --seed 11 --flush-every 45 --keep
"""


def main() -> int:
    """Run as the command line says; the exit code."""
    wanted = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="partway-chaos-"))
    # Ctrl-C stops a run as an exception does, so that all that was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(wanted, folder)
    except KeyboardInterrupt:
        _say("stopped")
        return 130
    finally:
        if wanted.keep:
            _say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _run(wanted: argparse.Namespace, folder: Path) -> int:
    wishes = Wishes(
        seed=str(wanted.seed),
        seconds=wanted.seconds,
        services=wanted.services,
        lanes=wanted.lanes,
        patience=wanted.patience,
        record=wanted.record,
    )
    seaweedfs, s3 = start_seaweedfs(folder, keep=False)
    with seaweedfs, look_into(s3) as bucket:

        async def whole() -> tuple[Run, Outcome]:
            store = OneRedis(folder / "redis", flush_every=wanted.flush_every)
            run = Run(
                wishes=wishes,
                folder=folder,
                store=store,
                s3=s3,
                auditor=Auditor(s3, bucket),
                say=_say,
            )
            return run, await run.whole()

        try:
            run, outcome = asyncio.run(within(_most_seconds(wishes), whole()))
        except Hung as error:
            _say(str(error))
            return 1
    reported = report.figures(outcome, seed=wishes.seed, seconds=wishes.seconds)
    print(report.table(reported, outcome))
    print(json.dumps(reported), flush=True)
    # Last, where the end of a log is all that anybody sees.
    for line in report.stories(outcome.violations, outcome.ledger, run.fleet.logs):
        _say(line)
    if not report.failed(reported):
        return 0
    _say(f"the run began at {report.wall_clock(outcome.ledger)} by the clock of the logs")
    for line in report.findings(outcome.violations):
        _say(line)
    return 1


def _most_seconds(wishes: Wishes) -> float:
    """Return how long a run takes at most, on a busy machine too."""
    return 4 * wishes.seconds + 4 * wishes.patience + 900


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole = {
        "--seconds": (60.0, "for how long uploads begin and harm is done; the rest comes on top"),
        "--seed": ("7", "what decides the uploads and the schedule of harm"),
        "--services": (3, "how many service processes, each at its own port"),
        "--lanes": (16, "how many uploads at a time"),
        "--patience": (120.0, "how many seconds a caller goes on asking before it gives up"),
        "--flush-every": (60.0, "Redis is emptied every so many seconds on average; 0: never"),
    }
    for name, (default, about) in whole.items():
        parser.add_argument(
            name, type=type(default), default=default, help=f"{about} (default: {default})"
        )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="write the metrics of the services to FILE"
    )
    parser.add_argument("--keep", action="store_true", help="keep the folder with the logs")
    return parser.parse_args()
