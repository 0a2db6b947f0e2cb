"""Decoders and parsers, led by coverage where Atheris is installed, and by chance elsewhere."""

import os
import random
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.lane import REQUESTS, Job
from tests.fuzz.mutation import mutated

_SLOW_SECONDS = 5.0
_MAX_BYTES = 4096
_INSTRUMENTED = ["partway_server", "partway_client"]


def run(job: Job) -> None:
    """Try inputs until the run is over."""
    try:
        import atheris
    except ImportError:
        _by_chance(job)
        return
    _divert_output(job.folder / "atheris.log")
    with atheris.instrument_imports(include=_INSTRUMENTED, enable_loader_override=False):
        from tests.fuzz import targets

    corpus = job.folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(targets.corpus()):
        (corpus / f"seed-{number}").write_bytes(seed)
    tried = _judged(job)

    def one(data: bytes) -> None:
        # First: on a busy machine a short run may be over before this lane begins.
        tried(data)
        if not job.goes_on():
            job.report()
            # libFuzzer has no other way to stop it from within.
            os._exit(0)

    options = [f"-seed={job.seed % 2**31}", f"-max_len={_MAX_BYTES}", "-close_fd_mask=0"]
    atheris.Setup(["fuzz", *options, f"-max_total_time={int(job.seconds) + 60}", str(corpus)], one)
    atheris.Fuzz()


def _by_chance(job: Job) -> None:
    from tests.fuzz import targets

    chance, corpus, tried = random.Random(job.seed), targets.corpus(), _judged(job)
    while True:
        tried(mutated(chance, chance.choice(corpus), chance.choice(corpus)))
        if not job.goes_on():
            return


def _judged(job: Job) -> Callable[[bytes], None]:
    """Return a function that tries one input, and reports it if it breaks its target."""
    from tests.fuzz.targets import TARGETS, chosen

    def tried(data: bytes) -> None:
        name, rest = chosen(data)
        begun = time.process_time()
        wrong = ""
        try:
            TARGETS[name](rest)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            wrong = f"{type(error).__name__} in {Path(where.filename).name}:{where.lineno}"
        if time.process_time() > begun + _SLOW_SECONDS:
            wrong = f"took longer than {_SLOW_SECONDS:.0f} s"
        job.count(REQUESTS)
        job.count(name)
        if wrong:
            job.find(f"{name}: {wrong}", target=name, data=rest.hex())

    return tried


def again(target: str, data: str) -> str:
    """Try an input again; return what is wrong, "" if nothing."""
    from tests.fuzz.targets import TARGETS

    try:
        TARGETS[target](bytes.fromhex(data))
    except Exception:
        return traceback.format_exc()
    return ""


def _divert_output(path: Path) -> None:
    """Send what libFuzzer prints to a file."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
