"""Runs the command line in a process of its own."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.client.service import Service

_MAIN = "from partway_client.__main__ import main; main()"


@dataclass(frozen=True)
class Ended:
    """The exit code and the output of a process."""

    code: int
    stdout: str
    stderr: str

    @property
    def results(self) -> list[dict[str, Any]]:
        """Return the JSON objects that were printed, but for the summary."""
        return [each for each in map(json.loads, self.stdout.splitlines()) if "summary" not in each]

    @property
    def summary(self) -> dict[str, Any]:
        """Return the last JSON object."""
        found: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])["summary"]
        return found


@dataclass(frozen=True)
class Partway:
    """The `partway` command with a service and a state directory of its own."""

    service: Service
    state_dir: Path
    main: str = _MAIN

    async def start(
        self,
        *arguments: str | Path,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.PIPE,
        before: Callable[[], None] | None = None,
    ) -> asyncio.subprocess.Process:
        """Start it. `before` runs in the new process, before the command."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            self.main,
            *arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=os.environ
            | {
                "PARTWAY_SERVER": self.service.address,
                "PARTWAY_STATE_DIR": str(self.state_dir),
                "XDG_CONFIG_HOME": str(self.state_dir),
                "PYTHONWARNINGS": "error",
            },
            preexec_fn=before,
        )

    async def run(
        self,
        *arguments: str | Path,
        stdin: int = asyncio.subprocess.DEVNULL,
        content: bytes | None = None,
    ) -> Ended:
        process = await self.start(
            *arguments, stdin=stdin if content is None else asyncio.subprocess.PIPE
        )
        return await ended(process, content)


async def ended(process: asyncio.subprocess.Process, content: bytes | None = None) -> Ended:
    stdout, stderr = await process.communicate(content)
    assert process.returncode is not None
    return Ended(process.returncode, (stdout or b"").decode(), (stderr or b"").decode())
