"""Calls Partway by its stubs, as its own client does."""

import asyncio
import importlib.resources
from collections.abc import Awaitable, Callable, Sequence

import grpc
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc

from bench.peers.driver import PART_BYTES, Driver, PartUrl, Upload, file_size

_ACQUAINTED = 500
_CLOCKS_DIFFER_SECONDS = 6


class PartwayDriver(Driver):
    """Calls `partway-server serve`."""

    _own: Upload | None = None

    def __init__(self, address: str, storage: str) -> None:
        super().__init__(address, storage)
        # As the contract asks callers to: on a busy machine Redis may be late.
        config = [("grpc.service_config", _service_config())]
        self._channel = grpc.aio.insecure_channel(address, options=config)
        self._stub = rpc.UploadServiceStub(self._channel)

    async def open(self, parts: int) -> Upload:
        return await self._open(parts, pb.InitializeRequest(), parts == 1)

    async def _open(self, parts: int, request: pb.InitializeRequest, presign: bool) -> Upload:
        request.file_name = "video.mp4"
        request.size_bytes = file_size(parts)
        request.part_size_bytes = PART_BYTES
        # The URL of a small file comes with the answer.
        request.presign_parts = int(presign)
        answer = await self._stub.Initialize(request)
        assert answer.upload.part_count == parts
        return Upload(answer.upload.id, parts, {"urls": list(map(_part_url, answer.parts))})

    async def urls(self, upload: Upload, count: int) -> list[PartUrl]:
        known: list[PartUrl] = upload.known["urls"][:count]
        if len(known) == count:
            return known
        return await self._stream(upload, pb.PresignPartsRequest(), count)

    async def _stream(
        self, upload: Upload, request: pb.PresignPartsRequest, count: int
    ) -> list[PartUrl]:
        request.upload_id = upload.id
        request.ranges.add(first=1, last=count)
        found: list[PartUrl] = []
        async for message in self._stub.PresignParts(request):
            found += map(_part_url, message.parts)
        assert len(found) == count
        return found

    async def prepare_urls_with_checksums(self, parts: int) -> Callable[[], Awaitable[object]]:
        """Return the call that gets all URLs of an upload, each for the checksum of its part."""
        crc64 = upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME
        upload = await self._open(parts, pb.InitializeRequest(checksum_algorithm=crc64), False)
        request = pb.PresignPartsRequest(
            checksums=[
                pb.PartChecksum(part_number=n, checksum=n.to_bytes(8, "big"))
                for n in range(1, parts + 1)
            ]
        )
        return lambda: self._stream(upload, request, parts)

    async def complete(self, upload: Upload, etags: Sequence[str]) -> None:
        parts = [upload_pb2.Part(part_number=n, etag=etag) for n, etag in enumerate(etags, 1)]
        await self._stub.Complete(pb.CompleteRequest(upload_id=upload.id, parts=parts))

    async def small(self) -> None:
        self._own = self._own or await self.open(2)
        request = pb.BatchPresignPartsRequest(upload_id=self._own.id)
        request.ranges.add(first=1, last=1)
        await self._stub.BatchPresignParts(request)

    async def acquaint(self) -> None:
        """Give the service time to know its Redis: all shards, for as long as clocks may differ.

        Of session records that are older than that it asks storage.
        """
        for _ in range(_ACQUAINTED):
            upload = await self.open(2)
            await self._stub.Status(pb.StatusRequest(upload_id=upload.id))
        await asyncio.sleep(_CLOCKS_DIFFER_SECONDS)
        await super().acquaint()

    async def aclose(self) -> None:
        await self._channel.close()
        await super().aclose()


def _service_config() -> str:
    return importlib.resources.files("partway.v1").joinpath("service_config.json").read_text()


def _part_url(part: upload_pb2.PresignedPart) -> PartUrl:
    return PartUrl(part.url, dict(part.headers))
