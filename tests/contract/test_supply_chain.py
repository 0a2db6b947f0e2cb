"""Tests that what is installed is new enough for the weaknesses that matter here."""

import re
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]

FLOORS = {
    # CVE-2023-33953, CVE-2023-4785, CVE-2023-44487: HPACK, accepting, rapid reset.
    "grpcio": "1.60",
    # CVE-2026-0994 and CVE-2025-4565: recursion.
    "protobuf": "6.33.5",
    # CVE-2023-28858, CVE-2023-28859: the answer to another's command after a cancellation.
    "redis": "5.0",
    # CVE-2026-48526 and GHSA-752w-5fwx-jx9f: a key of the wrong kind, `crit`.
    "pyjwt": "2.13",
}
"""The oldest version of each package that is safe, if the package is used at all."""


def versions(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text()
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==([^ ;\\]+)", text, re.M))


@pytest.mark.parametrize("lock", ["server.txt", "otel.txt", "dev.txt"])
def test_what_is_locked_is_above_the_floor(lock: str) -> None:
    locked = versions(lock)
    assert {"grpcio", "protobuf", "redis"} <= locked.keys()
    old = [n for n, floor in FLOORS.items() if Version(locked.get(n, floor)) < Version(floor)]
    assert old == []


@pytest.mark.parametrize("lock", ["server.txt", "otel.txt", "dev.txt", "localstack.txt"])
def test_every_locked_package_has_its_hashes_and_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    packages = re.split(r"^(?=[a-z0-9-]+(?:\[.*\])?==)", text, flags=re.M)[1:]
    assert len(packages) == len(versions(lock))
    assert not [each.split()[0] for each in packages if "--hash=sha256:" not in each]
    assert "index-url" not in text and "://" not in text
