"""Sends one part through the service: a stream read from the file as fast as it is taken."""

import asyncio
from collections.abc import AsyncIterator, Callable

from partway_client._upload.checksums import PartChecksums
from partway_client._upload.context import UploadContext
from partway_client._upload.line import PartOnLine
from partway_client._upload.part_outcome import PartOutcome, Verdict, bare_etag
from partway_client.errors import FileUnreadable, PartChanged, ServiceUnreachable
from partway_client.models import UploadInfo

CHUNK_BYTES = 512 * 1024


class GrpcPartSender:
    """Sends parts of one Upload through the service."""

    def __init__(
        self, context: UploadContext, *, upload: UploadInfo, checksums: PartChecksums
    ) -> None:
        self._rpc = context.rpc
        self._upload = upload
        self._source = context.source
        self._checksums = checksums
        self._meter = context.meter
        self._stall_seconds = context.retry.stall_seconds
        self._limit = context.line.limit

    async def send(self, number: int, place: PartOnLine) -> PartOutcome:
        """Try once. Raises FileUnreadable, or FileChanged if the file got shorter."""
        checksum = (await self._checksums.of([number])).get(number, b"")
        loop, counted = asyncio.get_running_loop(), 0
        try:
            async with asyncio.timeout(self._stall_seconds) as limit:

                def on_taken(size_bytes: int) -> None:
                    # Each chunk that is taken extends the limit by another `stall_seconds`.
                    nonlocal counted
                    counted += size_bytes
                    limit.reschedule(loop.time() + self._stall_seconds)
                    self._meter.moved(size_bytes, via_service=True)
                    place.move(size_bytes)
                    if counted == self._upload.part_size(number):
                        place.await_answer()

                place.on_stop = lambda: limit.reschedule(loop.time())
                if place.stopped:
                    place.on_stop()
                answer = await self._rpc.upload_part(
                    self._upload.upload_id, number, checksum, self._chunks(number, on_taken)
                )
        except TimeoutError:
            problem = f"nothing moved to the service for {self._stall_seconds:g} seconds"
            answer = ServiceUnreachable(problem), True
        except OSError as exc:
            raise FileUnreadable(f"cannot read {self._source.name}: {exc.strerror}") from None
        if isinstance(answer, str):
            return PartOutcome(Verdict.DONE, etag=bare_etag(answer))
        self._meter.taken_back(counted)
        error, retried = answer
        if isinstance(error, PartChanged):
            return PartOutcome(Verdict.DAMAGED, error)
        broken = counted > 0 and isinstance(error, ServiceUnreachable)
        return PartOutcome(Verdict.AGAIN if retried else Verdict.REFUSED, error, broken=broken)

    async def _chunks(self, number: int, on_taken: Callable[[int], None]) -> AsyncIterator[bytes]:
        at = self._upload.part_offset(number)
        end = at + self._upload.part_size(number)
        while at < end:
            most = self._limit.piece_bytes(CHUNK_BYTES)
            chunk = self._source.read(at, min(most, end - at))
            await self._limit.wait(len(chunk))
            yield chunk
            at += len(chunk)
            on_taken(len(chunk))
