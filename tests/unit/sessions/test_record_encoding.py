"""Tests that one version of the service reads the session records of another."""

from typing import Any

import msgpack
import pytest
from partway_server.domain.grant import CopySource
from partway_server.domain.upload import State, StoredObject, Upload
from partway_server.sessions import record_encoding

from tests.support.uploads import an_upload


def read_back(upload: Upload, *, without: str = "", **changes: bytes) -> Upload:
    written = {
        name.encode(): value if isinstance(value, bytes) else str(value).encode()
        for name, value in {**record_encoding.fields(upload), "lease_until": "", **changes}.items()
    }
    written.pop(without.encode(), None)
    return record_encoding.upload_from(written)


def test_an_object_without_a_checksum_is_written_as_before_there_was_one() -> None:
    upload = an_upload(State.COMPLETED, object=StoredObject(7, "etag", "v1"))
    before = msgpack.packb((7, "etag", "v1"))
    assert record_encoding.fields(upload)["object"] == before
    assert read_back(upload, object=before) == upload


def test_an_object_with_a_checksum_is_read_back() -> None:
    upload = an_upload(State.COMPLETED, object=StoredObject(7, "etag", checksum=b"12345678"))
    assert read_back(upload) == upload


def test_a_manifest_from_before_there_was_a_whole_checksum_names_parts_alone() -> None:
    row = read_back(an_upload(State.COMPLETING, manifest=b"p" * 32))
    assert row.manifest == b"p" * 32
    assert row.whole_checksum == b""


def test_metadata_is_read_back_where_it_is_known() -> None:
    for metadata in ({"camera": "7"}, {}, None):
        upload = an_upload(metadata=metadata)
        assert read_back(upload) == upload


def test_a_row_from_before_there_were_events_has_no_metadata() -> None:
    upload = an_upload(metadata={"camera": "7"})
    assert read_back(upload, without="metadata").metadata is None


def test_sources_are_read_back_and_a_row_without_any_is_as_it_was() -> None:
    assert "sources" not in record_encoding.fields(an_upload())
    source = CopySource("bucket", "a/key", 7, "etag", "token")
    upload = an_upload(sources=(source, source), delete_sources=True)
    assert read_back(upload) == upload


def test_what_is_empty_may_be_absent() -> None:
    upload = an_upload()
    for name in ("lease_until", "reason", "object", "fingerprint", "digest", "manifest"):
        emptied: dict[str, Any] = {} if name == "lease_until" else {name: b""}
        assert read_back(upload, without=name) == read_back(upload, **emptied)


def test_a_record_says_which_form_it_has_and_one_that_does_not_has_the_first() -> None:
    upload = an_upload()
    assert record_encoding.fields(upload)["form"] == record_encoding.FORM == 1
    assert read_back(upload, without="form") == upload


def test_a_record_in_a_later_form_is_not_garbled() -> None:
    with pytest.raises(record_encoding.NewerRecord):
        read_back(an_upload(), form=b"2", grant=b"in a form that is not known yet")
    for form in (b"", b"-1", b"two"):
        assert read_back(an_upload(), form=form) == an_upload()
