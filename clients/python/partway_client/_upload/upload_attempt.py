"""Sends the parts of one started Upload and completes it, in a few rounds if necessary."""

from collections.abc import Collection, Sequence

from partway_client import errors
from partway_client._upload.checksums import PartChecksums
from partway_client._upload.completion import Completion, parts_to_resend
from partway_client._upload.context import UploadContext
from partway_client._upload.part_reporter import PartReporter
from partway_client._upload.part_transfer import PartTransfer, UploadGone
from partway_client._upload.presigned_urls import PresignedUrls
from partway_client._upload.route_choice import RouteChoice
from partway_client._upload.stored_parts import StoredParts
from partway_client._upload.upload_start import StartedUpload
from partway_client.models import Phase, State, UploadInfo

_ROUNDS = 3


class UploadAttempt:
    """One attempt to send and complete an Upload."""

    def __init__(self, context: UploadContext, started: StartedUpload) -> None:
        upload = started.upload
        self._context = context
        self._started = started
        self._etags: dict[int, str] = {}
        self._checksums = PartChecksums(
            source=context.source, upload=upload, whole=started.whole_checksum
        )
        self._completion = Completion(context, checksums=self._checksums, etags=self._etags)
        self._stored = StoredParts(context, upload=upload, checksums=self._checksums)

    async def run(self) -> UploadInfo:
        """Return the Upload, completed. Raises PartwayError."""
        upload, meter = self._started.upload, self._context.meter
        meter.planned(upload.size_bytes, upload.part_count)
        before = await self._completion.settle(upload)
        if before.state is State.COMPLETED:
            meter.stored(upload.size_bytes, upload.part_count, resumed=True)
            return before
        reporter = PartReporter(rpc=self._context.rpc, upload=upload, retry=self._context.retry)
        try:
            after = await self._send_and_complete(upload, reporter)
        finally:
            await reporter.stop()
        meter.stored(upload.size_bytes, upload.part_count, resumed=False)
        return after

    async def _send_and_complete(self, upload: UploadInfo, reporter: PartReporter) -> UploadInfo:
        transfer = self._transfer(reporter)
        again: Collection[int] = ()
        problem: errors.PartwayError | None = None
        for number in range(_ROUNDS):
            try:
                if number:
                    todo = await self._stored.missing(again)
                else:
                    todo = await self._first_parts(reporter)
                await self._send(transfer, todo, again)
                upload = await self._completion.complete(upload)
                if upload.state is State.COMPLETED:
                    return upload
            except (errors.PartsMissing, errors.PartsMismatch, errors.PartsRefused) as error:
                problem = error
                again = parts_to_resend(error, upload)
            except (errors.UploadNotActive, UploadGone) as error:
                problem = error
                upload = await self._status_after(error)
            upload = await self._completion.settle(upload)
            if upload.state is State.COMPLETED:
                return upload
        raise _final_error(problem)

    async def _first_parts(self, reporter: PartReporter) -> Sequence[int]:
        """Return the parts to send in the first round."""
        numbers = range(1, self._started.upload.part_count + 1)
        if not self._context.entry.found:
            return numbers
        stored = await self._stored.from_before()
        self._etags.update({part.part_number: part.etag for part in stored})
        reporter.sent(self._etags)
        return [n for n in numbers if n not in self._etags]

    async def _send(
        self, transfer: PartTransfer, todo: Sequence[int], again: Collection[int]
    ) -> None:
        meter, source = self._context.meter, self._context.source
        meter.enter(Phase.SENDING)
        await self._checksums.check(again)
        await transfer.send(todo)
        source.check()
        meter.enter(Phase.COMPLETING)

    def _transfer(self, reporter: PartReporter) -> PartTransfer:
        def on_sent(number: int, etag: str) -> None:
            self._etags[number] = etag
            reporter.sent([number])

        context, started = self._context, self._started
        urls = PresignedUrls(context, upload=started.upload, checksums=self._checksums)
        urls.keep(started.first_urls)
        return PartTransfer(
            context,
            upload=started.upload,
            checksums=self._checksums,
            urls=urls,
            route=RouteChoice(route=context.options.route, offered=started.accepts_parts),
            on_sent=on_sent,
        )

    async def _status_after(self, error: errors.PartwayError) -> UploadInfo:
        """Return the Upload, after a call or storage said that it is not active."""
        metadata = error.metadata if isinstance(error, errors.ServiceError) else {}
        if metadata.get("abort_reason") == "ABORT_REASON_EXPIRED":
            raise errors.UploadAborted("expired") from None
        return await self._context.rpc.status(self._started.upload.upload_id)


def _final_error(problem: errors.PartwayError | None) -> errors.PartwayError:
    if problem is None:
        return errors.TransferFailed("it did not join the parts")
    if isinstance(problem, UploadGone):
        return errors.TransferFailed("it does not know the multipart upload of this upload")
    return problem
