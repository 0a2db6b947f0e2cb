"""Runs the built image as a container platform would: read-only, without root and capabilities.

`make test-image` builds it, with buildah and a storage of its own, and names both here by
variables. The network is that of the machine, where the servers of the tests are.
"""

import contextlib
import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

IMAGE, STORAGE = "PARTWAY_TEST_IMAGE", "PARTWAY_TEST_IMAGE_STORAGE"

_MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {
        "destination": "/tmp",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "nodev", "noexec", "size=64m", "mode=1777"],
    },
]


def buildah(*arguments: str) -> str:
    """Run buildah over the storage of the tests, and return what it prints."""
    command = ["buildah", *os.environ[STORAGE].split(), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def image_config() -> dict[str, Any]:
    """Return what the image says of itself, as Docker does."""
    found: dict[str, Any] = json.loads(buildah("inspect", "--type", "image", os.environ[IMAGE]))
    config: dict[str, Any] = found["Docker"]["config"]
    return config


@contextlib.contextmanager
def mounted() -> Iterator[Path]:
    """Provide the files of the image."""
    container = buildah("from", "--pull-never", os.environ[IMAGE])
    try:
        yield Path(buildah("mount", container))
    finally:
        buildah("umount", container)
        buildah("rm", container)


class Container:
    """A container of the image, over its files at `root`. Use it as a context, which ends it."""

    def __init__(self, root: Path, folder: Path, environ: Mapping[str, str]) -> None:
        self.name = f"partway-test-{secrets.token_hex(4)}"
        self.log = folder / f"{self.name}.log"
        self._bundle = folder / self.name
        self._state = folder / "crun"
        self._bundle.mkdir()
        image = image_config()
        args = [*image["Entrypoint"], *image["Cmd"]]
        variables = [*image["Env"], *(f"{k}={v}" for k, v in environ.items())]
        spec = _spec(root, args, variables, user(image))
        (self._bundle / "config.json").write_text(json.dumps(spec))

    def __enter__(self) -> "Container":
        with self.log.open("wb") as log:
            command = ["run", "--bundle", str(self._bundle), self.name]
            self.process = subprocess.Popen(self._crun(*command), stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(self._crun("delete", "--force", self.name), capture_output=True, check=False)
        self.process.wait(20)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as a probe does."""
        inside = self._crun("exec", self.name, *command)
        return subprocess.run(inside, capture_output=True, text=True, check=False)

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        subprocess.run(self._crun("kill", self.name, "TERM"), check=True)
        return self.process.wait(40)

    def _crun(self, *arguments: str) -> list[str]:
        # Control groups limit resources, which is not what is tested; with those of both versions
        # mounted, crun would not begin.
        script = 'mount -t cgroup2 none /sys/fs/cgroup && exec crun "$@"'
        options = ["--root", str(self._state), "--cgroup-manager", "disabled"]
        return ["unshare", "--mount", "sh", "-c", script, "sh", *options, *arguments]


def user(image: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of the image's user and group."""
    uid, _, gid = image["User"].partition(":")
    return {"uid": int(uid), "gid": int(gid)}


def _spec(
    root: Path, args: Sequence[str], variables: Sequence[str], who: Mapping[str, int]
) -> dict[str, Any]:
    nothing: dict[str, list[str]] = {
        each: [] for each in ("bounding", "effective", "inheritable", "permitted", "ambient")
    }
    return {
        "ociVersion": "1.0.0",
        "root": {"path": str(root), "readonly": True},
        "process": {
            "user": who,
            "args": list(args),
            "env": list(variables),
            "cwd": "/",
            "capabilities": nothing,
            "noNewPrivileges": True,
        },
        "mounts": _MOUNTS,
        "linux": {"namespaces": [{"type": each} for each in ("pid", "mount", "ipc", "uts")]},
    }
