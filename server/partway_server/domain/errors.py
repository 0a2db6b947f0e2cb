"""Every error that an upload can end in, in terms of uploads.

Each class carries its data as attributes; `rpc/error_mapping.py` alone decides what a caller sees
of it. No message contains a secret, a URL or an upload ID.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class UploadError(Exception):
    """The base class of all errors that callers may see."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One invalid field, with a description for the caller."""

    field: str
    description: str


class InvalidRequest(UploadError):
    """Fields of the request are invalid."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = tuple(violations)


class UndecodableRequest(UploadError):
    """The request cannot be decoded as the message type of the RPC."""


class RequestIdReused(UploadError):
    """The request_id was already used with other values."""

    def __init__(self, request_id: str) -> None:
        super().__init__("request_id was already used with other values; use a new UUID")
        self.request_id = request_id


class CallerUnknown(UploadError):
    """The call does not identify its caller."""

    def __init__(self, key: str) -> None:
        super().__init__(f"metadata {key!r}, which identifies the caller, is missing or invalid")
        self.key = key


class CredentialsRejected(UploadError):
    """The call's credentials are not accepted. The reason is not disclosed."""

    def __init__(self) -> None:
        super().__init__("the credentials are not accepted")


class UploadTokenExpired(UploadError):
    """The call's upload token has expired."""

    def __init__(self) -> None:
        super().__init__("the upload token has expired; get another from whoever made it")


class PermissionDenied(UploadError):
    """The caller is known, and may not call this RPC. `needed` is the scope or action missing."""

    def __init__(self, needed: str) -> None:
        super().__init__(f"the credentials do not allow this; needed is {needed}")
        self.needed = needed


class QuotaExceeded(UploadError):
    """A limit is reached: `used` of at most `maximum`, as counted for `owner`.

    `owner` is "tenant" or "subject". `retry_seconds` is when the call may succeed, or None if only
    ending other uploads helps.
    """

    def __init__(
        self, limit: str, used: int, maximum: int, *, owner: str, retry_seconds: float | None = None
    ) -> None:
        super().__init__(f"limit {limit} of the {owner} is reached: {used} of {maximum}")
        self.limit, self.used, self.maximum = limit, used, maximum
        self.owner, self.retry_seconds = owner, retry_seconds


class UploadNotFound(UploadError):
    """This caller has no upload with that ID. The reason is not disclosed."""

    def __init__(self) -> None:
        super().__init__("upload not found")


class UploadNotActive(UploadError):
    """The upload is in a state that does not allow the call."""

    def __init__(self, sid: str, state: str, abort_reason: str = "") -> None:
        because = f" ({abort_reason})" if abort_reason else ""
        super().__init__(f"the upload is {state}{because}")
        self.sid, self.state, self.abort_reason = sid, state, abort_reason


class PartsMissing(UploadError):
    """Parts are missing in storage. `ranges` are (first, last), in order."""

    def __init__(self, sid: str, ranges: Sequence[tuple[int, int]]) -> None:
        self.sid, self.ranges = sid, tuple(ranges)
        self.count = sum(last - first + 1 for first, last in ranges)
        super().__init__(f"{self.count} parts are missing in storage")


class PartsMismatch(UploadError):
    """Stored parts differ from the plan or from what the caller says it sent."""

    def __init__(self, sid: str, mismatches: Sequence[tuple[int, str]]) -> None:
        super().__init__(f"{len(mismatches)} parts in storage differ from the plan")
        self.sid, self.mismatches = sid, tuple(mismatches)
        self.count = len(mismatches)


class PartsRefused(UploadError):
    """Storage refused to join the parts, with `storage_code`."""

    def __init__(self, sid: str, storage_code: str) -> None:
        super().__init__(f"storage refused to join the parts: {storage_code}")
        self.sid, self.storage_code = sid, storage_code


class CompletedOtherwise(UploadError):
    """The upload was completed with other parts than the call names."""

    def __init__(self, sid: str) -> None:
        super().__init__("the upload was already completed with other parts")
        self.sid = sid


