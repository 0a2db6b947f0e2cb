"""Converts between protobuf messages and the client's own values."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb

from partway_client._transport.messages import (
    GivenToken,
    NewComposition,
    NewToken,
    NewUpload,
    PartUrl,
)
from partway_client.errors import CallFailed
from partway_client.models import (
    Checksum,
    LimitUsage,
    PartInfo,
    State,
    StoredProgress,
    UploadInfo,
)

_CHECKSUMS = {
    Checksum.NONE: pb.CHECKSUM_ALGORITHM_NONE,
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
    """Convert `moment`, which must have a time zone."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


def checksum_to_proto(checksum: Checksum) -> pb.ChecksumAlgorithm.ValueType:
    return _CHECKSUMS[checksum]


def checksum_from_proto(algorithm: pb.ChecksumAlgorithm.ValueType) -> Checksum:
    """Return the Checksum. Raises CallFailed for an algorithm newer than this client."""
    if algorithm == pb.CHECKSUM_ALGORITHM_UNSPECIFIED:
        # An older service means none by it.
        return Checksum.NONE
    if (checksum := known_checksum(algorithm)) is None:
        raise CallFailed(
            "the service uses a checksum algorithm that this client does not know; choose another"
        )
    return checksum


def known_checksum(algorithm: pb.ChecksumAlgorithm.ValueType) -> Checksum | None:
    """Return the Checksum, None if it is unspecified or newer than this client."""
    return next((each for each, value in _CHECKSUMS.items() if value == algorithm), None)


def upload_from_proto(
    upload: pb.Upload, progress: pb.Progress | None = None, reported: pb.Progress | None = None
) -> UploadInfo:
    """Convert `upload`, with the progress that came with it."""
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


def part_url_from_proto(part: pb.PresignedPart) -> PartUrl:
    return PartUrl(
        part_number=part.part_number,
        method=part.method,
        url=part.url,
        headers=dict(part.headers),
        offset_bytes=part.offset_bytes,
        size_bytes=part.size_bytes,
        expires_at=part.expire_time.seconds,
    )


def usage_from_proto(entries: Iterable[service_pb.Usage]) -> tuple[LimitUsage, ...]:
    return tuple(
        LimitUsage(entry.limit, entry.used, entry.max if entry.HasField("max") else None)
        for entry in entries
    )


def new_upload_to_proto(new: NewUpload) -> service_pb.InitializeRequest:
    return service_pb.InitializeRequest(
        policy=new.policy,
        file_name=new.file_name,
        size_bytes=new.size_bytes,
        content_type=new.content_type,
        metadata=new.metadata,
        part_size_bytes=new.part_size_bytes,
        fingerprint=new.fingerprint,
        request_id=new.request_id,
        presign_parts=new.presign_parts,
        checksum_algorithm=checksum_to_proto(new.checksum_algorithm),
        checksum=new.checksum,
    )


def new_token_to_proto(new: NewToken) -> service_pb.UploadTokenSpec:
    """Convert what a token is to allow. Raises ValueError for an action that does not exist."""
    known = service_pb.UploadAction.keys()
    names = [f"UPLOAD_ACTION_{action.upper()}" for action in new.actions]
    for action, name in zip(new.actions, names, strict=True):
        if name not in known:
            raise ValueError(f"{action!r} is no action of an upload token")
    spec = service_pb.UploadTokenSpec(actions=map(service_pb.UploadAction.Value, names))
    if new.lifetime_seconds:
        spec.lifetime.FromSeconds(new.lifetime_seconds)
    return spec


def given_token_from_proto(token: service_pb.UploadToken) -> GivenToken:
    return GivenToken(token.token, token.expire_time.ToDatetime(UTC))


def new_composition_to_proto(new: NewComposition) -> service_pb.ComposeRequest:
    return service_pb.ComposeRequest(
        policy=new.policy,
        file_name=new.file_name,
        content_type=new.content_type,
        metadata=new.metadata,
        sources=[service_pb.ComposeSource(upload_id=upload_id) for upload_id in new.sources],
        delete_sources=new.delete_sources,
        fingerprint=new.fingerprint,
        request_id=new.request_id,
    )


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
