"""Storage in memory, as strict as S3: for tests and for trying things out.

It keeps no bytes, only what storage would report about them. `put` is what a client does with a
URL.
"""

import hashlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count

from partway_server.domain.checksum import Checksum
from partway_server.domain.clock import Clock, SystemClock
from partway_server.domain.errors import PartChanged
from partway_server.domain.grant import CopySource, Grant
from partway_server.domain.part_plan import MAX_PARTS
from partway_server.storage.base import (
    CompleteRefused,
    CompleteUnknown,
    Head,
    KeyTaken,
    MultipartNotFound,
    Presigner,
    SourceChanged,
    StoredPart,
    UnfinishedUpload,
    md5_in,
    single_part,
)
from partway_server.storage.capabilities import KEPT, Capabilities
from partway_server.storage.memory_objects import MemoryMultipart, MemoryObject
from partway_server.storage.memory_urls import MemoryPresigner, MemoryPut, PutRefused
from partway_server.storage.obstacles import missing, unusable

MEMORY = Capabilities(
    source="storage/memory.py",
    conditional_put=True,
    conditional_complete=True,
    conditional_delete=True,
    idempotent_complete=True,
    checksums=frozenset({Checksum.CRC32C, Checksum.SHA256, Checksum.CRC64NVME, Checksum.MD5}),
    listed_checksums=True,
    whole_checksum=True,
    md5_etags=True,
    keeps=KEPT,
)


