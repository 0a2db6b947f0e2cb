"""The seam to storage: the truth for bytes and outcomes."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.capabilities import Capabilities

_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part as storage holds it. `etag` has no quotes.

    `checksum` is by the Upload's algorithm, where storage tells it. For MD5 it is read from the
    entity tag, and means something only if `Storage.etags_are_md5`.
    """

    number: int
    size_bytes: int
    etag: str
    checksum: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """An object as storage holds it. `etag` has no quotes; `write_token` is "" if it has none.

    `checksum` is that of the whole object by the Upload's algorithm, where storage tells it.
    `metadata` is the caller's, without what the service adds; it tells no two objects apart.
    """

    size_bytes: int
    etag: str
    write_token: str
    version_id: str = ""
    checksum: bytes = b""
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False)


def md5_in(etag: str) -> bytes:
    """The MD5 that `etag` may be, b"" if it cannot be one."""
    return bytes.fromhex(etag) if _MD5.fullmatch(etag) else b""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that is neither complete nor aborted, whoever began it.

    `initiated` is when, by storage's own clock; None where storage does not tell.
    """

    multipart_id: str
    key: str
    initiated: datetime | None = None


class PresignedPart(NamedTuple):
    """How to send one part. The URL is a bearer secret, and no repr shows it.

    A tuple, because ten thousand at a time are made while others wait.
    """

    number: int
    url: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"PresignedPart(number={self.number})"


class MultipartNotFound(Exception):
    """Storage knows no such multipart upload: it was completed, aborted, or never was."""


class SourceChanged(Exception):
    """The object to copy from is not there any more, or is another one."""


class CompleteRefused(Exception):
    """Storage surely did not join the parts, and says why in `code`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CompleteUnknown(Exception):
    """Storage may or may not have joined the parts: look before saying anything."""


class KeyTaken(Exception):
    """There is an object at the key already, and the request was not to replace it."""


class KeyContested(Exception):
    """Another write to the key ran at the same time; storage asks to begin again."""


class Presigner(Protocol):
    """Signs the parts of one Upload until `expire_time`, with no I/O."""

    expire_time: datetime

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        """One PresignedPart for each number, lazily; `checksums` are by number."""
        ...


class Storage(Protocol):
    """Storage: one endpoint with its credentials, or several, each of which is a backend.

    A grant names its backend; what has one endpoint alone does not look at the name. Every method
    with I/O raises StorageUnavailable if storage does not answer, and StorageRefused if it refuses
    the service itself.
    """

    def capabilities_of(self, backend: str) -> Capabilities:
        """What the backend can do. Raises StorageUnavailable if there is none of that name."""
        ...

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        """Open a multipart upload that carries the write token; returns its multipart_id.

        Never sent twice: a lost reply leaves an upload that `list_multiparts` finds.
        """
        ...

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        """The multipart_ids of all unfinished uploads at exactly the grant's key."""
        ...

    def unfinished(self, backend: str, bucket: str, prefix: str) -> AsyncIterator[UnfinishedUpload]:
        """All unfinished uploads of the bucket at keys that begin with `prefix`, as they are read.

        Lazily, a thousand at a time, in the order of the store. What begins or ends meanwhile may
        be among them or not; what is aborted on the way makes no other one be left out. None where
        capabilities say `exact_key_listing_only`.
        """
        ...

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        """The stored parts by number, from `after` (excluded), at most `limit` (None: all).

        Raises MultipartNotFound.
        """
        ...

    async def copy_part(
        self, grant: Grant, number: int, source: CopySource, begin: int, size: int
    ) -> None:
        """Have storage make a part from `size` bytes of another object, from byte `begin` on.

        Only if that object has the ETag of `source`. Safe to repeat. Raises MultipartNotFound,
        SourceChanged. `list_parts` tells what came of it.
        """
        ...

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        """Ask storage, once, to join the parts, if they make the whole object's `checksum`.

        Without one, or where storage verifies none, whatever they make. Raises CompleteRefused,
        CompleteUnknown, KeyTaken or KeyContested. A normal return says that storage says so;
        `head` proves it.
        """
        ...

    async def abort(self, grant: Grant) -> None:
        """Discard the multipart upload. One that is not there is no error, and proves nothing."""
        ...

    async def head(self, grant: Grant) -> Head | None:
        """The object at the grant's key, whoever made it, or None."""
        ...

    async def etags_are_md5(self, grant: Grant) -> bool:
        """Whether entity tags of uploads like this one are MD5s, as tried out with a probe.

        They are not where storage encrypts in certain ways, which an operator may turn on at any
        time: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html.
        """
        ...

    async def delete(self, grant: Grant, head: Head) -> None:
        """Remove the object `head` at the grant's key, where storage can tell: only that one."""
        ...

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        """A signer for the Upload's parts. Its URLs end with the credential, if that is sooner."""
        ...

    async def put_part(
        self, grant: Grant, number: int, body: AsyncIterator[bytes], checksum: bytes, now: datetime
    ) -> StoredPart:
        """Send a part that comes piece by piece, the next piece asked for when one is taken.

        `body` gives exactly the bytes of the plan, which have `checksum` if the Upload has an
        algorithm, or it raises before its last piece: then storage keeps nothing, and so it is if
        the call is cancelled. The only part of a single PUT is the object.

        Raises what `body` raises, MultipartNotFound, PartChanged, KeyTaken, KeyContested.
        """
        ...

    async def check(self, backend: str, bucket: str) -> None:
        """Raises ValueError, in words, if the bucket cannot be used with our credentials.

        Or if it does not give back the metadata that outcomes are proven by.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...
