"""The lanes at work: starts a process for each, collects what they report, and ends them."""

import contextlib
import dataclasses
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from tests.fuzz.finding import Finding
from tests.fuzz.lane import PAUSED, Gate, Job, Target
from tests.fuzz.sender import PATIENCE

LANES: Mapping[str, str] = {
    "raw": "raw bytes to every RPC",
    "structured": "messages of all fields, by Hypothesis",
    "rest": "JSON through the gateway, by Schemathesis",
    "frames": "HTTP/2 that breaks the rules",
    "cancel": "calls that their callers cancel",
    "steps": "cancellation at every await, in one process",
    "pure": "decoders and parsers, by Atheris",
}
"""Each is a module of `lanes`."""

ALONE = frozenset({"steps", "pure"})
"""Lanes that send nothing to the service. They step back for those that do."""


@dataclass(slots=True)
class Member:
    """A lane, its process, and what it has reported."""

    lane: str
    process: SpawnProcess
    pipe: "Connection[Any, Any]"
    counts: Counter[str] = field(default_factory=Counter)
    paused: bool = False
    over: bool = False


class Crew:
    """The lanes of a run. Use it as a context, which ends them all."""

    def __init__(
        self, lanes: Sequence[str], target: Target | None, seed: int, seconds: float, folder: Path
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._gate = Gate(context.Event(), context.Event())
        self._folder = folder
        self._patience = 2 * target.patience if target else PATIENCE
        self.members: list[Member] = []
        self.findings: list[Finding] = []
        for lane in lanes:
            ours, theirs = context.Pipe(duplex=False)
            job = Job(lane, target, seed, seconds, folder, self._gate, theirs)
            process = context.Process(target=_work, args=(job,), name=lane, daemon=True)
            process.start()
            # So that its end is seen.
            theirs.close()
            self.members.append(Member(lane, process, ours))

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self._gate.stop.set()
        for member in self.members:
            if member.process.is_alive():
                member.process.terminate()
            member.process.join(10)
            if member.process.is_alive():
                member.process.kill()

    def total(self, what: str) -> int:
        """Return the sum of what the lanes counted."""
        return sum(member.counts[what] for member in self.members)

    @property
    def at_work(self) -> bool:
        return not all(member.over for member in self.members)

    def collect(self, seconds: float) -> None:
        """Take what the lanes report within `seconds`, or until the first reports."""
        pipes = {member.pipe: member for member in self.members if not member.over}
        if not pipes:
            time.sleep(seconds)
        for pipe in wait(list(pipes), seconds):
            member = pipes[pipe]  # type: ignore[index]
            try:
                self._take(member, *member.pipe.recv())
            except EOFError:
                self._ended(member)

    def _take(self, member: Member, what: str, content: Any) -> None:
        if what == "finding":
            self.findings.append(content)
            # At once, for whoever looks at a run that lasts for hours.
            with (self._folder / "findings.jsonl").open("a") as file:
                print(json.dumps(dataclasses.asdict(content)), file=file)
            return
        member.counts.update(content)
        member.paused = what == PAUSED

    def _ended(self, member: Member) -> None:
        member.over = True
        member.process.join(10)
        if member.process.exitcode:
            words = f"the lane ended with code {member.process.exitcode}"
            self.findings.append(Finding(member.lane, words))

    @contextlib.contextmanager
    def paused(self) -> Any:
        """Let all lanes that attack the service pause, once their calls are answered."""
        waiting = [m for m in self.members if m.lane not in ALONE]
        self._gate.quiet.set()
        end = time.monotonic() + self._patience
        while not all(m.paused or m.over for m in waiting) and time.monotonic() < end:
            self.collect(0.2)
        for member in waiting:
            if not (member.paused or member.over):
                words = f"its calls were not answered within {self._patience:.0f} s"
                self.findings.append(Finding(member.lane, words))
        yield
        for member in waiting:
            member.paused = False
        self._gate.quiet.clear()

    def stop(self) -> None:
        """Let all lanes end, and take their last reports."""
        self._gate.stop.set()
        end = time.monotonic() + self._patience
        while self.at_work and time.monotonic() < end:
            self.collect(0.2)


def _work(job: Job) -> None:
    """Run one lane, in a process of its own."""
    # Ctrl-C is for the command, which stops the lanes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
    if job.lane in ALONE:
        os.nice(5)
    try:
        importlib.import_module(f"tests.fuzz.lanes.{job.lane}").run(job)
        job.report()
    except Exception as error:
        # A fault of the lane, unless the service broke it: either way somebody must look.
        traceback.print_exc()
        job.find(f"the lane broke: {type(error).__name__}: {error}"[:500])
        sys.exit(1)
