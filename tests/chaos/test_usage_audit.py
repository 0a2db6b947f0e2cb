"""Tests that the audit of usage finds what it must."""

from typing import Any

import pytest
from partway_server.domain.upload import AbortReason, State, StoredObject
from partway_server.domain.usage import Standing, day_of, standing_of
from partway_server.sessions.record_encoding import fields, usage_entry
from partway_server.sessions.redis_keys import counted_key, row_key, shard_of, usage_keys

from tests.support.clock import START
from tests.support.uploads import an_upload
from tests.support.usage_audit import usage_faults

UPLOAD = an_upload()
SIZE = UPLOAD.grant.plan.size_bytes
COUNTED, TENANT, SUBJECT = usage_keys(UPLOAD.grant)


def hashes(**changes: Any) -> dict[str, dict[bytes, bytes]]:
    """Return what Redis holds of one open upload, as it should be."""
    row = {**fields(an_upload(**changes)), "lease_until": "", "mark": "", "told": ""}
    upload = an_upload(**changes)
    usage = {b"open": b"1", b"open_bytes": b"%d" % SIZE}
    usage |= {b"day": b"%d" % day_of(START), b"day_bytes": b"%d" % SIZE}
    assert counted_key(shard_of(upload.sid)) == COUNTED
    return {
        row_key(upload.sid): {k.encode(): _bytes(v) for k, v in row.items()},
        COUNTED: {upload.sid.encode(): usage_entry(upload.grant).encode()},
        TENANT: dict(usage),
        SUBJECT: dict(usage),
    }


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def test_all_is_right() -> None:
    assert standing_of(UPLOAD) is Standing.OPEN
    assert usage_faults(hashes()) == []
    assert usage_faults({}) == []


@pytest.mark.parametrize("field", [b"open", b"open_bytes", b"day_bytes"])
@pytest.mark.parametrize("key", [TENANT, SUBJECT])
def test_a_number_that_is_wrong_is_found(key: str, field: bytes) -> None:
    found = hashes()
    found[key][field] = b"2"
    [fault] = usage_faults(found)
    assert fault.startswith(f"{key} has {field.decode()} 2,")


@pytest.mark.parametrize(
    "ended",
    [
        {"state": State.COMPLETED, "object": StoredObject(SIZE, "etag")},
        {"state": State.ABORTED, "abort_reason": AbortReason.REQUESTED},
    ],
)
def test_an_upload_that_was_not_released_is_found(ended: dict[str, Any]) -> None:
    assert any("which is not open" in fault for fault in usage_faults(hashes(**ended)))


def test_what_is_left_of_a_record_is_found() -> None:
    found = hashes()
    del found[row_key(UPLOAD.sid)]
    # The entry, and three numbers each of the tenant and of the subject.
    assert len(usage_faults(found)) == 7


def test_an_open_upload_that_is_not_counted_is_found() -> None:
    found = {key: value for key, value in hashes().items() if key == row_key(UPLOAD.sid)}
    assert any("lacks" in fault for fault in usage_faults(found))
    assert any("has open 0, and the records have 1" in fault for fault in usage_faults(found))
