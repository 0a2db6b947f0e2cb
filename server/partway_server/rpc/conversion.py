"""Convert between the messages of the proto and the nouns of the service. Decides nothing."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import quote

from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.checksum import Checksum, ChecksumChoice
from partway_server.domain.policy import Policy
from partway_server.domain.quota import Owner
from partway_server.domain.requests import ComposeParams, UploadParams
from partway_server.domain.steps import Steps, blocks
from partway_server.domain.upload import AbortReason, State, Upload
from partway_server.rpc.upload_token_conversion import token_params
from partway_server.rpc.validation import MAX_BATCH_PARTS
from partway_server.storage.base import PresignedPart, StoredPart
from partway_server.workflow.presign import PresignedParts, Selection
from partway_server.workflow.progress import MAX_MISSING_RUNS, Progress, reported_progress
from partway_server.workflow.usage import LimitUsage

STREAM_BATCH = 56
"""Parts in one message of the stream: large enough that messages cost little, small enough that
other calls do not wait for one (see bench/README.md)."""

PART_COST = 20
"""What it costs to presign one part, in the unit of `Steps`."""

RETRY_DELAY = timedelta(seconds=1)
"""After which a caller asks again for an upload that is still being completed or composed: what
most storage needs to join the parts of a large object."""

_LAST_SECOND = int(datetime.max.replace(microsecond=0, tzinfo=UTC).timestamp())
_INT64_MAX = 2**63 - 1


class _Parts(Protocol):
    """A repeated field of PresignedPart."""

    def add(self) -> upload_pb2.PresignedPart: ...


STATES = {state: upload_pb2.UploadState.Value(f"UPLOAD_STATE_{state.name}") for state in State}
_REASONS = {r: upload_pb2.AbortReason.Value(f"ABORT_REASON_{r.name}") for r in AbortReason}
CHECKSUMS = {
    Checksum.NONE: upload_pb2.CHECKSUM_ALGORITHM_NONE,
    Checksum.CRC32C: upload_pb2.CHECKSUM_ALGORITHM_CRC32C,
    Checksum.SHA256: upload_pb2.CHECKSUM_ALGORITHM_SHA256,
    Checksum.CRC64NVME: upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME,
    Checksum.MD5: upload_pb2.CHECKSUM_ALGORITHM_MD5,
}
_REQUESTED_CHECKSUMS: Mapping[int, Checksum | ChecksumChoice] = {
    upload_pb2.CHECKSUM_ALGORITHM_UNSPECIFIED: ChecksumChoice.DEFAULT,
    upload_pb2.CHECKSUM_ALGORITHM_BEST: ChecksumChoice.BEST,
    **{value: checksum for checksum, value in CHECKSUMS.items()},
}


def upload_params(request: pb.InitializeRequest) -> UploadParams:
    """Return what an InitializeRequest asks for, with the defaults filled in."""
    return UploadParams(
        policy=request.policy or "default",
        file_name=request.file_name,
        size_bytes=request.size_bytes,
        content_type=request.content_type or "application/octet-stream",
        metadata=dict(request.metadata),
        part_size_bytes=request.part_size_bytes,
        checksum=_REQUESTED_CHECKSUMS[request.checksum_algorithm],
        fingerprint=request.fingerprint,
        request_id=request.request_id,
        whole_checksum=request.checksum,
        token=(
            token_params(request.upload_token, "upload_token")
            if request.HasField("upload_token")
            else None
        ),
        multipart=request.mode == pb.UPLOAD_MODE_MULTIPART,
    )


def compose_params(request: pb.ComposeRequest) -> ComposeParams:
    """Return what a ComposeRequest asks for, with the defaults filled in."""
    return ComposeParams(
        policy=request.policy or "default",
        file_name=request.file_name,
        content_type=request.content_type or "application/octet-stream",
        metadata=dict(request.metadata),
        upload_ids=[source.upload_id for source in request.sources],
        delete_sources=request.delete_sources,
        fingerprint=request.fingerprint,
        request_id=request.request_id,
    )


def first_parts(upload: Upload, count: int) -> Selection:
    """Return a selection of the first `count` parts of a new upload."""
    # Where parts have checksums, there is only one part, and its checksum is that of the whole.
    whole = upload.grant.whole_checksum
    return Selection(
        ranges=[(1, min(count, upload.grant.plan.part_count))],
        checksums={1: whole} if whole else None,
    )


def upload(upload: Upload, upload_id: str) -> upload_pb2.Upload:
    """Return an upload as callers see it."""
    grant, plan = upload.grant, upload.grant.plan
    message = upload_pb2.Upload(
        id=upload_id,
        state=STATES[upload.public_state],
        policy=grant.policy,
        object=_object(upload),
        size_bytes=plan.size_bytes,
        part_size_bytes=plan.part_size_bytes,
        part_count=plan.part_count,
        last_part_size_bytes=plan.last_part_size_bytes,
        content_type=grant.content_type,
        checksum_algorithm=CHECKSUMS[grant.checksum],
        create_time=timestamp(grant.create_time),
        expire_time=timestamp(grant.expire_time),
        fingerprint=upload.fingerprint,
        source_count=len(plan.cuts),
    )
    if upload.abort_reason is not None:
        message.abort_reason = _REASONS[upload.abort_reason]
    if upload.changes_by_itself:
        message.retry_delay.FromTimedelta(RETRY_DELAY)
    return message


def _object(upload: Upload) -> upload_pb2.StoredObject:
    grant = upload.grant
    message = upload_pb2.StoredObject(
        bucket=grant.bucket, key=grant.key, uri=f"s3://{grant.bucket}/{quote(grant.key)}"
    )
    if upload.object is not None:
        message.etag = upload.object.etag
        message.version_id = upload.object.version_id
        message.size_bytes = upload.object.size_bytes
        if upload.object.checksum:
            message.checksum = upload.object.checksum
            message.checksum_algorithm = CHECKSUMS[grant.checksum]
    return message


def limits(policy: Policy) -> pb.Limits:
    """Return what the policy allows from here on."""
    message = pb.Limits(max_batch_parts=MAX_BATCH_PARTS, via_service=policy.via_service)
    message.max_url_lifetime.FromSeconds(policy.max_url_seconds)
    return message


class PartWriter:
    """Writes the presigned parts of one call into its messages.

    Parts of one size share their headers: what they have in common is made once and copied, which
    costs a quarter of setting every field.
    """

    def __init__(self, presigned: PresignedParts) -> None:
        self._plan = presigned.plan
        self._expire_time = timestamp(presigned.expire_time)
        self._headers: Mapping[str, str] | None = None
        self._common = upload_pb2.PresignedPart()

    def write(self, parts: Iterable[PresignedPart], into: _Parts) -> None:
        """Append `parts`."""
        part_size = self._plan.part_size_bytes
        for number, url, headers in parts:
            if headers is not self._headers:
                self._share(number, headers)
            message = into.add()
            message.CopyFrom(self._common)
            message.part_number = number
            message.url = url
            message.offset_bytes = (number - 1) * part_size

    def _share(self, number: int, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._common = upload_pb2.PresignedPart(
            method="PUT",
            headers=headers,
            size_bytes=self._plan.size(number),
            expire_time=self._expire_time,
        )


def write_parts(presigned: PresignedParts, into: _Parts) -> Steps[None]:
    """Append all parts."""
    writer = PartWriter(presigned)
    while presigned.remaining:
        taken = presigned.take(STREAM_BATCH)
        writer.write(taken, into)
        yield len(taken) * PART_COST


def part(stored: StoredPart) -> upload_pb2.Part:
    """Return a part as storage holds it."""
    return upload_pb2.Part(
        part_number=stored.number,
        size_bytes=stored.size_bytes,
        etag=stored.etag,
        checksum=stored.checksum,
    )


def parts(stored: Sequence[StoredPart]) -> Steps[list[upload_pb2.Part]]:
    """Return parts as storage holds them."""
    found: list[upload_pb2.Part] = []
    for _, block in blocks(stored):
        found += map(part, block)
        yield 3 * len(block)
    return found


def progress(progress: Progress) -> upload_pb2.Progress:
    """Return how much of an upload there is."""
    return upload_pb2.Progress(
        parts_stored=progress.parts_stored,
        bytes_stored=progress.bytes_stored,
        missing=_runs(progress.missing[:MAX_MISSING_RUNS]),
    )


def reported(upload: Upload) -> upload_pb2.Progress | None:
    """Return what callers reported of an upload that has not ended."""
    found = reported_progress(upload)
    return progress(found) if found else None


def _runs(runs: Sequence[tuple[int, int]]) -> list[upload_pb2.PartRange]:
    return [upload_pb2.PartRange(first=first, last=last) for first, last in runs]


def timestamp(moment: datetime) -> Timestamp:
    """Return a moment as the proto has it."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def whole_second(message: Timestamp) -> datetime:
    """Return a time rounded up to a whole second, or the last second that a datetime can have."""
    seconds = min(message.seconds + bool(message.nanos), _LAST_SECOND)
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def usage(entries: Mapping[Owner, Sequence[LimitUsage]]) -> pb.GetUsageResponse:
    """Return the usage of a tenant and of a subject."""
    return pb.GetUsageResponse(
        tenant=map(_usage, entries[Owner.TENANT]), subject=map(_usage, entries[Owner.SUBJECT])
    )


def _usage(entry: LimitUsage) -> pb.Usage:
    # A sum of declared sizes may exceed what the proto can hold.
    used = min(entry.used, _INT64_MAX)
    return pb.Usage(limit=entry.limit, used=used, max=entry.maximum or None)
