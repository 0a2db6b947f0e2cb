"""Callers that misbehave with raw calls: repeat, race, abort, abandon, and send too late.

Each is a function of an `Errand`. What must hold in the end is checked by `upload_audit.py`, from
the story.
"""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from tests.chaos.caller import Caller, OutOfPatience
from tests.chaos.ledger import ABORTED, COMPLETED, Look, Sending, Story
from tests.chaos.plans import Planned

Part = upload_pb2.PresignedPart

_SECOND = 1.1


@dataclass(slots=True)
class Errand:
    """One upload by raw calls. `grant_of` decrypts an upload_id; `exists` asks storage itself.

    `sources` are the errands of the uploads that it is to be composed of.
    """

    caller: Caller
    story: Story
    planned: Planned
    data: bytes
    grant_of: Callable[[str], Any]
    exists: Callable[[str], Awaitable[bool]]
    upload_id: str = ""
    sources: "Sequence[Errand]" = ()

    @property
    def chance(self) -> random.Random:
        return self.planned.chance

    def request(self) -> pb.InitializeRequest:
        return pb.InitializeRequest(
            policy=self.planned.policy,
            file_name=self.planned.name,
            size_bytes=self.planned.size_bytes,
            part_size_bytes=self.planned.part_size_bytes,
            request_id=str(uuid.UUID(int=self.chance.getrandbits(128), version=4)),
            presign_parts=10,
        )

    async def initialize(self, request: pb.InitializeRequest | None = None) -> Sequence[Part]:
        """Initialize the upload, and return its presigned parts."""
        response, answer = await self._ask("Initialize", request or self.request())
        if response is None:
            raise OutOfPatience(f"Initialize: {answer.reason} {answer.code}")
        self._know(response.upload)
        return await self.presigned() if not response.parts else list(response.parts)

    async def repeat(self, request: pb.InitializeRequest) -> None:
        """Repeat Initialize, and record the answer."""
        await self._ask("Initialize", request)

    async def list(self) -> None:
        """List uploads and stored parts, to exercise the calls to storage and Redis."""
        await self._ask("ListUploads", pb.ListUploadsRequest(page_size=5))
        await self._ask("ListParts", pb.ListPartsRequest(upload_id=self.upload_id))

    async def presigned(self) -> Sequence[Part]:
        """Presign the missing parts; return none if the upload is not active."""
        request = pb.BatchPresignPartsRequest(upload_id=self.upload_id)
        response, _ = await self._ask("BatchPresignParts", request)
        return list(response.parts) if response is not None else []

    async def send(self, parts: Sequence[Part]) -> None:
        """Send each part until storage gives a final answer; report those it accepted."""
        for part in parts:
            for _ in range(20):
                sending = await self._send_once(part)
                if sending.status in (200, 404, 412):
                    break
                await asyncio.sleep(0.2)
            if sending.status == 200:
                await self.report(part)

    async def report(self, part: Part) -> None:
        sent = upload_pb2.Part(part_number=part.part_number, size_bytes=part.size_bytes)
        request = pb.ReportPartsRequest(upload_id=self.upload_id, parts=[sent])
        response, _ = await self._ask("ReportParts", request)
        if response is None:
            return
        if response.results[0].status.code:
            self.story.wrong.append(f"a report was refused: {response.results[0].status.message}")
        else:
            self.story.reports.setdefault(part.part_number, time.monotonic())

    async def put(self, part: Part, *, right: bool = True) -> Sending:
        return await self.caller.put(self.story, part, self.data, right=right)

    async def upload_part(self, part: Part) -> Sending:
        return await self.caller.upload_part(
            self.story, part, self.data, self.upload_id, self.chance
        )

    async def complete(self, parts: Sequence[upload_pb2.Part] = ()) -> Any:
        request = pb.CompleteRequest(upload_id=self.upload_id, parts=parts)
        return (await self._ask("Complete", request))[1]

    async def abort(self) -> Any:
        return (await self._ask("Abort", pb.AbortRequest(upload_id=self.upload_id)))[1]

    async def status(self, *, progress: bool = False) -> Any:
        view = pb.STATUS_VIEW_PROGRESS if progress else pb.STATUS_VIEW_UNSPECIFIED
        request = pb.StatusRequest(upload_id=self.upload_id, view=view)
        return (await self._ask("Status", request))[1]

    async def watch(self) -> None:
        """Watch until the upload ends. Raises OutOfPatience."""
        request = pb.WatchRequest(upload_id=self.upload_id)
        await self.caller.watch(self.story, request, self.chance)

    async def compose(self, request: pb.ComposeRequest) -> None:
        response, _ = await self._ask("Compose", request)
        if response is not None:
            self._know(response.upload)

    async def finish(self) -> None:
        """Complete; resend parts reported missing, as any caller would."""
        for _ in range(5):
            answer = await self.complete()
            if answer.reason != "PARTS_MISSING":
                return
            await self.send(await self.presigned())

    async def look(self) -> None:
        """Check storage itself for the object, once the upload was reported ABORTED."""
        if self.story.said(ABORTED) and not self.story.in_flight(self.story.aborts[0]):
            at = time.monotonic()
            self.story.looks.append(Look(at, await self.exists(self.story.key)))

    async def _send_once(self, part: Part) -> Sending:
        if self.planned.kind == "via-service" and self.chance.random() < 0.7:
            return await self.upload_part(part)
        return await self.put(part)

    def _know(self, upload: upload_pb2.Upload) -> None:
        grant, story = self.grant_of(upload.id), self.story
        self.upload_id = upload.id
        story.sid, story.key, story.single = grant.sid, upload.object.key, grant.single
        story.part_count = upload.part_count
        story.expires_at = time.monotonic() + upload.expire_time.ToSeconds() - time.time()

    async def _ask(self, verb: str, request: Any) -> Any:
        return await self.caller.ask(self.story, verb, request, self.chance)


