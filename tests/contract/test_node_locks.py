"""Tests the lock files of Node.js: no registry is named, and every version is exact."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXACT = re.compile(r"(npm:@?[a-z0-9/-]+@)?\d+\.\d+\.\d+|file:\.\./.*")


def tracked(name: str) -> list[Path]:
    command = ["git", "ls-files", f"*{name}"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / each for each in names.split()]


def read(path: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return parsed


@pytest.mark.parametrize(
    "lock", tracked("package-lock.json"), ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_lock_names_no_registry_and_pins_by_hash(lock: Path) -> None:
    for name, package in read(lock)["packages"].items():
        assert "://" not in package.get("resolved", ""), name
        linked = package.get("link") or "node_modules/" not in name
        assert linked or package["integrity"].startswith("sha512-"), name


@pytest.mark.parametrize("package", tracked("package.json"), ids=lambda p: str(p.relative_to(ROOT)))
def test_versions_are_exact(package: Path) -> None:
    parsed = read(package)
    for name, version in {
        **parsed.get("dependencies", {}),
        **parsed.get("devDependencies", {}),
    }.items():
        assert EXACT.fullmatch(version), (name, version)