class MemoryStorage:
    """A storage endpoint in memory. Without `buckets`, every bucket exists.

    `objects` are the finished ones, by bucket and key. Storage has its own clock. While
    `encrypted`, ETags are not MD5s.
    """

    def __init__(
        self,
        *,
        capabilities: Capabilities = MEMORY,
        buckets: Collection[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.capabilities = capabilities
        self.objects: dict[tuple[str, str], MemoryObject] = {}
        self._buckets = buckets
        self._clock = clock or SystemClock()
        self.encrypted = False
        self._multiparts: dict[str, MemoryMultipart] = {}
        self._numbers = count(1)

    def capabilities_of(self, backend: str) -> Capabilities:
        return self.capabilities

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        multipart_id = f"multipart-{next(self._numbers)}"
        self._multiparts[multipart_id] = MemoryMultipart(grant, metadata, self._clock.now())
        return multipart_id

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        place = grant.bucket, grant.key
        return [
            multipart_id
            for multipart_id, multipart in self._multiparts.items()
            if (multipart.grant.bucket, multipart.grant.key) == place
        ]

    async def unfinished(
        self, backend: str, bucket: str, prefix: str
    ) -> AsyncIterator[UnfinishedUpload]:
        if self.capabilities.exact_key_listing_only:
            return
        for multipart_id, multipart in tuple(self._multiparts.items()):
            opened = multipart.grant
            if opened.bucket == bucket and opened.key.startswith(prefix):
                yield UnfinishedUpload(multipart_id, opened.key, multipart.initiated)

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        if grant.single:
            head = await self.head(grant)
            return [] if after else single_part(grant, head, self.capabilities)
        multipart = self._find(grant)
        if multipart is None:
            raise MultipartNotFound
        numbers = sorted(number for number in multipart.parts if number > after)[:limit]
        parts = [multipart.parts[number] for number in numbers]
        if grant.checksum is Checksum.MD5:
            return [part._replace(checksum=self._md5(grant, part.etag)) for part in parts]
        if self.capabilities.listed_checksums:
            return parts
        return [part._replace(checksum=b"") for part in parts]

    def _md5(self, grant: Grant, etag: str) -> bytes:
        wanted = grant.checksum is Checksum.MD5 and self.capabilities.md5_etags
        return md5_in(etag) if wanted else b""

    async def copy_part(
        self, grant: Grant, number: int, source: CopySource, begin: int, size: int
    ) -> None:
        present = self.objects.get((source.bucket, source.key))
        multipart = self._find(grant)
        if multipart is None:
            raise MultipartNotFound
        whole = present is not None and begin + size <= present.head.size_bytes
        if present is None or not whole or present.head.etag != source.etag:
            raise SourceChanged
        copied = hashlib.md5(f"{source.etag} {begin} {size}".encode()).hexdigest()
        multipart.parts[number] = StoredPart(number, size, copied)

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        multipart = self._find(grant)
        present = self.objects.get((grant.bucket, grant.key))
        if multipart is None:
            if present is None or present.multipart_id != grant.multipart_id:
                raise CompleteUnknown
            self._complete_again()
            return
        if grant.checksum is Checksum.MD5:
            # Complete has no field for it.
            parts = [part._replace(checksum=b"") for part in parts]
        if refusal := multipart.refusal(parts, self.capabilities):
            raise CompleteRefused(refusal)
        whole = multipart.whole_checksum([part.number for part in parts], self.capabilities)
        if checksum and whole not in (b"", checksum):
            raise CompleteRefused("BadDigest")
        if present is not None and self.capabilities.conditional_complete:
            raise KeyTaken
        del self._multiparts[grant.multipart_id]
        digests = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts))
        self.objects[grant.bucket, grant.key] = MemoryObject.from_parts(
            multipart,
            grant.multipart_id,
            etag=f"{digests.hexdigest()}-{len(parts)}",
            size=sum(multipart.parts[part.number].size_bytes for part in parts),
            whole=whole,
        )

    def _complete_again(self) -> None:
        """Repeat a Complete as SeaweedFS does: the condition is checked first, and fails."""
        if self.capabilities.conditional_complete:
            raise KeyTaken
        if not self.capabilities.idempotent_complete:
            raise CompleteUnknown

    async def abort(self, grant: Grant) -> None:
        if self._find(grant) is not None:
            del self._multiparts[grant.multipart_id]

    async def head(self, grant: Grant) -> Head | None:
        present = self.objects.get((grant.bucket, grant.key))
        return present.head if present else None

    async def time(self, backend: str, bucket: str) -> datetime | None:
        return None

    async def etags_are_md5(self, grant: Grant) -> bool:
        return not self.encrypted

    async def delete(self, grant: Grant, head: Head) -> None:
        present = self.objects.get((grant.bucket, grant.key))
        only = self.capabilities.conditional_delete
        if present is not None and (not only or present.head.etag == head.etag):
            del self.objects[grant.bucket, grant.key]

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        expire_time = now.replace(microsecond=0) + lifetime
        return MemoryPresigner(grant, expire_time, conditional=self.capabilities.conditional_put)

    async def put_part(
        self, grant: Grant, number: int, body: AsyncIterator[bytes], checksum: bytes, now: datetime
    ) -> StoredPart:
        presigner = await self.presigner(grant, timedelta(), now)
        [part] = presigner.sign([number], {number: checksum} if checksum else {})
        content = b"".join([piece async for piece in body])
        try:
            etag = self.put(part.url, content, part.headers)
        except PutRefused as refused:
            raise _put_error(grant, number, refused) from None
        return StoredPart(number, len(content), etag, checksum)

    async def check(self, backend: str, bucket: str) -> None:
        if self._buckets is not None and bucket not in self._buckets:
            raise unusable(backend, bucket, missing(bucket, backend))

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""

    def put(self, url: str, body: bytes | int, headers: Mapping[str, str]) -> str:
        """Send a part or a whole object and return its ETag. Raises PutRefused.

        `body` may be only a size, so that a file of any length can be sent.
        """
        sent = MemoryPut.parse(url, body if isinstance(body, int) else len(body), headers)
        checksum = sent.checksum(body, self.capabilities.checksums)
        content = body if isinstance(body, bytes) else f"{body} bytes".encode()
        etag = hashlib.md5(content + b"encrypted" * self.encrypted).hexdigest()
        part = StoredPart(sent.number, int(sent.signed["content-length"]), etag, checksum)
        if not sent.multipart_id:
            self._put_object(sent, part)
        elif sent.number > MAX_PARTS:
            raise PutRefused(400, "InvalidArgument")
        elif (multipart := self._multiparts.get(sent.multipart_id)) is not None:
            multipart.parts[sent.number] = part
        else:
            raise PutRefused(404, "NoSuchUpload")
        return part.etag

    def _put_object(self, sent: MemoryPut, part: StoredPart) -> None:
        place = sent.bucket, sent.key
        if "if-none-match" in sent.signed and place in self.objects:
            raise PutRefused(412, "PreconditionFailed")
        self.objects[place] = MemoryObject.from_put(part, sent.signed, self.capabilities)

    def _find(self, grant: Grant) -> MemoryMultipart | None:
        multipart = self._multiparts.get(grant.multipart_id)
        if multipart is None:
            return None
        opened = multipart.grant
        # An ID is valid only at its own key, as in S3.
        return multipart if (opened.bucket, opened.key) == (grant.bucket, grant.key) else None


def _put_error(grant: Grant, number: int, refused: PutRefused) -> Exception:
    if refused.code == "BadDigest":
        return PartChanged(grant.sid, number)
    return KeyTaken() if grant.single else MultipartNotFound()
