"""One object of several, as a client sees it: ask for it, and wait until storage has copied."""

from partway.v1 import upload_service_pb2 as service_pb

from partway_client._progress_meter import Meter
from partway_client._transport.retry import Pace
from partway_client._transport.rpc import Calls
from partway_client.errors import UploadAborted
from partway_client.models import Phase, State, UploadInfo

_POLLS_PER_COMPOSE = 8

_OVER = (State.ABORTING, State.ABORTED)


class Composing:
    """One composition, from its request to its object."""

    def __init__(self, *, calls: Calls, meter: Meter, pace: Pace) -> None:
        self._calls = calls
        self._meter = meter
        self._pace = pace

    async def run(self, request: service_pb.ComposeRequest) -> UploadInfo:
        """The Upload, completed. Raises PartwayError.

        It waits as long as the service is at it, which the deadline of the Upload ends.
        """
        self._meter.enter(Phase.STARTING)
        upload = await self._calls.compose(request)
        self._meter.planned(upload.size_bytes, upload.part_count)
        polls = 0
        while upload.state is not State.COMPLETED:
            if upload.state in _OVER:
                raise UploadAborted(upload.abort_reason)
            self._tell(upload)
            polls += 1
            await self._pace.back_off(min(polls, 6), base=0.25, cap=5.0, at_least=0.2)
            if polls % _POLLS_PER_COMPOSE:
                upload = await self._calls.status(upload.upload_id, progress=True)
            else:
                # What the service forgot of it, this tells it again.
                upload = await self._calls.compose(request)
        self._meter.stored(upload.size_bytes, upload.part_count, resumed=False)
        self._meter.enter(Phase.DONE)
        return upload

    def _tell(self, upload: UploadInfo) -> None:
        if (held := upload.progress) is not None:
            self._meter.stored(held.bytes_stored, held.parts_stored, resumed=False)
        joining = upload.state is State.COMPLETING
        self._meter.enter(Phase.COMPLETING if joining else Phase.COPYING)
