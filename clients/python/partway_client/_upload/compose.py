"""Composes one object of several: asks for it, and waits until storage has copied them."""

from partway_client._progress_meter import ProgressMeter
from partway_client._transport.messages import NewComposition
from partway_client._transport.retry_policy import RetryPolicy
from partway_client._transport.rpc_client import RpcClient
from partway_client.errors import UploadAborted
from partway_client.models import Phase, State, UploadInfo

_POLLS_PER_COMPOSE = 8

_OVER = (State.ABORTING, State.ABORTED)


async def compose(
    new: NewComposition, *, rpc: RpcClient, meter: ProgressMeter, retry: RetryPolicy
) -> UploadInfo:
    """Return the Upload, completed. Raises PartwayError.

    Waits as long as the service is working on it, which the Upload's deadline limits.
    """
    meter.enter(Phase.STARTING)
    upload = await rpc.compose(new)
    meter.planned(upload.size_bytes, upload.part_count)
    polls = 0
    while upload.state is not State.COMPLETED:
        if upload.state in _OVER:
            raise UploadAborted(upload.abort_reason)
        _show(upload, meter)
        polls += 1
        await retry.back_off(min(polls, 6), base=0.25, cap=5.0, at_least=0.2)
        if polls % _POLLS_PER_COMPOSE:
            upload = await rpc.status(upload.upload_id, progress=True)
        else:
            # Restarts the work if the service has lost track of it.
            upload = await rpc.compose(new)
    meter.stored(upload.size_bytes, upload.part_count, resumed=False)
    meter.enter(Phase.DONE)
    return upload


def _show(upload: UploadInfo, meter: ProgressMeter) -> None:
    if (stored := upload.progress) is not None:
        meter.stored(stored.bytes_stored, stored.parts_stored, resumed=False)
    joining = upload.state is State.COMPLETING
    meter.enter(Phase.COMPLETING if joining else Phase.COPYING)
