"""The exceptions for every way a call or an upload can fail.

Errors from the service are `ServiceError`s, one class for each value of `partway.v1.ErrorReason`;
the others are detected here. A message says what to do if there is something to do, and never
contains a URL or an upload_id.
"""

from collections.abc import Mapping, Sequence


class PartwayError(Exception):
    """The base class of all errors of this package."""


class ServiceError(PartwayError):
    """The service refused the call.

    `reason` is the name of the ErrorReason without its prefix, `metadata` the details that came
    with it, and `retry_seconds` how long to wait before repeating the call (None: not given).
    `parts` are the part numbers concerned, as at most 50 (first, last) pairs.
    """

    reason = ""

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_seconds: float | None = None,
        parts: Sequence[tuple[int, int]] = (),
    ) -> None:
        super().__init__(message)
        self.metadata = dict(metadata or {})
        self.retry_seconds = retry_seconds
        self.parts = tuple(parts)


class InvalidRequest(ServiceError):
    """Fields of the request are invalid; the message names each."""

    reason = "INVALID_REQUEST"


class UndecodableRequest(ServiceError):
    """The request is not a message of the type that the RPC takes."""

    reason = "UNDECODABLE_REQUEST"


class RequestIdReused(ServiceError):
    """The request_id was used before with other values."""

    reason = "REQUEST_ID_REUSED"


class CallerUnknown(ServiceError):
    """The call does not identify its caller, and the service requires it."""

    reason = "CALLER_UNKNOWN"


class CredentialsRejected(ServiceError):
    """The credentials of the call are invalid, have expired, or are not accepted from here."""

    reason = "CREDENTIALS_REJECTED"


class UploadTokenExpired(ServiceError):
    """The upload token has expired; get another from whoever made it."""

    reason = "UPLOAD_TOKEN_EXPIRED"


class PermissionDenied(ServiceError):
    """The credentials do not allow the call: `metadata["needed"]` is missing."""

    reason = "PERMISSION_DENIED"


class QuotaExceeded(ServiceError):
    """A limit is reached: `metadata` has the `limit`, how much is `used`, and the `max`."""

    reason = "QUOTA_EXCEEDED"


class SessionsFull(ServiceError):
    """The session store of the service has no room for another Upload."""

    reason = "SESSIONS_FULL"


class PartTooSlow(ServiceError):
    """A part came to the service more slowly than it accepts; send it again."""

    reason = "PART_TOO_SLOW"


class StreamEnded(ServiceError):
    """A stream lasted as long as the service lets one last; open it again."""

    reason = "STREAM_ENDED"


class UploadNotFound(ServiceError):
    """The Upload does not exist, or belongs to another caller."""

    reason = "UPLOAD_NOT_FOUND"


class UploadNotActive(ServiceError):
    """The Upload is in a state that does not allow the call."""

    reason = "UPLOAD_NOT_ACTIVE"


class PartsMissing(ServiceError):
    """Storage does not hold every part."""

    reason = "PARTS_MISSING"


class PartsMismatch(ServiceError):
    """Storage holds a part that differs from the plan, or from the file."""

    reason = "PARTS_MISMATCH"


class PartsRefused(ServiceError):
    """Storage refused to join the parts."""

    reason = "PARTS_REFUSED"


class CompletedOtherwise(ServiceError):
    """The Upload was completed with other parts, or another checksum."""

    reason = "COMPLETED_OTHERWISE"


class ObjectExists(ServiceError):
    """Another object took the key first; the Upload was aborted."""

    reason = "OBJECT_EXISTS"


class UploadBusy(ServiceError):
    """Another call is changing the Upload at this moment."""

    reason = "UPLOAD_BUSY"


class UploadConflict(ServiceError):
    """Storage found a conflict and discarded the Upload; start a new one."""

    reason = "UPLOAD_CONFLICT"


class Overloaded(ServiceError):
    """The service has reached its limit of calls in progress."""

    reason = "OVERLOADED"


class SessionsUnavailable(ServiceError):
    """The session store of the service does not respond."""

    reason = "SESSIONS_UNAVAILABLE"


class StorageUnavailable(ServiceError):
    """Storage does not respond to the service."""

    reason = "STORAGE_UNAVAILABLE"