class ObjectExists(UploadError):
    """Another object was written to the key first."""

    def __init__(self, sid: str) -> None:
        super().__init__("another object was written to the key first; the upload was aborted")
        self.sid = sid


class UploadConflict(UploadError):
    """Storage reported a conflict and dropped the upload."""

    def __init__(self, sid: str) -> None:
        super().__init__(
            "storage reported a conflict and the upload was aborted; start a new upload"
        )
        self.sid = sid


class TryAgain(UploadError):
    """Nothing is lost; the same call may succeed after `retry_seconds`."""

    retry_seconds = 1.0


class UploadBusy(TryAgain):
    """Another call is creating or changing the upload right now."""

    def __init__(self, sid: str) -> None:
        super().__init__("another call is changing the upload")
        self.sid = sid


class Overloaded(TryAgain):
    """The service has as many calls in progress as it allows."""

    def __init__(self) -> None:
        super().__init__("too many calls in progress")


class SessionsUnavailable(TryAgain):
    """Redis is not responding."""

    def __init__(self) -> None:
        super().__init__("the session store is not responding")


class SessionsFull(TryAgain):
    """Redis has no memory left for another upload."""

    retry_seconds = 30.0

    def __init__(self) -> None:
        super().__init__("the session store is full; uploads in progress go on")


class StorageUnavailable(TryAgain):
    """Storage is not responding, or the upload's `backend` is not configured on this replica.

    If storage answered after all, `storage_code` is the code of its error, such as SlowDown, and
    `operation` what was asked for. Neither is shown to callers.
    """

    def __init__(self, backend: str = "", *, operation: str = "", storage_code: str = "") -> None:
        unknown = f"backend {backend!r} is not configured on this replica"
        super().__init__(unknown if backend else "storage is not responding")
        self.backend, self.operation, self.storage_code = backend, operation, storage_code


class TimedOut(TryAgain):
    """The call ran out of time."""

    def __init__(self) -> None:
        super().__init__("the call timed out")


class Stopping(TryAgain):
    """The service is shutting down and ends the stream."""

    def __init__(self) -> None:
        super().__init__("the service is shutting down")


class StreamEnded(TryAgain):
    """The stream lasted as long as one may."""

    def __init__(self) -> None:
        super().__init__("the stream lasted as long as one may; open it again")


class ViaServiceOff(UploadError):
    """The upload's policy does not allow parts to be sent through the service."""

    def __init__(self, sid: str, policy: str) -> None:
        super().__init__(
            f"policy {policy!r} does not allow parts to be sent through the service; send them"
            " directly to storage, or ask the operator to set via_service"
        )
        self.sid, self.policy = sid, policy


class PartChanged(TryAgain):
    """The bytes of a part sent through the service do not match its checksum."""

    def __init__(self, sid: str, part_number: int) -> None:
        super().__init__(
            f"the bytes of part {part_number} do not match its checksum; send it again"
        )
        self.sid, self.part_number = sid, part_number


class PartTooSlow(TryAgain):
    """The bytes of a part sent through the service arrive below the least rate."""

    def __init__(self, sid: str, part_number: int) -> None:
        super().__init__(
            f"the bytes of part {part_number} came more slowly than the service accepts;"
            " send it again"
        )
        self.sid, self.part_number = sid, part_number


class SourceUnusable(UploadError):
    """A source of a Compose cannot be copied. `source` is its index in the request, from 0."""

    def __init__(self, source: int, problem: str) -> None:
        super().__init__(f"source {source} cannot be copied: {problem}")
        self.source, self.problem = source, problem


class SourcesNotJoinable(UploadError):
    """Storage cannot join the sources of a Compose. `source` is the first obstacle, from 0."""

    def __init__(self, source: int, problem: str) -> None:
        super().__init__(f"the sources cannot be joined, because of source {source}: {problem}")
        self.source, self.problem = source, problem


class StorageRefused(UploadError):
    """Storage refuses the service itself; an operator must fix credentials or permissions."""

    def __init__(self, operation: str, storage_code: str) -> None:
        super().__init__(f"storage refused {operation}: {storage_code}")
        self.operation, self.storage_code = operation, storage_code
