"""Status: an upload's current state and, on request, its progress as storage lists it."""

from itertools import islice

from partway_server.domain.errors import UploadNotActive
from partway_server.domain.grant import Caller
from partway_server.domain.part_plan import gaps
from partway_server.domain.steps import in_turns
from partway_server.domain.upload import State, Upload
from partway_server.workflow.part_checks import planned
from partway_server.workflow.progress import MAX_MISSING_RUNS, Progress
from partway_server.workflow.resolver import Resolver


class GetStatus:
    """Looks uploads up."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def __call__(
        self, caller: Caller, upload_id: str, *, progress: bool
    ) -> tuple[Upload, Progress | None]:
        """Return the upload, and its progress in storage if it is ACTIVE or COMPLETED.

        Raises UploadNotFound.
        """
        upload = await self._resolver.current_row(self._resolver.grant(caller, upload_id))
        if not progress:
            return upload, None
        plan = upload.grant.plan
        if upload.state is State.COMPLETED:
            return upload, Progress(plan.part_count, plan.size_bytes, ())
        if upload.state is not State.ACTIVE:
            return upload, None
        try:
            held = await in_turns(planned(plan, await self._resolver.stored(upload)))
        except UploadNotActive:
            return await self(caller, upload_id, progress=True)
        sizes = {part.number: part.size_bytes for part in held}
        missing = islice(gaps(sizes.keys(), (1, plan.part_count)), MAX_MISSING_RUNS)
        return upload, Progress(len(held), sum(sizes.values()), list(missing))
