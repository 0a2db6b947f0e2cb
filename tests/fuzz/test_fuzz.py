"""Tests that a run finds the faults that are put into a service, and says how to see them again."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.faulty_service import FAULT

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.slow, pytest.mark.timeout(180)]

_FAULTY = ["--service", "tests.fuzz.faulty_service"]


def fuzz(*arguments: str, fault: str = "", tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--seed", "7", *arguments],
        env={**os.environ, FAULT: fault, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raises", "ListParts: answered INTERNAL"),
        ("shows", "a secret in an error UNAVAILABLE"),
        ("dies", "service ended with code 3"),
    ],
)
def test_a_fault_of_the_service_is_found(tmp_path: Path, fault: str, words: str) -> None:
    ran = fuzz("--minutes", "0.3", "--only", "structured", *_FAULTY, fault=fault, tmp_path=tmp_path)
    assert ran.returncode == 1, ran.stderr
    assert words in ran.stderr


def test_a_finding_can_be_repeated(tmp_path: Path) -> None:
    ran = fuzz("--minutes", "0.3", "--only", "structured", *_FAULTY, tmp_path=tmp_path)
    found = re.search(r"answered INTERNAL.*\n *again: .* (--again \S+)", ran.stderr)
    assert found, ran.stderr
    again = fuzz(*found[1].split(), *_FAULTY, tmp_path=tmp_path)
    assert (again.returncode, "again: answered INTERNAL" in again.stdout) == (1, True), again
    sound = fuzz(*found[1].split(), tmp_path=tmp_path)
    assert (sound.returncode, "not again" in sound.stdout) == (0, True), sound


def test_a_lane_alone_prints_its_figures_and_leaves_nothing(tmp_path: Path) -> None:
    ran = fuzz("--minutes", "0.1", "--only", "steps", "--json", tmp_path=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["lanes"]["steps"]["cancelled"] > 0
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_a_run_with_its_figures(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--only", "steps", "--minutes", "5"]
    with subprocess.Popen(
        command,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        run.stderr.readline()
        run.send_signal(signal.SIGINT)
        printed, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert "stopped" in said
    assert "steps" in printed
