"""Storage in memory, as strict as S3: for tests and for trying things out.

It keeps no bytes, only what storage would tell of them. Its URLs begin with `memory://` and say
what they allow in plain words: they are not signed, and never end. `put` is what a client does
with them.
"""

import base64
import hashlib
from collections.abc import (
    AsyncIterator,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count, pairwise
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

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
    PresignedPart,
    Presigner,
    SourceChanged,
    StoredPart,
    UnfinishedUpload,
    md5_in,
)
from partway_server.storage.capabilities import KEPT, Capabilities
from partway_server.storage.memory_checksums import CHECKSUMS, CRC64NVME
from partway_server.storage.presigner import (
    WRITE_TOKEN,
    checksum_header,
    object_headers,
    part_headers,
    put_headers,
)

MEMORY = Capabilities(
    source="objects/memory.py",
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


_TOLD = (
    "cache-control",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-tagging",
)
"""The headers of a PUT that are kept with the object, beside its type and its disposition."""


class PutRefused(Exception):
    """What storage answers to a PUT that it does not take: an HTTP status and an S3 code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class MemoryObject:
    """A finished object. `multipart_id` says what it was joined from, "" for a single PUT.

    `headers` are what else was told of it.
    """

    head: Head
    content_type: str
    disposition: str
    metadata: Mapping[str, str]
    multipart_id: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Multipart:
    grant: Grant
    metadata: Mapping[str, str]
    initiated: datetime
    parts: dict[int, StoredPart] = field(default_factory=dict)


class MemoryStorage:
    """One storage endpoint in memory. Without `buckets`, every bucket exists.

    `objects` are the finished ones, by bucket and key. Storage has a clock of its own.
    While `encrypted`, entity tags are no MD5s.
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
        self._multiparts: dict[str, _Multipart] = {}
        self._numbers = count(1)

    def capabilities_of(self, backend: str) -> Capabilities:
        return self.capabilities

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        multipart_id = f"multipart-{next(self._numbers)}"
        self._multiparts[multipart_id] = _Multipart(grant, metadata, self._clock.now())
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
            if after or head is None or head.write_token != grant.write_token:
                return []
            checksum = head.checksum or self._md5(grant, head.etag)
            return [StoredPart(1, head.size_bytes, head.etag, checksum)]
        multipart = self._find(grant)
        if multipart is None:
            raise MultipartNotFound
        numbers = sorted(number for number in multipart.parts if number > after)[:limit]
        parts = [multipart.parts[number] for number in numbers]
        if grant.checksum is Checksum.MD5:
            return [replace(part, checksum=self._md5(grant, part.etag)) for part in parts]
        if self.capabilities.listed_checksums:
            return parts
        return [replace(part, checksum=b"") for part in parts]

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
            parts = [replace(part, checksum=b"") for part in parts]
        if refusal := self._refusal(multipart, parts):
            raise CompleteRefused(refusal)
        whole = self._whole_checksum(multipart, [part.number for part in parts])
        if checksum and whole not in (b"", checksum):
            raise CompleteRefused("BadDigest")
        if present is not None and self.capabilities.conditional_complete:
            raise KeyTaken
        del self._multiparts[grant.multipart_id]
        opened = multipart.grant
        told = object_headers(opened)
        digests = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts))
        self.objects[grant.bucket, grant.key] = MemoryObject(
            Head(
                size_bytes=sum(multipart.parts[part.number].size_bytes for part in parts),
                etag=f"{digests.hexdigest()}-{len(parts)}",
                write_token=opened.write_token,
                checksum=whole,
                metadata=multipart.metadata,
            ),
            told.pop("content-type"),
            told.pop("content-disposition"),
            multipart.metadata,
            grant.multipart_id,
            told,
        )

    def _whole_checksum(self, multipart: _Multipart, numbers: Sequence[int]) -> bytes:
        """That of the object, as S3 keeps it where every part came with its own."""
        parts = [multipart.parts[number] for number in numbers]
        named = multipart.grant.checksum is Checksum.CRC64NVME and all(p.checksum for p in parts)
        if not (named and self.capabilities.whole_checksum):
            return b""
        whole = 0
        for part in parts:
            whole = CRC64NVME.shifted(whole, part.size_bytes) ^ int.from_bytes(part.checksum)
        return whole.to_bytes(8)

    def _complete_again(self) -> None:
        """As SeaweedFS has it: the condition comes first, and the object itself fails it."""
        if self.capabilities.conditional_complete:
            raise KeyTaken
        if not self.capabilities.idempotent_complete:
            raise CompleteUnknown

    def _refusal(self, multipart: _Multipart, parts: Sequence[StoredPart]) -> str:
        """The S3 code of why the parts cannot be joined, "" if they can."""
        if not parts:
            return "MalformedXML"
        if any(second.number <= first.number for first, second in pairwise(parts)):
            return "InvalidPartOrder"
        stored = [multipart.parts.get(part.number) for part in parts]
        sizes = [
            s.size_bytes for s, part in zip(stored, parts, strict=True) if s and _same(s, part)
        ]
        if len(sizes) < len(parts):
            return "InvalidPart"
        if any(size < self.capabilities.limits.min_part_bytes for size in sizes[:-1]):
            return "EntityTooSmall"
        if self.capabilities.equal_parts and len(set(sizes[:-1])) > 1:
            return "InvalidPart"
        return ""

    async def abort(self, grant: Grant) -> None:
        if self._find(grant) is not None:
            del self._multiparts[grant.multipart_id]

    async def head(self, grant: Grant) -> Head | None:
        present = self.objects.get((grant.bucket, grant.key))
        return present.head if present else None

    async def etags_are_md5(self, grant: Grant) -> bool:
        return not self.encrypted

    async def delete(self, grant: Grant, head: Head) -> None:
        present = self.objects.get((grant.bucket, grant.key))
        only = self.capabilities.conditional_delete
        if present is not None and (not only or present.head.etag == head.etag):
            del self.objects[grant.bucket, grant.key]

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        expire_time = now.replace(microsecond=0) + lifetime
        return _MemoryPresigner(grant, expire_time, conditional=self.capabilities.conditional_put)

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
            raise ValueError(f"bucket {bucket!r}: there is no such bucket")

    async def aclose(self) -> None:
        """There is nothing to let go of."""

    def put(self, url: str, body: bytes | int, headers: Mapping[str, str]) -> str:
        """Send a part or a whole object; returns its etag. Raises PutRefused.

        `body` may be a size alone, so that a file of any length can be sent.
        """
        target = urlsplit(url)
        query = parse_qs(target.query, keep_blank_values=True, strict_parsing=True)
        signed = {name: values[0] for name, values in query.items()}
        number, multipart_id = int(signed.pop("partNumber")), signed.pop("uploadId", "")
        sent = {name.lower(): value for name, value in headers.items()}
        size = body if isinstance(body, int) else len(body)
        if str(size) != signed["content-length"] or any(
            sent.get(name) != value for name, value in signed.items() if name != "content-length"
        ):
            raise PutRefused(403, "SignatureDoesNotMatch")
        checksum = self._checksum_of(signed, body)
        content = body if isinstance(body, bytes) else f"{body} bytes".encode()
        etag = hashlib.md5(content + b"encrypted" * self.encrypted).hexdigest()
        part = StoredPart(number, size, etag, checksum)
        place = target.netloc, unquote(target.path[1:])
        if not multipart_id:
            self._put_object(place, part, signed)
        elif number > MAX_PARTS:
            raise PutRefused(400, "InvalidArgument")
        elif (multipart := self._multiparts.get(multipart_id)) is not None:
            multipart.parts[number] = part
        else:
            raise PutRefused(404, "NoSuchUpload")
        return part.etag

    def _checksum_of(self, signed: Mapping[str, str], body: bytes | int) -> bytes:
        """The checksum of the bytes, by the algorithm that was signed; b"" for MD5 or none.

        Of a size alone, it is the one that was signed. Raises PutRefused if it should be another.
        """
        for algorithm, compute in CHECKSUMS.items():
            if (encoded := signed.get(checksum_header(algorithm))) is None:
                continue
            checksum = compute(body) if isinstance(body, bytes) else base64.b64decode(encoded)
            other = checksum != base64.b64decode(encoded)
            if other and algorithm in self.capabilities.checksums:
                raise PutRefused(400, "BadDigest")
            return b"" if algorithm is Checksum.MD5 else checksum
        return b""

    def _put_object(
        self, place: tuple[str, str], part: StoredPart, signed: Mapping[str, str]
    ) -> None:
        if "if-none-match" in signed and place in self.objects:
            raise PutRefused(412, "PreconditionFailed")
        prefix = "x-amz-meta-"
        metadata = {
            name.removeprefix(prefix): value
            for name, value in signed.items()
            if name.startswith(prefix)
        }
        token = metadata.pop(WRITE_TOKEN)
        self.objects[place] = MemoryObject(
            Head(
                part.size_bytes,
                part.etag,
                token,
                checksum=part.checksum if self.capabilities.whole_checksum else b"",
                metadata=metadata,
            ),
            signed["content-type"],
            signed["content-disposition"],
            metadata,
            headers={name: signed[name] for name in _TOLD if name in signed},
        )

    def _find(self, grant: Grant) -> _Multipart | None:
        multipart = self._multiparts.get(grant.multipart_id)
        if multipart is None:
            return None
        opened = multipart.grant
        # An id counts only at its own key, as in S3.
        return multipart if (opened.bucket, opened.key) == (grant.bucket, grant.key) else None


class _MemoryPresigner:
    def __init__(self, grant: Grant, expire_time: datetime, *, conditional: bool) -> None:
        self.expire_time = expire_time
        self._grant = grant
        self._conditional = conditional

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        grant = self._grant
        place = f"memory://{grant.bucket}/{quote(grant.key)}"
        for number in numbers:
            checksum = checksums.get(number)
            if grant.single:
                headers = put_headers(grant, checksum, conditional=self._conditional)
                query = {"partNumber": str(number), **headers}
            else:
                headers = part_headers(grant, number, checksum)
                query = {"partNumber": str(number), "uploadId": grant.multipart_id, **headers}
            yield PresignedPart(number, f"{place}?{urlencode(query)}", headers)


def _put_error(grant: Grant, number: int, refused: PutRefused) -> Exception:
    if refused.code == "BadDigest":
        return PartChanged(grant.sid, number)
    return KeyTaken() if grant.single else MultipartNotFound()


def _same(stored: StoredPart, named: StoredPart) -> bool:
    return stored.etag == named.etag and named.checksum in (b"", stored.checksum)
