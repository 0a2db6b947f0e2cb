"""Validate requests: every limit of every field, as documented in the proto.

One function for each request. Each raises InvalidRequest with all violations that it finds, at
most 50. Only what depends on nothing but the request is checked here. Those that may name ten
thousand parts are in `named_parts`.
"""

import re
from collections.abc import Iterator, Mapping

from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.errors import FieldViolation, InvalidRequest
from partway_server.domain.object_keys import valid_metadata_key
from partway_server.domain.part_plan import GIB, MAX_PARTS
from partway_server.domain.upload_ids import MAX_ID_CHARS
from partway_server.rpc import page_tokens

MAX_BATCH_PARTS = 1000
MAX_SOURCES = 32
MAX_VIOLATIONS = 50

_WITH_WHOLE = (upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME, upload_pb2.CHECKSUM_ALGORITHM_BEST)
_POLICY = re.compile(r"[a-z0-9_-]{1,64}")
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+( *;[\x20-\x7e]*)?", re.ASCII)
_METADATA_VALUE = re.compile(r"([\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?)?")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800
_PART_POSITION = re.compile(r"[1-9][0-9]{0,3}|10000")
_UPLOAD_POSITION = re.compile(r"[0-9]{1,10}-[0-9a-f]{32}")


def initialize(request: pb.InitializeRequest) -> None:
    """Check an InitializeRequest."""
    reject_if(_initialize(request))


def abort(request: pb.AbortRequest) -> None:
    """Check an AbortRequest."""
    reject_if(upload_id_violations(request.upload_id))


def list_parts(request: pb.ListPartsRequest) -> None:
    """Check a ListPartsRequest."""
    reject_if(_list_parts(request))


def status(request: pb.StatusRequest) -> None:
    """Check a StatusRequest."""
    reject_if(_status(request))


def compose(request: pb.ComposeRequest) -> None:
    """Check a ComposeRequest."""
    reject_if(_compose(request))


def report_parts(request: pb.ReportPartsRequest) -> None:
    """Check a ReportPartsRequest, except its parts, each of which has a result of its own."""
    reject_if(_report_parts(request))


def create_upload_token(request: pb.CreateUploadTokenRequest) -> None:
    """Check a CreateUploadTokenRequest."""
    reject_if(_create_upload_token(request))


def extend_upload(request: pb.ExtendUploadRequest) -> None:
    """Check an ExtendUploadRequest."""
    reject_if(_extend_upload(request))


def watch(request: pb.WatchRequest) -> None:
    """Check a WatchRequest."""
    reject_if(upload_id_violations(request.upload_id))


def list_uploads(request: pb.ListUploadsRequest) -> None:
    """Check a ListUploadsRequest."""
    reject_if(_list_uploads(request))


def reject_if(violations: Iterator[FieldViolation]) -> None:
    """Raise InvalidRequest with the first violations, if there are any."""
    found = [v for v, _ in zip(violations, range(MAX_VIOLATIONS), strict=False)]
    if found:
        raise InvalidRequest(found)


def _initialize(request: pb.InitializeRequest) -> Iterator[FieldViolation]:
    yield from _named(request)
    if not request.HasField("size_bytes"):
        yield FieldViolation("size_bytes", "is missing; an empty file must say 0")
    elif request.size_bytes < 0:
        yield FieldViolation("size_bytes", "must not be negative")
    if not 0 <= request.part_size_bytes <= 5 * GIB:
        yield FieldViolation("part_size_bytes", f"must be 0 to {5 * GIB}")
    if request.checksum_algorithm not in upload_pb2.ChecksumAlgorithm.values():
        yield FieldViolation("checksum_algorithm", "must be a value of ChecksumAlgorithm")
    if request.checksum and request.checksum_algorithm not in _WITH_WHOLE:
        yield FieldViolation("checksum", "is allowed only with CRC64NVME and BEST")
    yield from whole_checksum_violations(request.checksum)
    if request.mode not in pb.UploadMode.values():
        yield FieldViolation("mode", "must be a value of UploadMode")
    if not 0 <= request.presign_parts <= MAX_BATCH_PARTS:
        yield FieldViolation("presign_parts", f"must be 0 to {MAX_BATCH_PARTS}")
    yield from _token_spec(request.upload_token, "upload_token")


def _compose(request: pb.ComposeRequest) -> Iterator[FieldViolation]:
    yield from _named(request)
    if not 1 <= len(request.sources) <= MAX_SOURCES:
        yield FieldViolation("sources", f"must have 1 to {MAX_SOURCES} entries")
    for i, source in enumerate(request.sources):
        yield from upload_id_violations(source.upload_id, f"sources[{i}].upload_id")


def _named(request: pb.InitializeRequest | pb.ComposeRequest) -> Iterator[FieldViolation]:
    """Check the fields that describe a new object."""
    if request.policy and not _POLICY.fullmatch(request.policy):
        yield FieldViolation("policy", "must be 1 to 64 of a-z, 0-9, _, -, or empty")
    if len(request.file_name) > 1024:
        yield FieldViolation("file_name", "must have at most 1,024 characters")
    if request.content_type and not (
        len(request.content_type) <= 255 and _MEDIA_TYPE.fullmatch(request.content_type)
    ):
        yield FieldViolation("content_type", "must be type/subtype in at most 255 ASCII characters")
    yield from _metadata(request.metadata)
    yield from _fingerprint(request.fingerprint)
    if request.request_id and not _UUID.fullmatch(request.request_id):
        yield FieldViolation("request_id", "must be a UUID in its 36-character form, or empty")


