"""Tests that the committed generated code is what the proto generates."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_stubs_are_fresh(tmp_path: Path) -> None:
    subprocess.run(
        ["make", "--silent", "stubs", f"OUT={tmp_path}"], cwd=ROOT, check=True, capture_output=True
    )
    assert files(tmp_path / "partway") == files(ROOT / "generated" / "partway")


@pytest.mark.parametrize("command", ["lint", "format --diff --exit-code"])
def test_buf_finds_nothing_in_the_proto(command: str) -> None:
    found = subprocess.run(
        [ROOT / ".venv/bin/buf", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (0, "")