async def plain(errand: Errand) -> None:
    """Upload with every call once and in order."""
    await errand.send(await errand.initialize())
    await errand.status(progress=True)
    await errand.finish()


async def repeated(errand: Errand) -> None:
    """Make every call twice."""
    request = errand.request()
    await errand.initialize(request)
    await errand.send(await errand.initialize(request))
    await errand.finish()
    await errand.finish()
    await errand.repeat(request)
    await errand.list()
    await errand.abort()
    await errand.status(progress=True)


async def race_complete(errand: Errand) -> None:
    """Complete from three callers at once, with Status in parallel."""
    await errand.send(await errand.initialize())
    await asyncio.gather(
        errand.finish(), errand.finish(), errand.finish(), errand.status(), errand.status()
    )
    await errand.status()


async def race_abort(errand: Errand) -> None:
    """Complete and Abort at once, twice each; then repeat every call."""
    await errand.send(await errand.initialize())

    async def soon(call: Callable[[], Awaitable[Any]]) -> None:
        await asyncio.sleep(errand.chance.uniform(0, 0.03))
        await call()

    calls = [errand.complete, errand.abort, errand.status]
    await asyncio.gather(*(soon(call) for call in (*calls, errand.complete, errand.abort)))
    await errand.look()
    for call in calls:
        await call()


async def abort(errand: Errand) -> None:
    """Abort after some parts, twice, then Complete."""
    parts = await errand.initialize()
    await errand.send(parts[: errand.chance.randint(0, errand.story.part_count - 1)])
    await errand.abort()
    await errand.look()
    await errand.abort()
    await errand.complete()
    await errand.status(progress=True)


async def abort_late_part(errand: Errand) -> None:
    """Abort, then send the parts anyway with the earlier URLs; then sometimes Complete."""
    parts = await errand.initialize()
    await errand.send(parts[: errand.story.part_count - 1])
    await errand.abort()
    await errand.look()
    await asyncio.gather(*(errand.put(part) for part in parts))
    await errand.status()
    if errand.chance.random() < 0.3:
        await errand.complete()


async def abort_in_flight(errand: Errand) -> None:
    """Abort while the parts are in flight, then Complete."""
    parts = await errand.initialize()
    await asyncio.gather(*(errand.put(part) for part in parts), errand.abort())
    await errand.complete()
    await errand.status()


