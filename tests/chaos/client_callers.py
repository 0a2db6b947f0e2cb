"""Callers who use what we give them: `partway_client`, and the `partway` command.

Both are interrupted and then resume: the library by cancelling, the command by SIGKILL. They know
nothing of the faults, and just go on.
"""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partway_client import PartwayError, Route, UploadClient
from partway_client.errors import ServiceError, UploadAborted
from partway_server.runtime.subprocesses import die_with_parent

from tests.chaos.caller import OutOfPatience
from tests.chaos.ledger import COMPLETED, Answer, Story
from tests.chaos.plans import Planned
from tests.support.processes import Partway

_CUTS = 3
_RUN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One file to upload under the planned name and policy."""

    story: Story
    planned: Planned
    file: Path
    patience: float
    grant_of: Callable[[str], Any]

    def know(self, upload_id: str, key: str, part_count: int) -> None:
        grant = self.grant_of(upload_id)
        self.story.sid, self.story.key, self.story.single = grant.sid, key, grant.single
        self.story.part_count = part_count


async def by_library(ask: Ask, clients: Sequence[UploadClient]) -> None:
    """Upload with `partway_client`, retrying failures with the same client."""
    client = ask.planned.chance.choice(clients)
    route = ask.planned.chance.choice((Route.AUTO, Route.SERVICE))
    cuts = _CUTS if ask.planned.kind == "library-cut" else 0
    deadline = time.monotonic() + ask.patience
    while time.monotonic() < deadline:
        began = time.monotonic()
        upload = asyncio.ensure_future(
            client.upload_file(
                ask.file,
                policy=ask.planned.policy,
                part_size=ask.planned.part_size_bytes,
                concurrency=2,
                route=route,
            )
        )
        if cuts and await _cut(upload, ask.planned.chance.uniform(0, 0.25)):
            cuts -= 1
            continue
        cuts = 0
        try:
            done = await upload
        except PartwayError as error:
            ask.story.answers.append(_failed(error, began))
            await asyncio.sleep(0.5)
            continue
        ask.know(done.upload_id, done.key, done.parts)
        ask.story.answers.append(
            Answer(began, time.monotonic(), "upload", COMPLETED, done.etag, done.key)
        )
        return
    raise OutOfPatience("partway_client")


async def by_command(ask: Ask, partway: Partway, killed: Callable[[], None]) -> None:
    """Upload with `partway upload`, killed at random and then run again."""
    deadline, kills = time.monotonic() + ask.patience, _CUTS
    arguments = ("upload", ask.file, "--policy", ask.planned.policy, "--part-size", "5MiB")
    while time.monotonic() < deadline:
        began = time.monotonic()
        process = await partway.start(*arguments, "--json", before=die_with_parent(signal.SIGKILL))
        running = asyncio.ensure_future(process.communicate())
        try:
            if kills and not await _within(running, ask.planned.chance.uniform(0.3, 1.5)):
                kills -= 1
                killed()
            else:
                await _within(running, _RUN_SECONDS)
        finally:
            if not running.done():
                # It may just have ended, with its output still to be read.
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            output, _ = await running
        lines = [json.loads(line) for line in output.splitlines()]
        # What it printed counts, even if it was killed right after.
        if lines and "upload_id" in lines[0]:
            done = lines[0]
            ask.know(done["upload_id"], done["key"], done["parts"])
            answer = Answer(began, time.monotonic(), "partway", COMPLETED, done["etag"])
            ask.story.answers.append(answer)
            return
        if lines:
            reason = lines[0]["reason"] or lines[0]["error"]
            ask.story.answers.append(Answer(began, time.monotonic(), "partway", reason=reason))
        await asyncio.sleep(0.2)
    raise OutOfPatience("partway upload")


async def _within(running: asyncio.Future[Any], seconds: float) -> bool:
    done, _ = await asyncio.wait({running}, timeout=seconds)
    return bool(done)


async def _cut(upload: asyncio.Future[Any], seconds: float) -> bool:
    """Cancel the upload after `seconds`; return whether that came before its end."""
    if await _within(upload, seconds):
        return False
    upload.cancel()
    with contextlib.suppress(asyncio.CancelledError, PartwayError):
        # An end at the same moment counts as one that no one saw.
        await upload
    return True


def _failed(error: PartwayError, began: float) -> Answer:
    ended = time.monotonic()
    if isinstance(error, UploadAborted):
        reason = error.abort_reason.upper()
        return Answer(began, ended, "upload", "ABORTED", abort_reason=reason)
    reason = error.reason if isinstance(error, ServiceError) else type(error).__name__
    return Answer(began, ended, "upload", reason=reason)
