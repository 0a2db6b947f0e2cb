"""Runs the uploads that a seed plans, a fixed number at a time."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partway.v1 import upload_service_pb2 as pb
from partway_client import UploadClient
from partway_client._transport.retry_policy import RetryPolicy

from tests.chaos.caller import Caller, OutOfPatience, a_caller
from tests.chaos.client_callers import Ask, by_command, by_library
from tests.chaos.ledger import NEVER, Ledger, Story
from tests.chaos.plans import Planned, planned
from tests.chaos.raw_callers import RAW_CALLERS, Errand
from tests.support.processes import Partway


@dataclass(slots=True)
class Load:
    """All callers. `grant_of` decrypts an upload_id; `exists` asks storage for a key."""

    seed: str
    ledger: Ledger
    folder: Path
    caller: Caller
    clients: Sequence[UploadClient]
    partways: Sequence[Partway]
    patience: float
    grant_of: Callable[[str], Any]
    exists: Callable[[str], Awaitable[bool]]
    ids: dict[int, str]
    _next: int = 0

    async def run(self, lanes: int, until: Callable[[], bool]) -> None:
        """Upload `lanes` at a time until `until` is true; finish what was begun."""
        async with asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(self._lane(until))

    async def ask_again(self, lanes: int, stories: Sequence[Story], *verbs: str) -> None:
        """Ask for the Status of each once more, as callers may at any later time."""
        waiting = iter([story for story in stories if story.number in self.ids])

        async def lane() -> None:
            for story in waiting:
                request = pb.StatusRequest(upload_id=self.ids[story.number])
                chance = planned(self.seed, story.number).chance
                try:
                    await self.caller.ask(story, "Status", request, chance)
                except OutOfPatience as error:
                    story.unfinished = f"asked again at the end: {error}"

        async with asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(lane())

    async def _lane(self, until: Callable[[], bool]) -> None:
        while not until():
            number, self._next = self._next, self._next + 1
            await self._upload(planned(self.seed, number))

    async def _upload(self, plan: Planned) -> None:
        errand = self._errand(plan)
        try:
            if plan.kind in RAW_CALLERS:
                await RAW_CALLERS[plan.kind](errand)
                self._remember(errand)
            else:
                await self._by_client(errand.story, plan, errand.data)
        except OutOfPatience as error:
            errand.story.unfinished = f"no answer that decides in time; the last was {error}"

    def _errand(self, plan: Planned) -> Errand:
        """Create an errand, and begin its story and those of its sources."""
        sources = [self._errand(source) for source in plan.sources]
        data = b"".join(source.data for source in sources) or plan.chance.randbytes(plan.size_bytes)
        digest = hashlib.sha256(data).hexdigest()
        story = Story(plan.number, plan.kind, plan.name, len(data), digest, time.monotonic())
        story.sources = [source.story for source in sources]
        story.delete_sources = plan.delete_sources
        self.ledger.stories.append(story)
        caller, grant_of = self.caller, self.grant_of
        return Errand(caller, story, plan, data, grant_of, self.exists, sources=sources)

    def _remember(self, errand: Errand) -> None:
        """Remember its id and those of its sources, unless they were to be removed."""
        for each in (errand, *errand.sources):
            if each.upload_id and each.story.removable == NEVER:
                self.ids[each.planned.number] = each.upload_id

    async def _by_client(self, story: Story, plan: Planned, data: bytes) -> None:
        file = self.folder / plan.name
        file.write_bytes(data)
        ask = Ask(story, plan, file, self.patience, self._remembering(plan.number))
        try:
            if plan.kind == "command":
                await by_command(ask, plan.chance.choice(self.partways), self._killed)
            else:
                await by_library(ask, self.clients)
        finally:
            file.unlink()

    def _remembering(self, number: int) -> Callable[[str], Any]:
        def grant_of(upload_id: str) -> Any:
            self.ids[number] = upload_id
            return self.grant_of(upload_id)

        return grant_of

    def _killed(self) -> None:
        self.ledger.client_kills += 1


@asynccontextmanager
async def a_load(
    *, addresses: Sequence[str], folder: Path, patience: float, **given: Any
) -> AsyncIterator[Load]:
    """Open the connections of a Load. `given` are its other fields."""
    async with AsyncExitStack() as stack:
        # By default a service that was never reached is soon given up; here it comes back.
        pace = RetryPolicy(first_call_tries=24)
        yield Load(
            folder=folder,
            patience=patience,
            caller=await stack.enter_async_context(a_caller(addresses, patience)),
            clients=[
                await stack.enter_async_context(
                    UploadClient(address, state_dir=folder / "library", pace=pace)
                )
                for address in addresses
            ],
            partways=[
                await stack.enter_async_context(Partway(address, folder / "command"))
                for address in addresses
            ],
            ids={},
            **given,
        )
