"""Looks the locked packages up among the known vulnerabilities: `make audit` runs it.

Exit code 1 if a package has one, or if the audit itself fails. Where the source of advisories
cannot be reached, or has never heard of any of the packages, it says so and exits with 0: a mirror
that answers 404 for everything would otherwise pass for a clean result.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COMMAND = (
    *(sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"),
    *("--progress-spinner", "off", "--format", "json"),
)
_UNREACHABLE = ("ConnectionError", "ProxyError", "SSLError", "ConnectTimeout", "ReadTimeout")


@dataclass(frozen=True, slots=True)
class Output:
    """What pip-audit printed."""

    stdout: str
    stderr: str


def run(lock: str) -> Output:
    """Audit one lock file."""
    ran = subprocess.run([*_COMMAND, "-r", lock], capture_output=True, text=True, check=False)
    return Output(ran.stdout, ran.stderr)


def verdict(lock: str, output: Output) -> tuple[int, list[str]]:
    """Return the exit code for one lock file, and what to print."""
    try:
        packages = json.loads(output.stdout)["dependencies"]
    except (ValueError, LookupError, TypeError):
        if any(f".{name}: " in output.stderr for name in _UNREACHABLE):
            return 0, [f"skipped: {lock}: the source of advisories cannot be reached"]
        return 1, [f"failed: {lock}: {output.stderr.strip() or 'pip-audit printed nothing'}"]
    if not packages:
        return 1, [f"failed: {lock}: it has no packages"]
    audited = [each for each in packages if "skip_reason" not in each]
    if not audited:
        return 0, [f"skipped: {lock}: the source of advisories knows none of {len(packages)}"]
    found = [line for each in audited for line in _findings(each)]
    unknown = [f"not audited: {each['name']}" for each in packages if "skip_reason" in each]
    summary = f"{lock}: {len(audited)} packages audited, {len(found)} known vulnerabilities"
    return 1 if found else 0, [*found, *unknown, summary]


def _findings(package: Mapping[str, Any]) -> list[str]:
    name = f"{package['name']} {package['version']}"
    return [
        f"{name}: {each['id']}, fixed in {', '.join(each['fix_versions']) or 'no version'}"
        for each in package["vulns"]
    ]


def audit(locks: Sequence[str], run: Callable[[str], Output] = run) -> int:
    """Audit the lock files, print what is found, and return the exit code."""
    codes = []
    for lock in locks:
        code, lines = verdict(lock, run(lock))
        print("\n".join(lines))
        codes.append(code)
    return max(codes)


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1:] or sorted(map(str, Path("requirements").glob("*.txt")))))
