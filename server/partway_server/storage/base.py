"""The interface of storage, which is authoritative for bytes and outcomes."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.capabilities import Capabilities

_MD5 = re.compile(r"[0-9a-f]{32}")


class StoredPart(NamedTuple):
    """A part in storage. `etag` has no quotes.

    `checksum` is by the upload's algorithm, if storage returns it. For MD5 it is read from the
    ETag, and valid only if `Storage.etags_are_md5`. A tuple, because there may be ten thousand.
    """

    number: int
    size_bytes: int
    etag: str
    checksum: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """An object in storage. `etag` has no quotes; `write_token` is "" if it has none.

    `checksum` is that of the whole object by the upload's algorithm, if storage returns it.
    `metadata` is the caller's, without what the service adds; it is ignored in comparisons.
    """

    size_bytes: int
    etag: str
    write_token: str
    version_id: str = ""
    checksum: bytes = b""
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False)


def md5_in(etag: str) -> bytes:
    """Return `etag` as an MD5, b"" if it cannot be one."""
    return bytes.fromhex(etag) if _MD5.fullmatch(etag) else b""


def md5_of_etag(grant: Grant, etag: str, capabilities: Capabilities) -> bytes:
    """Return the MD5 in an ETag, if the upload uses MD5 and the store's ETags are MD5s."""
    wanted = grant.checksum is Checksum.MD5 and capabilities.md5_etags
    return md5_in(etag) if wanted else b""


def single_part(grant: Grant, head: Head | None, capabilities: Capabilities) -> list[StoredPart]:
    """Return the only part of a single PUT, which is the object if that is the upload's."""
    if head is None or head.write_token != grant.write_token:
        return []
    checksum = head.checksum or md5_of_etag(grant, head.etag, capabilities)
    return [StoredPart(1, head.size_bytes, head.etag, checksum)]


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that is neither complete nor aborted, of any origin.

    `initiated` is its time by storage's clock; None if storage does not return it.
    """

    multipart_id: str
    key: str
    initiated: datetime | None = None


class PresignedPart(NamedTuple):
    """How to send one part. The URL is a bearer secret, and is not in the repr.

    A tuple, because ten thousand at a time are created while other calls wait.
    """

    number: int
    url: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"PresignedPart(number={self.number})"


class MultipartNotFound(Exception):
    """The multipart upload does not exist: it was completed, aborted, or never created."""


class SourceChanged(Exception):
    """The object to copy from no longer exists, or was replaced."""


class CompleteRefused(Exception):
    """Storage certainly did not join the parts; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CompleteUnknown(Exception):
    """Storage may or may not have joined the parts: ask it before reporting an outcome."""


class KeyTaken(Exception):
    """An object already exists at the key, and the request must not replace it."""


class KeyContested(Exception):
    """A concurrent write to the key conflicted; storage asks to start over."""


class Presigner(Protocol):
    """Presigns the parts of one upload until `expire_time`, with no I/O."""

    expire_time: datetime

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        """Yield a PresignedPart for each number, lazily; `checksums` are by number."""
        ...


class Storage(Protocol):
    """Storage: one endpoint with its credentials, or several, each of which is a backend.

    A grant names its backend; an implementation with a single endpoint ignores the name. Every
    method with I/O raises StorageUnavailable if storage does not respond, and StorageRefused if it
    refuses the service itself.
    """

    def capabilities_of(self, backend: str) -> Capabilities:
        """Return the backend's capabilities. Raises StorageUnavailable if it is unknown."""
        ...

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        """Create a multipart upload that carries the write token, and return its multipart_id.

        Never retried: a lost reply leaves an upload that `list_multiparts` finds.
        """
        ...

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        """Return the multipart_ids of all unfinished uploads at exactly the grant's key."""
        ...

    def unfinished(self, backend: str, bucket: str, prefix: str) -> AsyncIterator[UnfinishedUpload]:
        """Yield all unfinished uploads of the bucket at keys that begin with `prefix`.

        Lazily, a thousand at a time, in the order of the store. Uploads that begin or end meanwhile
        may be included or not; aborting some during the iteration does not skip others. Empty if
        capabilities say `exact_key_listing_only`.
        """
        ...

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        """Return the stored parts by number, from `after` (excluded), at most `limit` (None: all).

        Raises MultipartNotFound.
        """
        ...

    async def copy_part(
        self, grant: Grant, number: int, source: CopySource, begin: int, size: int
    ) -> None:
        """Have storage create a part from `size` bytes of another object, from byte `begin` on.

        Only if that object has the ETag of `source`. Idempotent. Raises MultipartNotFound,
        SourceChanged. `list_parts` returns the result.
        """
        ...

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        """Ask storage, once, to join the parts if the result has `checksum`.

        The checksum is not verified if it is empty or storage cannot. Raises CompleteRefused,
        CompleteUnknown, KeyTaken or KeyContested. A normal return means that storage reported
        success; verify it with `head`.
        """
        ...

    async def abort(self, grant: Grant) -> None:
        """Discard the multipart upload. A missing one is not an error, and proves nothing."""
        ...

    async def head(self, grant: Grant) -> Head | None:
        """Return the object at the grant's key, of any origin, or None."""
        ...

    async def etags_are_md5(self, grant: Grant) -> bool:
        """Return whether ETags of uploads like this one are MD5s, determined with a probe.

        They are not with some kinds of encryption, which an operator may turn on at any time:
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html.
        """
        ...

    async def delete(self, grant: Grant, head: Head) -> None:
        """Delete the object at the grant's key; only that in `head`, if storage supports it."""
        ...

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        """Return a signer for the upload's parts. Its URLs do not outlive the credentials."""
        ...

    async def put_part(
        self, grant: Grant, number: int, body: AsyncIterator[bytes], checksum: bytes, now: datetime
    ) -> StoredPart:
        """Stream a part, requesting each piece of `body` once the one before has been sent.

        `body` yields exactly the planned number of bytes, which have `checksum` if the upload has
        an algorithm, or it raises before its last piece. If it raises, or the call is cancelled,
        storage keeps nothing. The only part of a single PUT is the object.

        Raises what `body` raises, MultipartNotFound, PartChanged, KeyTaken, KeyContested.
        """
        ...

    async def time(self, backend: str, bucket: str) -> datetime | None:
        """Return the time by storage's clock, None if it does not report it.

        A cheap call, sent once. Any response counts as an answer, even if it is a refusal.
        """
        ...

    async def check(self, backend: str, bucket: str) -> None:
        """Raise StoreUnusable, with a message for operators, if the bucket cannot be used.

        That is if storage is out of reach, the credentials are insufficient, or it does not return
        objects' metadata, which outcomes are verified by.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
