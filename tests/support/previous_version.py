"""Runs the previous version of the service, out of git, beside the present one.

Both are `partway-server serve` in processes of their own, over the same Redis, storage and keys.
Tests call them only as users do, so that they pass regardless of the layout of either version.
"""

import contextlib
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from partway_server.devstack.servers import S3
from partway_server.runtime.subprocesses import free_port

from tests.support.bucket import Bucket
from tests.support.processes import Service
from tests.support.webhooks import Endpoint

REVISION = "81b1633"
"""The version that runs in production while the present one is rolled out."""

COMMIT = "573e4b5"
"""The commit before the present ones, which replicas are upgraded from under load."""

OVERRIDE = "PARTWAY_TEST_PREVIOUS"
"""The environment variable that names another revision."""

PREVIOUS, PRESENT = "previous", "present"
VERSIONS = (PREVIOUS, PRESENT)

ROOT = Path(__file__).parents[2]
_IMPORTED = ("server", "generated")
"""The folders of a tree that a service imports from."""

_IMPORTED_BY_CLIENT = ("clients/python", "generated")

EVENT_SOURCE = "/uploads/rolling"
WEBHOOK = "orders"


def check_out(folder: Path, revision: str = "") -> Path:
    """Write the previous version's code into the folder, and return the folder.

    Fails the test if the repository does not have the revision.
    """
    revision = revision or os.environ.get(OVERRIDE) or REVISION
    _git(revision, "rev-parse", "--verify", f"{revision}^{{commit}}")
    archive = _git(revision, "archive", "--format=tar", revision, *_IMPORTED, *_IMPORTED_BY_CLIENT)
    # Not by tarfile, whose safe way of extracting came with Python 3.11.4.
    subprocess.run(["tar", "--extract", "--directory", folder], input=archive, check=True)
    return folder


def _git(revision: str, *arguments: str) -> bytes:
    try:
        ran = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=True)
    except FileNotFoundError:
        why = "git is not installed"
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip()
    else:
        return ran.stdout
    pytest.fail(
        f"cannot read the previous version, {revision}, from {ROOT}: {why}. A shallow clone lacks"
        f" it: run `git fetch --unshallow`, or set {OVERRIDE} to a revision that is there.",
        pytrace=False,
    )


def client_environ(tree: Path) -> dict[str, str]:
    """Return the environment in which the command `partway` runs the code in `tree`."""
    return {"PYTHONPATH": _python_path(tree, _IMPORTED_BY_CLIENT)}


def _python_path(tree: Path, names: Sequence[str]) -> str:
    return os.pathsep.join(str(tree / name) for name in names)


class VersionedService(Service):
    """A service that runs from the code in `tree`, with `environ` on top of its settings."""

    def __init__(
        self,
        tree: Path,
        folder: Path,
        s3: S3,
        redis_url: str,
        environ: Mapping[str, str],
        **settings: object,
    ) -> None:
        self.metrics = f"127.0.0.1:{free_port()}"
        super().__init__(folder, s3, redis_url, metrics_address=self.metrics, **settings)
        self._environ |= environ
        self.run_from(tree)

    def run_from(self, tree: Path) -> None:
        """Run the code in `tree` from the next start on."""
        # Ahead of the installed packages, which are links to the present tree.
        self._environ["PYTHONPATH"] = _python_path(tree, _IMPORTED)

    def imported_from(self) -> list[Path]:
        """Return where a process with the environment of this one finds our two packages.

        Both have an `__init__.py`, so that all their modules come from there.
        """
        code = "import partway.v1, partway_server; print(partway.__file__, partway_server.__file__)"
        ran = subprocess.run(
            [sys.executable, "-c", code], env=self._environ, capture_output=True, check=True
        )
        return [Path(word) for word in ran.stdout.decode().split()]

    def delivered(self) -> int:
        """Return how many events its present process has delivered to webhooks."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        counted = r'^partway_webhook_deliveries_total\{.*outcome="delivered".*\} (\S+)$'
        return sum(int(float(count)) for count in re.findall(counted, text, re.MULTILINE))


@contextlib.contextmanager
def both_versions(
    previous: Path,
    folder: Path,
    s3: S3,
    redis_url: str,
    *,
    environ: Mapping[str, str] | None = None,
    of_one: Mapping[str, Mapping[str, object]] | None = None,
    **settings: object,
) -> Iterator[dict[str, VersionedService]]:
    """Run both versions, with equal settings except those in `of_one`; return them by name."""
    with contextlib.ExitStack() as running:
        services = {}
        for name, tree in ((PREVIOUS, previous), (PRESENT, ROOT)):
            logs = folder / name
            logs.mkdir(parents=True)
            given = {**settings, **(of_one or {}).get(name, {})}
            service = VersionedService(tree, logs, s3, redis_url, environ or {}, **given)
            services[name] = running.enter_context(service)
        with ThreadPoolExecutor() as threads:
            list(threads.map(VersionedService.start, services.values()))
        yield services


@dataclass(frozen=True, slots=True)
class Deployment:
    """Both versions over one Redis, with a webhook."""

    services: dict[str, VersionedService]
    redis_url: str
    endpoint: Endpoint


def common_settings(folder: Path, bucket: Bucket) -> dict[str, object]:
    """Return the settings that both versions have in every test."""
    policies = folder / "policies.toml"
    policies.write_text('[policy.default]\nvia_service = true\nsingle_put_max_bytes = "1MiB"\n')
    return {
        "bucket": bucket.name,
        "policy_file": policies,
        "identity": "metadata",
        # Short, since others wait for the lease of a process that was killed.
        "lease_seconds": 3,
        "janitor_seconds": 1,
    }


def assert_no_traceback(services: dict[str, VersionedService]) -> None:
    for service in services.values():
        assert "Traceback" not in service.logged()
