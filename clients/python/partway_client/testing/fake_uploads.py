"""The uploads of a fake service: what may happen to each, without gRPC's calls or HTTP."""

import hashlib
import itertools
import threading
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb

BUCKET = "bucket"

_STAMP = "0" * 28
"""What follows the sid in a key, for commands that look for it there."""
URL_SECONDS = 900
UPLOAD_SECONDS = 24 * 3600
MAX_SECONDS = 7 * 24 * 3600

_ENDED = (pb.UPLOAD_STATE_COMPLETED, pb.UPLOAD_STATE_ABORTED)


class Refusal(Exception):
    """A call is refused: the gRPC code's name, the documented reason, and its metadata."""

    def __init__(self, code: str, reason: str, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.metadata = metadata


@dataclass(frozen=True, slots=True)
class FakeObject:
    """An object in the fake storage."""

    key: str
    content: bytes = field(repr=False)
    content_type: str
    metadata: dict[str, str]


@dataclass(slots=True)
class FakeUpload:
    """An upload, and the parts that were sent, by number."""

    message: pb.Upload
    request: service_pb.InitializeRequest
    parts: dict[int, bytes] = field(default_factory=dict)
    reported: set[int] = field(default_factory=set)

    @property
    def numbers(self) -> range:
        """The part numbers of the plan."""
        return range(1, self.message.part_count + 1)

    def size(self, number: int) -> int:
        """Return the size of a part in bytes."""
        last = number == self.message.part_count
        return self.message.last_part_size_bytes if last else self.message.part_size_bytes

    def part(self, number: int) -> pb.Part:
        """Return a part that was sent, as storage lists it."""
        body = self.parts[number]
        return pb.Part(part_number=number, size_bytes=len(body), etag=etag_of(body))

    def progress(self, numbers: Collection[int]) -> pb.Progress:
        """Return these parts as progress."""
        missing = [number for number in self.numbers if number not in numbers]
        return pb.Progress(
            parts_stored=len(numbers),
            bytes_stored=sum(map(self.size, numbers)),
            missing=[pb.PartRange(first=first, last=last) for first, last in _runs(missing)],
        )

    @property
    def ended(self) -> bool:
        """Whether nothing changes any more."""
        return self.message.state in _ENDED


class FakeUploads:
    """All uploads, by ID, and the objects that they became, by key.

    `changed` is held while anything changes, and notified afterwards. `now` returns seconds since
    the epoch.
    """

    def __init__(self, part_size_bytes: int, now: Callable[[], float]) -> None:
        self.part_size_bytes = part_size_bytes
        self.now = now
        self._uploads: dict[str, FakeUpload] = {}
        self._by_request: dict[str, FakeUpload] = {}
        self.objects: dict[str, FakeObject] = {}
        self.changed = threading.Condition()

    def initialize(self, request: service_pb.InitializeRequest) -> FakeUpload:
        """Begin an upload, or return that of the same request."""
        if not request.HasField("size_bytes") or request.size_bytes < 0:
            raise _invalid("size_bytes must be set, to 0 or more")
        if request.request_id and (known := self._by_request.get(request.request_id)):
            if known.request != request:
                message = "the request_id was used with other values"
                raise Refusal("INVALID_ARGUMENT", "REQUEST_ID_REUSED", message)
            return known
        upload = self._new(request, request.part_size_bytes or self.part_size_bytes)
        if request.request_id:
            self._by_request[request.request_id] = upload
        return upload

    def _new(self, request: service_pb.InitializeRequest, part_size_bytes: int) -> FakeUpload:
        sid = uuid.uuid4().hex
        upload_id = f"fake-{sid}"
        key = f"{sid}-{_STAMP}/{request.file_name.replace('/', '_') or 'file'}"
        size, now = request.size_bytes, int(self.now())
        count = max(1, -(-size // part_size_bytes))
        message = pb.Upload(
            id=upload_id,
            state=pb.UPLOAD_STATE_ACTIVE,
            policy=request.policy or "default",
            object=pb.StoredObject(bucket=BUCKET, key=key, uri=f"s3://{BUCKET}/{key}"),
            size_bytes=size,
            part_size_bytes=part_size_bytes,
            part_count=count,
            last_part_size_bytes=size - (count - 1) * part_size_bytes,
            content_type=request.content_type or "application/octet-stream",
            checksum_algorithm=_algorithm(request.checksum_algorithm),
            fingerprint=request.fingerprint,
        )
        message.create_time.FromSeconds(now)
        message.expire_time.FromSeconds(now + UPLOAD_SECONDS)
        self._uploads[upload_id] = upload = FakeUpload(message, request)
        return upload

    def compose(self, request: service_pb.ComposeRequest) -> FakeUpload:
        """Make one object of others at once."""
        if request.request_id and (known := self._by_request.get(request.request_id)):
            return known
        contents = [self._source(source.upload_id) for source in request.sources]
        if not contents:
            raise _invalid("sources must have 1 to 32 uploads")
        initialize = service_pb.InitializeRequest(
            policy=request.policy,
            file_name=request.file_name,
            size_bytes=sum(map(len, contents)),
            content_type=request.content_type,
            metadata=request.metadata,
            fingerprint=request.fingerprint,
        )
        upload = self._new(initialize, max(map(len, contents)) or 1)
        if request.request_id:
            self._by_request[request.request_id] = upload
        upload.message.part_count = upload.message.source_count = len(contents)
        upload.parts = dict(enumerate(contents, 1))
        self._store(upload)
        if request.delete_sources:
            for source in request.sources:
                del self.objects[self.find(source.upload_id).message.object.key]
        return upload

    def _source(self, upload_id: str) -> bytes:
        source = self._uploads.get(upload_id)
        stored = None if source is None else self.objects.get(source.message.object.key)
        if stored is None:
            message = "a source is not a completed upload"
            raise Refusal("FAILED_PRECONDITION", "SOURCE_UNUSABLE", message)
        return stored.content

    def all(self) -> Sequence[FakeUpload]:
        """Return the uploads, newest first."""
        return list(reversed(self._uploads.values()))

    def find(self, upload_id: str) -> FakeUpload:
        """Return an upload in any state."""
        upload = self._uploads.get(upload_id)
        if upload is None:
            raise Refusal("NOT_FOUND", "UPLOAD_NOT_FOUND", "there is no such upload")
        return upload

    def active(self, upload_id: str) -> FakeUpload:
        """Return an upload that takes parts."""
        upload = self.find(upload_id)
        if upload.message.state != pb.UPLOAD_STATE_ACTIVE:
            raise _not_active(upload)
        return upload

    def check_part(self, upload: FakeUpload, number: int) -> None:
        """Refuse a number that the plan does not have."""
        if number not in upload.numbers:
            raise _invalid(f"part_number must be 1 to {upload.message.part_count}")

    def put(self, upload: FakeUpload, number: int, body: bytes) -> pb.Part:
        """Store a part of an active upload, of exactly its size."""
        self.check_part(upload, number)
        if len(body) != upload.size(number):
            raise _invalid(f"part {number} has {len(body)} bytes, not {upload.size(number)}")
        upload.parts[number] = body
        return upload.part(number)

    def complete(self, upload_id: str, named: Sequence[pb.Part], checksum: bytes) -> FakeUpload:
        """Make the object of the parts."""
        upload = self.find(upload_id)
        if upload.message.state == pb.UPLOAD_STATE_COMPLETED:
            return upload
        if upload.message.state == pb.UPLOAD_STATE_ABORTED:
            raise _not_active(upload)
        if missing := [number for number in upload.numbers if number not in upload.parts]:
            first, last = next(iter(_runs(missing)))
            message = f"storage lacks {len(missing)} of the parts, such as {first}-{last}"
            raise Refusal("FAILED_PRECONDITION", "PARTS_MISSING", message)
        for part in named:
            there = upload.parts.get(part.part_number)
            if there is None or (part.etag and part.etag.strip('"') != etag_of(there)):
                message = f"part {part.part_number} is not the one that was named"
                raise Refusal("FAILED_PRECONDITION", "PARTS_MISMATCH", message)
        upload.message.object.checksum = checksum
        self._store(upload)
        return upload

    def _store(self, upload: FakeUpload) -> None:
        message = upload.message
        content = b"".join(upload.parts[number] for number in upload.numbers)
        message.state = pb.UPLOAD_STATE_COMPLETED
        message.object.size_bytes, message.object.etag = len(content), etag_of(content)
        metadata = dict(upload.request.metadata)
        key = message.object.key
        self.objects[key] = FakeObject(key, content, message.content_type, metadata)

    def abort(self, upload_id: str, reason: "pb.AbortReason.ValueType") -> FakeUpload:
        """Discard the parts."""
        upload = self.find(upload_id)
        if upload.message.state == pb.UPLOAD_STATE_COMPLETED:
            raise _not_active(upload)
        if upload.message.state != pb.UPLOAD_STATE_ABORTED:
            upload.message.state = pb.UPLOAD_STATE_ABORTED
            upload.message.abort_reason = reason
            upload.parts.clear()
        return upload

    def extend(self, upload_id: str, seconds: int) -> FakeUpload:
        """Give an active upload a later deadline; the one that it has stays if it is later."""
        upload = self.active(upload_id)
        if seconds > upload.message.create_time.seconds + MAX_SECONDS:
            raise _invalid("expire_time is later than the policy allows")
        upload.message.expire_time.seconds = max(upload.message.expire_time.seconds, seconds)
        return upload


def etag_of(body: bytes) -> str:
    """Return the entity tag that storage gives a body."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _algorithm(wanted: Any) -> Any:
    """Return what parts carry: the caller's choice, or nothing."""
    free = (pb.CHECKSUM_ALGORITHM_UNSPECIFIED, pb.CHECKSUM_ALGORITHM_BEST)
    return pb.CHECKSUM_ALGORITHM_NONE if wanted in free else wanted


def _invalid(message: str) -> Refusal:
    return Refusal("INVALID_ARGUMENT", "INVALID_REQUEST", message)


def _not_active(upload: FakeUpload) -> Refusal:
    state = pb.UploadState.Name(upload.message.state)
    metadata = {"state": state}
    if upload.message.abort_reason:
        metadata["abort_reason"] = pb.AbortReason.Name(upload.message.abort_reason)
    message = f"the upload is {state.removeprefix('UPLOAD_STATE_')}"
    return Refusal("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE", message, **metadata)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield numbers in ascending order as (first, last) runs."""
    for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        found = [number for _, number in run]
        yield found[0], found[-1]