class TimedOut(ServiceError):
    """The service could not answer the call in time."""

    reason = "TIMED_OUT"


class StorageRefused(ServiceError):
    """Storage refuses the service itself; an operator must fix it."""

    reason = "STORAGE_REFUSED"


class Stopping(ServiceError):
    """The service is stopping; another instance will answer."""

    reason = "STOPPING"


class ViaServiceOff(ServiceError):
    """The policy of the Upload does not allow parts through the service."""

    reason = "VIA_SERVICE_OFF"


class PartChanged(ServiceError):
    """The bytes of a part changed on their way to the service; send it again."""

    reason = "PART_CHANGED"


class SourceUnusable(ServiceError):
    """A source of a composition is not complete, or its object was removed or replaced."""

    reason = "SOURCE_UNUSABLE"


class SourcesNotJoinable(ServiceError):
    """Storage cannot join these sources: `metadata["problem"]` says why."""

    reason = "SOURCES_NOT_JOINABLE"


class InternalFault(ServiceError):
    """A bug in the service; find it in the service's logs by `metadata["reference"]`."""

    reason = "INTERNAL"


BY_REASON: Mapping[str, type[ServiceError]] = {
    error.reason: error for error in ServiceError.__subclasses__()
}
"""The exception for each ErrorReason, by the name of the reason without its prefix."""


class ServiceUnreachable(PartwayError):
    """The service did not answer at its address, or not in time."""


class TokenUnavailable(PartwayError):
    """The file, command or function that the token comes from gives none."""


class CallFailed(PartwayError):
    """A call failed with a gRPC status that did not come from a Partway service."""


class UploadAborted(PartwayError):
    """The Upload was aborted while it was being sent. `abort_reason` says why."""

    def __init__(self, abort_reason: str) -> None:
        because = f" ({abort_reason})" if abort_reason else ""
        super().__init__(f"the upload was aborted at the service{because}; upload the file again")
        self.abort_reason = abort_reason


class StillCompleting(PartwayError):
    """Storage is still joining the parts."""

    def __init__(self) -> None:
        super().__init__("storage is still joining the parts; upload again to continue waiting")


class TransferFailed(PartwayError):
    """A part could not be sent. What was sent stays in storage, to resume the upload.

    `status` is the last HTTP status (None: no answer), `code` storage's own error code.
    """

    def __init__(self, problem: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(
            f"storage does not accept the data: {problem};"
            " upload again to send only what is missing"
        )
        self.status, self.code = status, code


class StorageUnreachable(TransferFailed):
    """Storage cannot be reached from here, and the service does not accept parts."""

    def __init__(self, problem: str) -> None:
        PartwayError.__init__(
            self,
            f"storage cannot be reached from here ({problem}), and the service does not accept"
            " parts: ask its operator to set via_service",
        )
        self.status, self.code = None, ""


class FileChanged(PartwayError):
    """The file changed while it was sent. `stored`: storage has already made an object of it."""

    def __init__(self, *, stored: bool = False) -> None:
        ending = (
            "the object in storage may be a mixture of its versions"
            if stored
            else "the upload was aborted"
        )
        super().__init__(f"the file changed while it was sent, and {ending}; upload it again")
        self.stored = stored


class FileUnreadable(PartwayError):
    """The file cannot be opened or read."""


class FileBusy(PartwayError):
    """The same file is being uploaded to the same place already."""

    def __init__(self) -> None:
        super().__init__(
            "the file is already being uploaded; wait for that upload to end, or stop it"
        )


class SizeMismatch(PartwayError):
    """A stream had more or fewer bytes than its caller specified.

    `actual_bytes` is how many were read; a stream that has more is not read to its end.
    """

    def __init__(self, expected_bytes: int, actual_bytes: int) -> None:
        more = f"the stream has more than the specified {expected_bytes} bytes"
        fewer = f"the stream has {actual_bytes} bytes instead of the specified {expected_bytes}"
        super().__init__(more if actual_bytes > expected_bytes else fewer)
        self.expected_bytes, self.actual_bytes = expected_bytes, actual_bytes


class SpoolFailed(PartwayError):
    """A stream could not be copied to disk, which is necessary to send it."""
