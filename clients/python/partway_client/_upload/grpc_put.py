"""One part through the service: a stream that is read from the file as the service takes it."""

import asyncio
from collections.abc import AsyncIterator, Callable

from partway.v1 import upload_service_pb2 as service_pb

from partway_client._progress_meter import Meter
from partway_client._source.file_source import Source
from partway_client._transport.retry import Pace
from partway_client._transport.rpc import Calls
from partway_client._upload.checksums import Sums
from partway_client._upload.http_put import Outcome, Verdict, etag_in
from partway_client.errors import FileUnreadable, PartChanged, ServiceUnreachable
from partway_client.models import UploadInfo

CHUNK_BYTES = 512 * 1024


class Passer:
    """Sends parts of `source` through the service."""

    def __init__(
        self,
        *,
        calls: Calls,
        upload: UploadInfo,
        source: Source,
        sums: Sums,
        meter: Meter,
        pace: Pace,
    ) -> None:
        self._calls = calls
        self._upload = upload
        self._source = source
        self._sums = sums
        self._meter = meter
        self._stall_seconds = pace.stall_seconds

    async def send(self, number: int) -> Outcome:
        """Try once. Raises FileUnreadable, or FileChanged if the file got shorter."""
        checksum = (await self._sums.of([number])).get(number, b"")
        loop, counted = asyncio.get_running_loop(), 0
        try:
            async with asyncio.timeout(self._stall_seconds) as limit:

                def taken(size_bytes: int) -> None:
                    # Each chunk that is taken buys another `stall_seconds`.
                    nonlocal counted
                    counted += size_bytes
                    limit.reschedule(loop.time() + self._stall_seconds)
                    self._meter.moved(size_bytes, via_service=True)

                answer = await self._calls.upload_part(self._messages(number, checksum, taken))
        except TimeoutError:
            problem = f"nothing moved to the service for {self._stall_seconds:g} seconds"
            answer = ServiceUnreachable(problem), True
        except OSError as exc:
            raise FileUnreadable(f"cannot read {self._source.name}: {exc.strerror}") from None
        if isinstance(answer, str):
            return Outcome(Verdict.DONE, etag=etag_in(answer))
        self._meter.taken_back(counted)
        error, repeated = answer
        if isinstance(error, PartChanged):
            return Outcome(Verdict.DAMAGED, error)
        return Outcome(Verdict.AGAIN if repeated else Verdict.REFUSED, error)

    async def _messages(
        self, number: int, checksum: bytes, taken: Callable[[int], None]
    ) -> AsyncIterator[service_pb.UploadPartRequest]:
        upload_id = self._upload.upload_id
        header = service_pb.UploadPartHeader(
            upload_id=upload_id, part_number=number, checksum=checksum
        )
        yield service_pb.UploadPartRequest(header=header)
        at = self._upload.part_offset(number)
        end = at + self._upload.part_size(number)
        while at < end:
            chunk = self._source.read(at, min(CHUNK_BYTES, end - at))
            yield service_pb.UploadPartRequest(chunk=chunk)
            at += len(chunk)
            taken(len(chunk))
