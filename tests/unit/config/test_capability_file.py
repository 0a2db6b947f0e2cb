"""Tests capability records in files: what is written is read, and what is wrong is said."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
from partway_server.config.backends import Backend
from partway_server.config.capability_file import (
    FLAGS,
    CapabilityFileError,
    read_record,
    record_text,
)
from partway_server.domain.checksum import Checksum
from partway_server.domain.rule_error import RuleError
from partway_server.storage.capabilities import KNOWN, Capabilities


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.toml"


def test_what_is_written_is_read(file: Path) -> None:
    record = replace(
        KNOWN["ceph"],
        source="measured on 2026-03-01",
        conditional_delete=True,
        unsigned_headers=False,
        checksums=frozenset({Checksum.CRC64NVME, Checksum.MD5}),
    )
    names = ("conditional_delete", "unsigned_headers", "checksums")
    measured = {name: getattr(record, name) for name in names}
    file.write_text(record_text("ceph", record.source, measured))
    assert read_record(str(file)) == record


@pytest.mark.parametrize("kind", KNOWN)
def test_every_known_record_may_be_a_file(file: Path, kind: str) -> None:
    known = KNOWN[kind]
    text = record_text("generic", known.source, {n: getattr(known, n) for n in FLAGS})
    file.write_text(f"{text}multipart_seconds = {known.multipart_seconds}\n")
    found = read_record(str(file))
    assert {n: getattr(found, n) for n in FLAGS} == {n: getattr(known, n) for n in FLAGS}
    assert found.multipart_seconds == known.multipart_seconds
    assert found.limits == KNOWN["generic"].limits


def test_the_flags_are_all_that_a_store_does_or_does_not_do() -> None:
    others = {"source", "limits", "multipart_seconds", "checksums", "keeps"}
    assert {each.name for each in fields(Capabilities)} - FLAGS == others


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "like is None; known are aws, b2, ceph, "),
        ('like = "cef"', "like is 'cef'; known are "),
        ('like = "ceph"\nconditional_putt = true', "did you mean conditional_put?"),
        ('like = "ceph"\nconditional_put = 1', "conditional_put is neither true nor false"),
        ('like = "ceph"\nchecksums = ["crc32"]', "checksums is not a list of crc32c, "),
        ('like = "ceph"\nchecksums = "md5"', "checksums is not a list of "),
        ('like = "ceph"\nmultipart_seconds = -1', "multipart_seconds is not a number of seconds"),
        ('like = "ceph"\nmultipart_seconds = true', "multipart_seconds is not a number of"),
        ('like = "ceph"\nsource = 1', "source is not text"),
        ("like = ", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said(file: Path, text: str, words: str) -> None:
    file.write_text(text)
    with pytest.raises(CapabilityFileError) as failed:
        read_record(str(file))
    assert words in str(failed.value)
    assert str(file) in str(failed.value)


def test_a_backend_has_the_record_of_its_file(file: Path) -> None:
    file.write_text('like = "generic"\nconditional_put = true\n')
    backend = Backend("far", endpoint="http://s3.example", record=str(file), multipart_seconds=7200)
    assert backend.capabilities == replace(
        KNOWN["generic"], source=str(file), conditional_put=True, multipart_seconds=7200
    )


def test_a_backend_with_an_unusable_file_is_refused(file: Path) -> None:
    with pytest.raises(RuleError, match=r"record: \S+store.toml cannot be read: No such file"):
        Backend("far", record=str(file))