async def lost_reply(errand: Errand) -> None:
    """Lose the reply of Initialize, and come back with the same request_id."""
    request = errand.request()
    for _ in range(errand.chance.randint(1, 3)):
        stub = errand.chance.choice(errand.caller.stubs)
        call = asyncio.ensure_future(_awaited(stub.Initialize(request, timeout=10)))
        await asyncio.wait({call}, timeout=errand.chance.uniform(0, 0.02))
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            # However it ended, the reply counts as lost.
            await call
    await errand.send(await errand.initialize(request))
    await errand.finish()


async def manifest(errand: Errand) -> None:
    """Complete with a list of parts, repeat it, and then with a different list."""
    parts = await errand.initialize()
    await errand.send(parts)
    named = [upload_pb2.Part(part_number=p.part_number, size_bytes=p.size_bytes) for p in parts]
    answer = await errand.complete(named)
    for _ in range(4):
        if answer.reason != "PARTS_MISSING":
            break
        await errand.send(await errand.presigned())
        answer = await errand.complete(named)
    await errand.complete(named)
    await errand.complete(named[1:])
    await errand.status()


async def resent(errand: Errand) -> None:
    """Send wrong bytes of the right length, then the right ones, and the right ones again."""
    parts = await errand.initialize()
    for part in parts:
        await errand.put(part, right=False)
    # SeaweedFS lists both sendings with times in whole seconds: any sooner, which came last could
    # not be determined.
    await asyncio.sleep(_SECOND)
    await errand.send(parts)
    await errand.send(parts[:1])
    await errand.finish()


async def abandoned(errand: Errand) -> None:
    """Send some or all parts, and never come back."""
    parts = await errand.initialize()
    await errand.send(parts[: errand.chance.randint(0, errand.story.part_count)])
    errand.story.abandoned = True


async def via_service(errand: Errand) -> None:
    """Send some parts through the service and some by PUT, and one more after the end."""
    parts = await errand.initialize()
    await errand.send(parts)
    await errand.status(progress=True)
    await errand.finish()
    await errand.upload_part(parts[0])
    await errand.status()


async def watched(errand: Errand) -> None:
    """Watch twice in parallel from the first part to the end, which is sometimes an Abort."""
    parts = await errand.initialize()
    watches = [asyncio.create_task(errand.watch()) for _ in range(2)]
    try:
        await errand.send(parts)
        # So that the end falls within a pause of a Watch, or at the end of one.
        await asyncio.sleep(errand.chance.uniform(0, 0.5))
        calls: list[Awaitable[Any]] = [errand.finish()]
        calls += [errand.abort()] if errand.chance.random() < 0.4 else []
        await asyncio.gather(*calls)
        await asyncio.gather(*watches)
    finally:
        for watch in watches:
            watch.cancel()
    await errand.watch()
    await errand.status()


async def compose(errand: Errand) -> None:
    """Upload the sources and compose them, up to twice at once, and once more; then Abort."""
    await asyncio.gather(*(plain(source) for source in errand.sources))
    if not all(source.story.said(COMPLETED) for source in errand.sources):
        return
    request = pb.ComposeRequest(
        policy=errand.planned.policy,
        file_name=errand.planned.name,
        sources=[pb.ComposeSource(upload_id=source.upload_id) for source in errand.sources],
        delete_sources=errand.planned.delete_sources,
        request_id=str(uuid.UUID(int=errand.chance.getrandbits(128), version=4)),
    )
    if errand.planned.delete_sources:
        for source in errand.sources:
            source.story.removable = time.monotonic()
    await asyncio.gather(*(errand.compose(request) for _ in range(errand.chance.randint(1, 2))))
    await errand.compose(request)
    if errand.upload_id:
        await errand.abort()
        await errand.watch()
        await errand.status(progress=True)


async def _awaited(call: Awaitable[Any]) -> Any:
    return await call


RAW_CALLERS: Mapping[str, Callable[[Errand], Awaitable[None]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        plain,
        repeated,
        race_complete,
        race_abort,
        abort,
        abort_late_part,
        abort_in_flight,
        lost_reply,
        manifest,
        resent,
        abandoned,
        via_service,
        watched,
        compose,
    )
}
"""By kind, as `plans.KINDS` names them."""