def _metadata(metadata: Mapping[str, str]) -> Iterator[FieldViolation]:
    if len(metadata) > 32:
        yield FieldViolation("metadata", "must have at most 32 entries")
    if sum(len(k.encode()) + len(v.encode()) for k, v in metadata.items()) > 2048:
        yield FieldViolation("metadata", "must have at most 2,048 bytes in total")
    if not all(map(valid_metadata_key, metadata)):
        yield FieldViolation(
            "metadata", "keys must be 1 to 64 of a-z, 0-9, -, and must not begin with partway-"
        )
    if not all(_METADATA_VALUE.fullmatch(value) for value in metadata.values()):
        yield FieldViolation(
            "metadata",
            "values must be printable ASCII with no space at either end; percent-encode others",
        )


def whole_checksum_violations(checksum: bytes) -> Iterator[FieldViolation]:
    """Yield what is wrong with the form of a whole object's checksum."""
    if len(checksum) not in (0, 8):
        yield FieldViolation("checksum", "must have 8 bytes, or be empty")


def _list_parts(request: pb.ListPartsRequest) -> Iterator[FieldViolation]:
    yield from upload_id_violations(request.upload_id)
    yield from _page(request, _PART_POSITION, "ListParts")


def _status(request: pb.StatusRequest) -> Iterator[FieldViolation]:
    yield from upload_id_violations(request.upload_id)
    if request.view not in pb.StatusView.values():
        yield FieldViolation("view", "must be a value of StatusView")


def _report_parts(request: pb.ReportPartsRequest) -> Iterator[FieldViolation]:
    yield from upload_id_violations(request.upload_id)
    if not 1 <= len(request.parts) <= MAX_BATCH_PARTS:
        yield FieldViolation("parts", f"must have 1 to {MAX_BATCH_PARTS:,} entries")


def _list_uploads(request: pb.ListUploadsRequest) -> Iterator[FieldViolation]:
    if request.state not in upload_pb2.UploadState.values():
        yield FieldViolation("state", "must be a value of UploadState")
    yield from _fingerprint(request.fingerprint)
    if request.policy and not _POLICY.fullmatch(request.policy):
        yield FieldViolation("policy", "must be 1 to 64 of a-z, 0-9, _, -, or empty")
    for field in ("created_from", "created_before"):
        if request.HasField(field) and not _is_time(getattr(request, field)):
            yield FieldViolation(field, "must be a time from the year 1 to the year 9999")
    yield from _page(request, _UPLOAD_POSITION, "ListUploads")


def _page(
    request: pb.ListPartsRequest | pb.ListUploadsRequest, position: re.Pattern[str], rpc: str
) -> Iterator[FieldViolation]:
    if request.page_size < 0:
        yield FieldViolation("page_size", "must not be negative")
    try:
        found = page_tokens.decode(request.page_token)
    except ValueError:
        found = "?"
    if found and not position.fullmatch(found):
        yield FieldViolation("page_token", f"must be a next_page_token of {rpc}, or empty")


def _extend_upload(request: pb.ExtendUploadRequest) -> Iterator[FieldViolation]:
    yield from upload_id_violations(request.upload_id)
    if not request.HasField("expire_time"):
        yield FieldViolation("expire_time", "is missing")
    elif not _is_time(request.expire_time):
        yield FieldViolation("expire_time", "must be a time from the year 1 to the year 9999")


def _create_upload_token(request: pb.CreateUploadTokenRequest) -> Iterator[FieldViolation]:
    yield from upload_id_violations(request.upload_id)
    yield from _token_spec(request.spec, "spec")


def _token_spec(spec: pb.UploadTokenSpec, field: str) -> Iterator[FieldViolation]:
    if len(spec.actions) > 100:
        yield FieldViolation(f"{field}.actions", "must have at most 100 entries")
    for i, action in enumerate(spec.actions):
        if action not in pb.UploadAction.values() or action == pb.UPLOAD_ACTION_UNSPECIFIED:
            yield FieldViolation(f"{field}.actions[{i}]", "must be a value of UploadAction")
    if spec.HasField("lifetime") and not 1 <= spec.lifetime.seconds < _YEAR_10000:
        yield FieldViolation(f"{field}.lifetime", "must be at least 1 second")
    if spec.HasField("parts") and not 1 <= spec.parts.first <= spec.parts.last <= MAX_PARTS:
        yield FieldViolation(f"{field}.parts", f"must satisfy 1 <= first <= last <= {MAX_PARTS:,}")


def _is_time(moment: Timestamp) -> bool:
    """Return whether the time is valid: https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp."""
    return _YEAR_1 <= moment.seconds < _YEAR_10000 and 0 <= moment.nanos < 1_000_000_000


def upload_id_violations(upload_id: str, field: str = "upload_id") -> Iterator[FieldViolation]:
    """Yield what is wrong with the form of an upload_id."""
    if not 1 <= len(upload_id) <= MAX_ID_CHARS:
        yield FieldViolation(field, f"must have 1 to {MAX_ID_CHARS:,} characters")


def _fingerprint(fingerprint: str) -> Iterator[FieldViolation]:
    if len(fingerprint) > 128 or not _PRINTABLE.fullmatch(fingerprint):
        yield FieldViolation("fingerprint", "must be at most 128 printable ASCII characters")
