"""Observe the calls to storage: a decorator over its interface, for metrics, traces and logs."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from partway_server.domain.grant import CopySource, Grant
from partway_server.observability.store_calls import CallObserver, Store, StoreCall
from partway_server.storage.base import Head, PresignedPart, Presigner, Storage, StoredPart
from partway_server.storage.base import UnfinishedUpload as Unfinished
from partway_server.storage.call_codes import storage_call_code
from partway_server.storage.capabilities import Capabilities

Presigned = Callable[[Grant, int], None]
"""Is notified how many URLs were presigned for a grant."""


class ObservedStorage:
    """Storage whose calls `observers` are notified of. It is part of no decision."""

    def __init__(
        self,
        storage: Storage,
        observers: Sequence[CallObserver],
        presigned: Presigned = lambda grant, count: None,
    ) -> None:
        self._storage = storage
        self._observers = tuple(observers)
        self._presigned = presigned

    def _call(self, operation: str, grant: Grant) -> StoreCall:
        return StoreCall(
            self._observers,
            storage_call_code,
            Store.STORAGE,
            operation,
            backend=grant.backend,
            bucket=grant.bucket,
            sid=grant.sid,
        )

    def _call_about(self, operation: str, backend: str, bucket: str) -> StoreCall:
        return StoreCall(
            self._observers,
            storage_call_code,
            Store.STORAGE,
            operation,
            backend=backend,
            bucket=bucket,
        )

    def capabilities_of(self, backend: str) -> Capabilities:
        return self._storage.capabilities_of(backend)

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        with self._call("CreateMultipartUpload", grant):
            return await self._storage.create(grant, metadata)

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        with self._call("ListMultipartUploads", grant):
            return await self._storage.list_multiparts(grant)

    async def unfinished(self, backend: str, bucket: str, prefix: str) -> AsyncIterator[Unfinished]:
        listing = self._storage.unfinished(backend, bucket, prefix)
        while True:
            # Each step by itself: between two of them the caller works, for as long as it likes.
            with self._call_about("ListMultipartUploads", backend, bucket):
                found = await anext(listing, None)
            if found is None:
                return
            yield found

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        with self._call("HeadObject" if grant.single else "ListParts", grant):
            return await self._storage.list_parts(grant, after, limit)

    async def copy_part(
        self, grant: Grant, number: int, source: CopySource, begin: int, size: int
    ) -> None:
        with self._call("UploadPartCopy", grant):
            await self._storage.copy_part(grant, number, source, begin, size)

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        with self._call("CompleteMultipartUpload", grant):
            await self._storage.complete(grant, parts, checksum)

    async def abort(self, grant: Grant) -> None:
        with self._call("AbortMultipartUpload", grant):
            await self._storage.abort(grant)

    async def head(self, grant: Grant) -> Head | None:
        with self._call("HeadObject", grant):
            return await self._storage.head(grant)

    async def etags_are_md5(self, grant: Grant) -> bool:
        with self._call("ProbeMd5", grant):
            return await self._storage.etags_are_md5(grant)

    async def delete(self, grant: Grant, head: Head) -> None:
        with self._call("DeleteObject", grant):
            await self._storage.delete(grant, head)

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        # Without I/O, but where the SDK gets credentials: a fault there is a fault of storage.
        with self._call("Credentials", grant):
            presigner = await self._storage.presigner(grant, lifetime, now)
        return _CountedPresigner(presigner, grant, self._presigned)

    async def put_part(
        self, grant: Grant, number: int, body: AsyncIterator[bytes], checksum: bytes, now: datetime
    ) -> StoredPart:
        with self._call("PutObject" if grant.single else "UploadPart", grant):
            return await self._storage.put_part(grant, number, body, checksum, now)

    async def time(self, backend: str, bucket: str) -> datetime | None:
        with self._call_about("HeadBucket", backend, bucket):
            return await self._storage.time(backend, bucket)

    async def check(self, backend: str, bucket: str) -> None:
        with self._call_about("Check", backend, bucket):
            await self._storage.check(backend, bucket)

    async def aclose(self) -> None:
        await self._storage.aclose()


class _CountedPresigner:
    """A presigner whose URLs are counted, those of an iteration that is left early too."""

    def __init__(self, presigner: Presigner, grant: Grant, presigned: Presigned) -> None:
        self._presigner = presigner
        self._grant = grant
        self._presigned = presigned
        self.expire_time = presigner.expire_time

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        count = 0
        try:
            for part in self._presigner.sign(numbers, checksums):
                count += 1
                yield part
        finally:
            if count:
                self._presigned(self._grant, count)
