"""The life of one upload, as a client sees it.

Begin: take up what the journal remembers, or what somebody else began with the same file, or
Initialize. Send what storage lacks. Complete, and send again what storage turns out to lack. The
service is asked at every turn where the Upload stands, since another client, its janitor or an
operator may have settled it meanwhile.

Others may find an Upload by its fingerprint, which two different files can share. So what storage
holds from before this run is held against the file, ours or not; Complete names the entity tags
that this run saw, so that a part which somebody sent after us is noticed; and of an Upload that
was completed by another call, Complete is asked whether it was of our bytes.
"""

import logging
from collections.abc import Collection, Sequence

import aiohttp
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb

from partway_client import errors
from partway_client._progress_meter import Meter
from partway_client._source.file_source import Source
from partway_client._transport.conversion import checksum_to_proto
from partway_client._transport.retry import Pace
from partway_client._transport.rpc import Calls
from partway_client._upload.checksums import Sums, whole_checksum
from partway_client._upload.grpc_put import Passer
from partway_client._upload.http_put import Putter
from partway_client._upload.options import Wish
from partway_client._upload.part_reporter import Reporter
from partway_client._upload.part_transfer import Transfer, UploadGone
from partway_client._upload.part_verifier import Verifier
from partway_client._upload.presigned_urls import Urls
from partway_client._upload.resume_journal import Entry
from partway_client._upload.resume_lookup import WORTH_BYTES, find_open
from partway_client._upload.route import Way
from partway_client.models import Checksum, PartInfo, Phase, Route, State, UploadInfo

logger = logging.getLogger(__name__)

_ROUNDS = 3
_MOST_POLLS = 400
_POLLS_PER_COMPLETE = 8
_SMALL_BYTES = 16 * 1024 * 1024
"""What is mostly one part: its checksum goes with Initialize, which then signs it at once."""

_OVER = (State.ABORTING, State.ABORTED)
_OVER_ERRORS = (
    errors.UploadAborted,
    errors.UploadNotFound,
    errors.ObjectExists,
    errors.UploadConflict,
)
"""After these there is nothing to resume."""

_STALE = (
    errors.UploadAborted,
    errors.UploadNotFound,
    errors.UploadNotActive,
    errors.RequestIdReused,
    errors.CompletedOtherwise,
)
"""What may become of an Upload between two runs."""


