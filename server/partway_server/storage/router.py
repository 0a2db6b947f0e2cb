"""Route each call to the backend that its grant names."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from partway_server.domain.errors import StorageUnavailable
from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.base import Head, Presigner, Storage, StoredPart, UnfinishedUpload
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.s3 import S3Storage

logger = logging.getLogger(__name__)


class StorageRouter:
    """Backends by name, which may change while calls are in flight.

    Every call to an unknown backend raises StorageUnavailable: another replica may know it already,
    or an operator may restore it.
    """

    def __init__(self, backends: Mapping[str, Storage]) -> None:
        self._backends = dict(backends)
        self._retired: list[Storage] = []

    def replace(self, backends: Mapping[str, Storage]) -> None:
        """Replace all backends. Those that are dropped are only closed in `aclose`.

        Calls may be in flight to them, for as long as storage takes to join parts.
        """
        kept = {id(each) for each in backends.values()}
        self._retired += [each for each in self._backends.values() if id(each) not in kept]
        self._backends = dict(backends)

    def at(self, backend: str) -> Storage:
        """Return the backend of that name. Raises StorageUnavailable if it is unknown."""
        if (storage := self._backends.get(backend)) is None:
            raise StorageUnavailable(backend)
        return storage

    def credentials_ends(self) -> Iterator[tuple[str, str, datetime]]:
        """Yield backend, use and end of all credentials that end, as far as they were used."""
        for name, storage in self._backends.items():
            if isinstance(storage, S3Storage):
                for use, end in storage.credentials_ends().items():
                    yield name, use, end

    def capabilities_of(self, backend: str) -> Capabilities:
        return self.at(backend).capabilities_of(backend)

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        return await self.at(grant.backend).create(grant, metadata)

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        return await self.at(grant.backend).list_multiparts(grant)

    async def unfinished(
        self, backend: str, bucket: str, prefix: str
    ) -> AsyncIterator[UnfinishedUpload]:
        async for found in self.at(backend).unfinished(backend, bucket, prefix):
            yield found

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        return await self.at(grant.backend).list_parts(grant, after, limit)

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        await self.at(grant.backend).complete(grant, parts, checksum)

    async def copy_part(
        self, grant: Grant, number: int, source: CopySource, begin: int, size: int
    ) -> None:
        await self.at(grant.backend).copy_part(grant, number, source, begin, size)

    async def abort(self, grant: Grant) -> None:
        await self.at(grant.backend).abort(grant)

    async def head(self, grant: Grant) -> Head | None:
        return await self.at(grant.backend).head(grant)

    async def etags_are_md5(self, grant: Grant) -> bool:
        return await self.at(grant.backend).etags_are_md5(grant)

    async def delete(self, grant: Grant, head: Head) -> None:
        await self.at(grant.backend).delete(grant, head)

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        return await self.at(grant.backend).presigner(grant, lifetime, now)

    async def put_part(
        self, grant: Grant, number: int, body: AsyncIterator[bytes], checksum: bytes, now: datetime
    ) -> StoredPart:
        return await self.at(grant.backend).put_part(grant, number, body, checksum, now)

    async def time(self, backend: str, bucket: str) -> datetime | None:
        return await self.at(backend).time(backend, bucket)

    async def check(self, backend: str, bucket: str) -> None:
        await self.at(backend).check(backend, bucket)

    async def aclose(self) -> None:
        for storage in (*self._backends.values(), *self._retired):
            try:
                await storage.aclose()
            except Exception:
                # The others must be closed, too.
                logger.exception("failed to close a storage backend")
