"""Tests `make sbom`: every locked package is in it, with its version and its hashes."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements/server.txt"


def made(path: Path) -> bytes:
    """Return what the target writes to that path."""
    command = ["make", "--no-print-directory", "sbom", f"SBOM={path}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return path.read_bytes()


def locked() -> dict[tuple[str, str], set[str]]:
    """Return the hashes of each package in the lock file, by name and version."""
    found: dict[tuple[str, str], set[str]] = {}
    hashes: set[str] = set()
    for line in LOCK.read_text().splitlines():
        if package := re.match(r"([a-z0-9-]+)(?:\[.*\])?==([^ ;]+)", line):
            hashes = found.setdefault((package[1], package[2]), set())
        hashes.update(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return found


def hashes_of(component: dict[str, Any]) -> set[str]:
    return {
        each["content"]
        for reference in component["externalReferences"]
        for each in reference["hashes"]
        if each["alg"] == "SHA-256"
    }


@pytest.mark.timeout(240)  # It reads the metadata of every package twice.
def test_every_locked_package_is_in_it_with_its_hashes(tmp_path: Path) -> None:
    written = made(tmp_path / "sbom.json")
    bom = json.loads(written)
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    root = bom["metadata"]["component"]
    assert root["name"] == "partway-server"
    components = {(each["name"], each["version"]): hashes_of(each) for each in bom["components"]}
    packages = locked()
    assert len(packages) > 30 and all(packages.values())
    assert components == packages
    assert {each["purl"] for each in bom["components"]} == {
        f"pkg:pypi/{name}@{version}" for name, version in packages
    }
    assert made(tmp_path / "again.json") == written
