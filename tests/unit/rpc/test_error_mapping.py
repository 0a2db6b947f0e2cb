"""Tests how errors are mapped to what callers see."""

from typing import Any

import pytest
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from partway_server.domain import errors
from partway_server.domain.errors import FieldViolation
from partway_server.rpc.error_mapping import TABLE, internal, status_of

SID = "ab" * 16


def placed(error: errors.UploadError) -> errors.UploadError:
    """Return a fault of storage with the place where it happened."""
    assert isinstance(error, errors.StorageRefused | errors.StorageUnavailable)
    error.place = "default", "uploads"
    return error


EXAMPLES: list[errors.UploadError] = [
    errors.InvalidRequest([FieldViolation("size_bytes", "0 or more")]),
    errors.UndecodableRequest("the request cannot be decoded"),
    errors.RequestIdReused("0b5a9a3e-1111-4222-8333-444455556666"),
    errors.CallerUnknown("partway-tenant"),
    errors.CredentialsRejected(),
    errors.UploadTokenExpired(),
    errors.PermissionDenied("compose"),
    errors.QuotaExceeded("open_uploads", 10, 10, owner="tenant"),
    errors.UploadNotFound(),
    errors.UploadNotActive(SID, "aborted", "expired"),
    errors.PartsMissing(SID, [(1, 3), (5, 5)]),
    errors.PartsMismatch(SID, [(2, "size differs")]),
    errors.PartsRefused(SID, "InvalidPart"),
    errors.CompletedOtherwise(SID),
    errors.ObjectExists(SID),
    errors.UploadConflict(SID),
    errors.UploadBusy(SID),
    errors.Overloaded(),
    errors.SessionsUnavailable(),
    errors.SessionsFull(),
    placed(errors.StorageUnavailable(operation="ListParts", storage_code="SlowDown")),
    errors.TimedOut(),
    errors.Stopping(),
    errors.ViaServiceOff(SID, "default"),
    errors.PartChanged(SID, 3),
    errors.StreamEnded(),
    errors.PartTooSlow(SID, 3),
    errors.SourceUnusable(1, "it is not completed"),
    errors.SourcesNotJoinable(0, "it is smaller than 5 MiB"),
    placed(errors.StorageRefused("HeadObject", "AccessDenied")),
]


def details(status: status_pb2.Status) -> dict[str, Any]:
    found: dict[str, Message] = {}
    for packed in status.details:
        name = packed.TypeName().rpartition(".")[2]
        found[name] = getattr(error_details_pb2, name)()
        assert packed.Unpack(found[name])
    return found


def test_there_is_an_example_of_every_error() -> None:
    assert {type(error) for error in EXAMPLES} == set(TABLE)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_every_error_says_why_in_a_way_for_machines(error: errors.UploadError) -> None:
    status = status_of(error)
    info = details(status)["ErrorInfo"]
    assert info.domain == "partway"
    assert info.reason.startswith("ERROR_REASON_")
    assert status.code != code_pb2.OK
    assert status.message == str(error) and status.message
    assert all(info.metadata.values())
    assert status.ByteSize() < 1000


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_what_may_be_tried_again_says_when(error: errors.UploadError) -> None:
    has_retry = "RetryInfo" in details(status_of(error))
    assert has_retry == isinstance(error, errors.TryAgain)
    if has_retry:
        assert details(status_of(error))["RetryInfo"].retry_delay.ToMilliseconds() > 0


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_only_what_can_be_repeated_as_it_is_is_unavailable(error: errors.UploadError) -> None:
    """Check that retries do no harm: clients retry UNAVAILABLE by themselves."""
    unavailable = status_of(error).code == code_pb2.UNAVAILABLE
    harmless = (
        errors.SessionsUnavailable,
        errors.StorageUnavailable,
        errors.TimedOut,
        # Only streams end so.
        errors.Stopping,
        errors.StreamEnded,
    )
    assert unavailable == isinstance(error, harmless)


def test_states_and_reasons_are_named_as_in_the_contract() -> None:
    info = details(status_of(errors.UploadNotActive(SID, "aborted", "object_exists")))["ErrorInfo"]
    assert info.metadata == {
        "upload": SID,
        "state": "UPLOAD_STATE_ABORTED",
        "abort_reason": "ABORT_REASON_OBJECT_EXISTS",
    }
    info = details(status_of(errors.UploadNotActive(SID, "completed")))["ErrorInfo"]
    assert info.metadata == {"upload": SID, "state": "UPLOAD_STATE_COMPLETED"}


def test_missing_parts_are_ranges() -> None:
    found = details(status_of(errors.PartsMissing(SID, [(1, 3), (5, 5)])))
    assert found["ErrorInfo"].metadata["missing_count"] == "4"
    violations = found["PreconditionFailure"].violations
    assert [(v.type, v.subject) for v in violations] == [
        ("PART_MISSING", "parts/1-3"),
        ("PART_MISSING", "parts/5-5"),
    ]


def test_lists_are_cut_at_50_and_texts_at_500() -> None:
    error = errors.InvalidRequest([FieldViolation(f"f[{n}]", "x" * 9000) for n in range(1000)])
    found = details(status_of(error))["BadRequest"].field_violations
    assert len(found) == 50
    assert {len(v.description) for v in found} == {500}
    assert len(status_of(error).message) == 500


def test_a_fault_of_ours_tells_nothing_but_its_reference() -> None:
    status = internal("0123456789abcdef")
    info = details(status)["ErrorInfo"]
    assert (status.code, status.message) == (code_pb2.INTERNAL, "internal error")
    assert (info.reason, info.metadata) == (
        "ERROR_REASON_INTERNAL",
        {"reference": "0123456789abcdef"},
    )


def test_a_caller_is_told_which_source_is_in_the_way() -> None:
    status = status_of(errors.SourcesNotJoinable(2, "it is smaller than 5 MiB"))
    assert "source 2" in status.message
