"""Protobuf messages into the nouns."""

import base64
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2 as pb

from partway_client.errors import CallFailed
from partway_client.models import Checksum, PartInfo, State, StoredProgress, UploadInfo

_CHECKSUMS = {
    Checksum.NONE: pb.CHECKSUM_ALGORITHM_UNSPECIFIED,
    Checksum.CRC32C: pb.CHECKSUM_ALGORITHM_CRC32C,
    Checksum.SHA256: pb.CHECKSUM_ALGORITHM_SHA256,
    Checksum.CRC64NVME: pb.CHECKSUM_ALGORITHM_CRC64NVME,
    Checksum.MD5: pb.CHECKSUM_ALGORITHM_MD5,
    Checksum.BEST: pb.CHECKSUM_ALGORITHM_BEST,
}


def state_from_proto(state: pb.UploadState.ValueType) -> State:
    return State(pb.UploadState.Name(state).removeprefix("UPLOAD_STATE_").lower())


def state_to_proto(state: State) -> pb.UploadState.ValueType:
    return pb.UploadState.Value(f"UPLOAD_STATE_{state.name}")


def time_to_proto(moment: datetime | None) -> Timestamp | None:
    """`moment`, which has a time zone."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


def checksum_to_proto(checksum: Checksum) -> pb.ChecksumAlgorithm.ValueType:
    return _CHECKSUMS[checksum]


def checksum_from_proto(algorithm: pb.ChecksumAlgorithm.ValueType) -> Checksum:
    """Raises CallFailed for one that came after this client."""
    for checksum, value in _CHECKSUMS.items():
        if value == algorithm:
            return checksum
    raise CallFailed("the service uses a checksum that this client does not know; choose another")


def upload_from_proto(
    upload: pb.Upload, progress: pb.Progress | None = None, reported: pb.Progress | None = None
) -> UploadInfo:
    """`upload`, with what came beside it."""
    made = upload.object
    return UploadInfo(
        upload_id=upload.id,
        state=state_from_proto(upload.state),
        policy=upload.policy,
        bucket=made.bucket,
        key=made.key,
        uri=made.uri,
        etag=made.etag,
        version_id=made.version_id,
        checksum_algorithm=checksum_from_proto(upload.checksum_algorithm),
        checksum=_text(made.checksum),
        size_bytes=upload.size_bytes,
        part_size_bytes=upload.part_size_bytes,
        part_count=upload.part_count,
        content_type=upload.content_type,
        create_time=upload.create_time.ToDatetime(UTC),
        expire_time=upload.expire_time.ToDatetime(UTC),
        abort_reason=_abort_reason(upload.abort_reason),
        fingerprint=upload.fingerprint,
        source_count=upload.source_count,
        progress=None if progress is None else _progress(progress),
        reported=None if reported is None else _progress(reported),
    )


def part_from_proto(part: pb.Part) -> PartInfo:
    return PartInfo(part.part_number, part.size_bytes, part.etag, _text(part.checksum))


def _text(checksum: bytes) -> str:
    return base64.b64encode(checksum).decode("ascii")


def _abort_reason(reason: pb.AbortReason.ValueType) -> str:
    if reason == pb.ABORT_REASON_UNSPECIFIED:
        return ""
    return pb.AbortReason.Name(reason).removeprefix("ABORT_REASON_").lower()


def _progress(progress: pb.Progress) -> StoredProgress:
    return StoredProgress(
        parts_stored=progress.parts_stored,
        bytes_stored=progress.bytes_stored,
        missing=tuple((run.first, run.last) for run in progress.missing),
    )
