"""Protobuf messages into the nouns."""

from datetime import UTC

from partway.v1 import upload_pb2 as pb

from partway_client.uploads import PartInfo, State, StoredProgress, UploadInfo


def state_from_proto(state: pb.UploadState.ValueType) -> State:
    return State(pb.UploadState.Name(state).removeprefix("UPLOAD_STATE_").lower())


def state_to_proto(state: State) -> pb.UploadState.ValueType:
    return pb.UploadState.Value(f"UPLOAD_STATE_{state.name}")


def upload_from_proto(upload: pb.Upload, progress: pb.Progress | None = None) -> UploadInfo:
    """`upload`, with `progress` if that was asked for."""
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
        size_bytes=upload.size_bytes,
        part_size_bytes=upload.part_size_bytes,
        part_count=upload.part_count,
        content_type=upload.content_type,
        create_time=upload.create_time.ToDatetime(UTC),
        expire_time=upload.expire_time.ToDatetime(UTC),
        abort_reason=_abort_reason(upload.abort_reason),
        fingerprint=upload.fingerprint,
        progress=None if progress is None else _progress(progress),
    )


def part_from_proto(part: pb.Part) -> PartInfo:
    return PartInfo(part.part_number, part.size_bytes, part.etag)


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