class Uploading:
    """One upload of `source`, from its beginning or from where `entry` says it stopped."""

    def __init__(
        self,
        *,
        source: Source,
        wish: Wish,
        calls: Calls,
        session: aiohttp.ClientSession,
        entry: Entry,
        meter: Meter,
        pace: Pace,
    ) -> None:
        self._source = source
        self._wish = wish
        self._calls = calls
        self._session = session
        self._entry = entry
        self._meter = meter
        self._pace = pace
        self._first_urls: Sequence[pb.PresignedPart] = ()
        self._whole = b""
        self._etags: dict[int, str] = {}
        self._searched = False
        self._offered: bool | None = None

    async def run(self) -> UploadInfo:
        """The Upload, completed. Raises PartwayError.

        Its entry stays, for whoever tells of the Upload to remove after that.
        """
        self._meter.enter(Phase.STARTING)
        try:
            try:
                upload = await self._attempt()
            except _STALE:
                if not self._entry.found or self._meter.parts_sent:
                    raise
                # What an earlier run left is no longer of use, so this one begins anew.
                self._entry.restart()
                upload = await self._attempt()
        except errors.FileChanged:
            stored = await self._abandon()
            self._entry.remove()
            raise errors.FileChanged(stored=stored) from None
        except _OVER_ERRORS:
            self._entry.remove()
            raise
        self._meter.enter(Phase.DONE)
        return upload

    async def _attempt(self) -> UploadInfo:
        upload = await self._begin()
        self._meter.planned(upload.size_bytes, upload.part_count)
        sums = Sums(source=self._source, upload=upload, whole=self._whole)
        before = await self._settled(upload, sums)
        if before.state is State.COMPLETED:
            self._meter.stored(upload.size_bytes, upload.part_count, resumed=True)
            return before
        reporter = Reporter(calls=self._calls, upload=upload, pace=self._pace)
        try:
            after = await self._send_and_complete(upload, sums, reporter)
        finally:
            await reporter.stop()
        self._meter.stored(upload.size_bytes, upload.part_count, resumed=False)
        return after

    async def _begin(self) -> UploadInfo:
        if self._entry.upload_id:
            upload = await self._calls.status(self._entry.upload_id)
            if upload.state is not State.INITIATING:
                return upload
        return await self._found() or await self._open()

    async def _found(self) -> UploadInfo | None:
        """What somebody else began with the same file, if nothing of our own is remembered."""
        wish, size_bytes = self._wish, self._source.size_bytes
        known = bool(self._entry.upload_id) or self._searched
        if known or not (wish.resume and wish.fingerprint) or size_bytes <= WORTH_BYTES:
            return None
        # Once: an Upload that turned out to be of no use would be found again.
        self._searched = True
        upload = await find_open(
            self._calls, fingerprint=wish.fingerprint, size_bytes=size_bytes, now=self._pace.now()
        )
        if upload is not None:
            logger.info("an upload of the same file is open, and is gone on with")
            self._entry.adopt(upload.upload_id)
        return upload

    async def _open(self) -> UploadInfo:
        wish = self._wish
        whole_helps = wish.checksum in (Checksum.BEST, Checksum.CRC64NVME)
        if whole_helps and self._source.size_bytes <= _SMALL_BYTES:
            self._whole = await whole_checksum(self._source)
        request = service_pb.InitializeRequest(
            policy=wish.policy,
            file_name=self._source.name,
            size_bytes=self._source.size_bytes,
            content_type=wish.content_type,
            metadata=wish.metadata,
            part_size_bytes=wish.part_size,
            fingerprint=wish.fingerprint,
            request_id=self._entry.request_id,
            presign_parts=0 if wish.route is Route.SERVICE else wish.window,
            checksum_algorithm=checksum_to_proto(wish.checksum),
            checksum=self._whole,
        )
        upload, self._first_urls, self._offered = await self._calls.initialize(request)
        self._entry.upload_id = upload.upload_id
        self._entry.save()
        return upload

    async def _send_and_complete(
        self, upload: UploadInfo, sums: Sums, reporter: Reporter
    ) -> UploadInfo:
        transfer = self._transfer(upload, sums, reporter)
        todo: Sequence[int] = ()
        again: Collection[int] = ()
        problem: errors.PartwayError | None = None
        for number in range(_ROUNDS):
            try:
                if number:
                    todo = await self._missing(upload, again)
                elif self._entry.found:
                    todo = await self._left(upload, sums, reporter)
                else:
                    todo = range(1, upload.part_count + 1)
                self._meter.enter(Phase.SENDING)
                await sums.check(again)
                await transfer.send(todo)
                self._source.check()
                self._meter.enter(Phase.COMPLETING)
                upload = await self._complete(upload, sums)
                if upload.state is State.COMPLETED:
                    return upload
            except (errors.PartsMissing, errors.PartsMismatch, errors.PartsRefused) as error:
                problem = error
                again = _other_bytes(error, upload)
            except (errors.UploadNotActive, UploadGone) as error:
                problem = error
                upload = await self._look(upload, error)
            upload = await self._settled(upload, sums)
            if upload.state is State.COMPLETED:
                return upload
        raise _given_up(problem)

    async def _complete(self, upload: UploadInfo, sums: Sums) -> UploadInfo:
        checksums, whole = await sums.all()
        # Of one part it is that of the object, which the service looks at by itself.
        etags = self._etags if upload.part_count > 1 else {}
        try:
            return await self._calls.complete(upload.upload_id, checksums, whole, etags)
        except errors.InvalidRequest:
            if whole and self._entry.found and not self._entry.adopted:
                # Another checksum than an earlier run told Initialize, for the same path and time.
                raise errors.FileChanged from None
            raise

    def _transfer(self, upload: UploadInfo, sums: Sums, reporter: Reporter) -> Transfer:
        def on_sent(number: int, etag: str) -> None:
            self._etags[number] = etag
            reporter.sent([number])

        urls = Urls(
            calls=self._calls,
            upload_id=upload.upload_id,
            sums=sums,
            window=self._wish.window,
            batch=self._wish.batch(upload.part_size_bytes),
            pace=self._pace,
        )
        urls.keep(self._first_urls)
        putter = Putter(
            session=self._session,
            source=self._source,
            meter=self._meter,
            stall_seconds=self._pace.stall_seconds,
        )
        passer = Passer(
            calls=self._calls,
            upload=upload,
            source=self._source,
            sums=sums,
            meter=self._meter,
            pace=self._pace,
        )
        return Transfer(
            source=self._source,
            sums=sums,
            urls=urls,
            putter=putter,
            passer=passer,
            way=Way(route=self._wish.route, offered=self._offered),
            meter=self._meter,
            pace=self._pace,
            workers=self._wish.workers(upload.part_size_bytes),
            single=upload.part_count == 1,
            on_sent=on_sent,
        )

    async def _left(self, upload: UploadInfo, sums: Sums, reporter: Reporter) -> Sequence[int]:
        """The parts of an Upload from before this run that storage lacks, or has with other bytes.

        What tells nothing to compare is relied on only where nobody but us began the Upload.
        """
        listed = [] if self._sent_anyway(upload) else await self._planned(upload)
        verifier = Verifier(sums=sums, meter=self._meter)
        held = await verifier.same(listed, trusting=not self._entry.adopted)
        self._etags = {part.part_number: part.etag for part in held}
        reporter.sent(self._etags)
        self._meter.stored(sum(part.size_bytes for part in held), len(held), resumed=True)
        return [n for n in range(1, upload.part_count + 1) if n not in self._etags]

    def _sent_anyway(self, upload: UploadInfo) -> bool:
        """Whether to send all of it without a look: one part that somebody else began."""
        return upload.part_count == 1 and self._entry.adopted

    async def _missing(self, upload: UploadInfo, again: Collection[int]) -> Sequence[int]:
        """The parts that storage does not hold as planned, or of which it has other bytes.

        What it holds is counted as done.
        """
        held = {
            part.part_number: part.size_bytes
            for part in await self._planned(upload)
            if part.part_number not in again
        }
        self._meter.stored(sum(held.values()), len(held), resumed=False)
        return [n for n in range(1, upload.part_count + 1) if n not in held]

    async def _planned(self, upload: UploadInfo) -> list[PartInfo]:
        """The parts that storage holds with the size that the plan says."""
        listed = await self._calls.list_parts(upload.upload_id)
        return [part for part in listed if part.size_bytes == upload.part_size(part.part_number)]

    async def _settled(self, upload: UploadInfo, sums: Sums) -> UploadInfo:
        """The Upload once storage is no longer at it: ACTIVE, or COMPLETED with our bytes.

        Raises UploadAborted, StillCompleting, CompletedOtherwise.
        """
        polls = 0
        while upload.state is State.COMPLETING:
            self._meter.enter(Phase.COMPLETING)
            polls += 1
            if polls > _MOST_POLLS:
                raise errors.StillCompleting
            await self._pace.back_off(min(polls, 6), base=0.5, cap=10.0, at_least=0.2)
            if polls % _POLLS_PER_COMPLETE:
                upload = await self._calls.status(upload.upload_id)
            else:
                # The worker that was at it may have died; this takes over from it.
                upload = await self._complete(upload, sums)
        if upload.state in _OVER:
            raise errors.UploadAborted(upload.abort_reason)
        if upload.state is State.COMPLETED:
            # By which call, Status does not say: a repeat is refused if it was of other bytes.
            self._meter.enter(Phase.COMPLETING)
            return await self._complete(upload, sums)
        return upload

    async def _look(self, upload: UploadInfo, error: errors.PartwayError) -> UploadInfo:
        """Where the Upload stands, after a call or storage said that it is not active."""
        metadata = error.metadata if isinstance(error, errors.ServiceError) else {}
        if metadata.get("abort_reason") == "ABORT_REASON_EXPIRED":
            raise errors.UploadAborted("expired") from None
        return await self._calls.status(upload.upload_id)

    async def _abandon(self) -> bool:
        """Have the service discard the parts. True if there is an object already."""
        if self._entry.adopted:
            # Whoever began the Upload may be at it, with a file that has not changed.
            return False
        try:
            await self._calls.abort(self._entry.upload_id)
        except errors.UploadNotActive as error:
            return error.metadata.get("state") == "UPLOAD_STATE_COMPLETED"
        except errors.PartwayError as error:
            logger.warning(
                "the parts could not be discarded, and will be when they expire: %s", error
            )
        return False


def _other_bytes(error: errors.ServiceError, upload: UploadInfo) -> Collection[int]:
    """The parts that storage holds with other bytes than ours, or all if it does not say which."""
    if isinstance(error, errors.PartsRefused):
        if error.metadata.get("storage_code") != "BadDigest":
            raise error
        return range(1, upload.part_count + 1)
    if isinstance(error, errors.PartsMissing):
        return ()
    named = {n for first, last in error.parts for n in range(first, last + 1)}
    if str(len(named)) != error.metadata.get("mismatch_count", str(len(named))):
        return range(1, upload.part_count + 1)
    return named


def _given_up(problem: errors.PartwayError | None) -> errors.PartwayError:
    if problem is None:
        return errors.TransferFailed("it would not join the parts")
    if isinstance(problem, UploadGone):
        return errors.TransferFailed("it does not know the upload that the service speaks of")
    return problem
