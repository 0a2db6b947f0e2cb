"""Every way an upload fails, in upload words.

Each class carries its data as attributes; what a caller sees of it is decided in one place,
`rpc/status.py`. No message holds a secret, a URL or an upload_id.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class UploadError(Exception):
    """The base of all errors that callers are meant to see."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is not allowed, and why, in words for the caller."""

    field: str
    description: str


class InvalidRequest(UploadError):
    """Fields of the request are not allowed."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = tuple(violations)


class UndecodableRequest(UploadError):
    """The request is not a message of the type that the RPC takes."""


class RequestIdReused(UploadError):
    """The request_id was used before with other values."""

    def __init__(self, request_id: str) -> None:
        super().__init__("request_id was used before with other values; use a new UUID")
        self.request_id = request_id


class CallerUnknown(UploadError):
    """The call does not say who makes it."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the call has no usable metadata {key!r}, which names the caller")
        self.key = key


class UploadNotFound(UploadError):
    """The upload_id opens nothing for this caller; which of the reasons, it does not say."""

    def __init__(self) -> None:
        super().__init__("there is no such upload")


class UploadNotActive(UploadError):
    """The Upload is in a state that does not allow the call."""

    def __init__(self, sid: str, state: str, abort_reason: str = "") -> None:
        because = f" ({abort_reason})" if abort_reason else ""
        super().__init__(f"the upload is {state}{because}")
        self.sid, self.state, self.abort_reason = sid, state, abort_reason


class PartsMissing(UploadError):
    """Storage does not hold every part. `ranges` are (first, last), in order."""

    def __init__(self, sid: str, ranges: Sequence[tuple[int, int]]) -> None:
        self.sid, self.ranges = sid, tuple(ranges)
        self.count = sum(last - first + 1 for first, last in ranges)
        super().__init__(f"{self.count} parts are missing in storage")


class PartsMismatch(UploadError):
    """Storage holds parts that differ from the plan or from what the caller says it sent."""

    def __init__(self, sid: str, mismatches: Sequence[tuple[int, str]]) -> None:
        super().__init__(f"{len(mismatches)} parts in storage are not as planned")
        self.sid, self.mismatches = sid, tuple(mismatches)
        self.count = len(mismatches)


class PartsRefused(UploadError):
    """Storage would not join the parts, and says so by `storage_code`."""

    def __init__(self, sid: str, storage_code: str) -> None:
        super().__init__(f"storage refuses the parts: {storage_code}")
        self.sid, self.storage_code = sid, storage_code


class CompletedOtherwise(UploadError):
    """The Upload was completed with other parts than the call names."""

    def __init__(self, sid: str) -> None:
        super().__init__("the upload was completed with other parts")
        self.sid = sid


class ObjectExists(UploadError):
    """Another object took the key first."""

    def __init__(self, sid: str) -> None:
        super().__init__("another object took the key first; the upload was aborted")
        self.sid = sid


class UploadConflict(UploadError):
    """Storage found a conflict and gave the Upload up."""

    def __init__(self, sid: str) -> None:
        super().__init__("storage found a conflict; the upload was aborted, begin a new one")
        self.sid = sid


class TryAgain(UploadError):
    """Nothing is lost; the same call may work after `retry_seconds`."""

    retry_seconds = 1.0


class UploadBusy(TryAgain):
    """Another call is creating or changing the Upload at this moment."""

    def __init__(self, sid: str) -> None:
        super().__init__("another call is changing the upload")
        self.sid = sid


class Overloaded(TryAgain):
    """The service has as many calls in progress as it takes."""

    def __init__(self) -> None:
        super().__init__("the service has too many calls in progress")


class SessionsUnavailable(TryAgain):
    """Redis does not answer."""

    def __init__(self) -> None:
        super().__init__("the session store does not answer")


class StorageUnavailable(TryAgain):
    """Storage does not answer, or the `backend` that an Upload is in is none that is known here."""

    def __init__(self, backend: str = "") -> None:
        unknown = f"the backend {backend!r} of the upload is not configured here"
        super().__init__(unknown if backend else "storage does not answer")


class TimedOut(TryAgain):
    """The call could not be answered in time."""

    def __init__(self) -> None:
        super().__init__("the call could not be answered in time")


class Stopping(TryAgain):
    """The service is stopping, and ends the stream."""

    def __init__(self) -> None:
        super().__init__("the service is stopping")


class ViaServiceOff(UploadError):
    """The policy of the Upload lets no parts through the service."""

    def __init__(self, sid: str, policy: str) -> None:
        super().__init__(
            f"the policy {policy!r} lets no parts through the service: send them straight to"
            " storage, or ask the operator to set via_service"
        )
        self.sid, self.policy = sid, policy


class PartChanged(TryAgain):
    """The bytes of a part, sent through the service, are not those of its checksum."""

    def __init__(self, sid: str, part_number: int) -> None:
        super().__init__(f"the bytes of part {part_number} changed on the way; send it again")
        self.sid, self.part_number = sid, part_number


class SourceUnusable(UploadError):
    """A source of a Compose cannot be copied. `source` is its place in the request, from 0."""

    def __init__(self, source: int, problem: str) -> None:
        super().__init__(f"source {source} cannot be copied: {problem}")
        self.source, self.problem = source, problem


class SourcesNotJoinable(UploadError):
    """Storage cannot join the sources of a Compose; `source` is the first in the way, from 0."""

    def __init__(self, source: int, problem: str) -> None:
        super().__init__(f"storage cannot join the sources, at source {source}: {problem}")
        self.source, self.problem = source, problem


class StorageRefused(UploadError):
    """Storage refuses the service itself: an operator must mend credentials or permissions."""

    def __init__(self, operation: str, storage_code: str) -> None:
        super().__init__(f"storage refuses {operation}: {storage_code}")
        self.operation, self.storage_code = operation, storage_code
