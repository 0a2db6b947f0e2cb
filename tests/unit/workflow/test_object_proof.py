"""Tests what proves an object to be ours, and what counts as planned."""

import hashlib
from dataclasses import replace

import msgpack
import pytest
from partway_server.domain.errors import PartsMismatch, PartsMissing
from partway_server.domain.part_plan import MIB, Plan
from partway_server.domain.steps import finish
from partway_server.domain.upload import Manifest
from partway_server.storage.base import Head, StoredPart
from partway_server.workflow.object_proof import verify_object
from partway_server.workflow.part_checks import (
    ExpectedPart,
    as_planned,
    check_parts,
    contradicted,
    manifest_of,
)

from tests.support.uploads import an_upload

PART = 5 * MIB
PLAN = Plan(2 * PART + 7, PART)
SID = "ab" * 16
WHOLE = [StoredPart(1, PART, "e1", b"c1"), StoredPart(2, PART, "e2"), StoredPart(3, 7, "e3")]

GRANT = replace(an_upload().grant, plan=PLAN)
HEAD = Head(2 * PART + 7, "etag", GRANT.write_token, "v1")


def test_the_token_and_the_size_are_proof() -> None:
    stored = verify_object(GRANT, HEAD)
    assert stored is not None
    assert (stored.size_bytes, stored.etag, stored.version_id) == (2 * PART + 7, "etag", "v1")


@pytest.mark.parametrize(
    "head",
    [
        None,
        replace(HEAD, write_token=""),
        replace(HEAD, write_token=GRANT.write_token[:-1]),
        replace(HEAD, write_token=GRANT.write_token.upper()),
        replace(HEAD, size_bytes=2 * PART + 6),
        replace(HEAD, size_bytes=0),
    ],
    ids=range(6),
)
def test_nothing_less_is_proof(head: Head | None) -> None:
    assert verify_object(GRANT, head) is None


def test_parts_of_another_number_or_size_are_not_as_planned() -> None:
    others = [StoredPart(4, 7, "e"), StoredPart(2, PART - 1, "e"), StoredPart(3, PART, "e")]
    assert as_planned(PLAN, WHOLE) == WHOLE
    assert as_planned(PLAN, others) == []


def test_all_parts_as_planned_are_enough() -> None:
    finish(check_parts(SID, PLAN, WHOLE, []))


def test_gaps_are_named_as_runs() -> None:
    with pytest.raises(PartsMissing) as raised:
        finish(check_parts(SID, PLAN, [WHOLE[1]], []))
    assert (raised.value.ranges, raised.value.count) == (((1, 1), (3, 3)), 2)


def test_every_part_that_differs_is_named_once_and_in_order() -> None:
    stored = [*WHOLE[:2], StoredPart(3, 8, "e3"), StoredPart(9, 1, "e9")]
    expected = [ExpectedPart(2, etag="other"), ExpectedPart(3, size_bytes=7)]
    with pytest.raises(PartsMismatch) as raised:
        finish(check_parts(SID, PLAN, stored, expected))
    assert raised.value.mismatches == (
        (2, "entity tag differs"),
        (3, "8 bytes in storage, 7 planned"),
        (9, "not in the plan"),
    )


@pytest.mark.parametrize(
    ("expected", "difference"),
    [
        (ExpectedPart(1), ""),
        (ExpectedPart(1, PART, "e1", b"c1"), ""),
        (ExpectedPart(1, etag="e2"), "entity tag differs"),
        (ExpectedPart(1, size_bytes=1), "size differs"),
        (ExpectedPart(1, checksum=b"c2"), "checksum differs"),
    ],
)
def test_what_the_caller_says_is_held_against_storage(
    expected: ExpectedPart, difference: str
) -> None:
    assert expected.differs(WHOLE[0]) == difference


def test_a_checksum_that_storage_does_not_tell_is_not_held_against_it() -> None:
    assert ExpectedPart(2, checksum=b"c2").differs(WHOLE[1]) == ""


def test_a_missing_part_comes_before_one_that_differs() -> None:
    with pytest.raises(PartsMissing):
        finish(check_parts(SID, PLAN, [StoredPart(1, 1, "e")], [ExpectedPart(2, etag="x")]))


def test_the_manifest_of_many_parts_is_the_digest_of_one_packed_list() -> None:
    named = [ExpectedPart(n, n, f"e{n}", b"crc!" * (n % 3 == 0)) for n in [*range(2, 1234), 1]]
    packed = msgpack.packb(
        sorted((p.number, p.size_bytes, "" if p.checksum else p.etag, p.checksum) for p in named)
    )
    found = finish(manifest_of(named, b"12345678"))
    assert found == Manifest(hashlib.sha256(packed).digest(), b"12345678")


def test_a_checksum_is_contradicted_only_by_another() -> None:
    assert not finish(contradicted(WHOLE, [ExpectedPart(1, checksum=b"c1"), ExpectedPart(2)]))
    # Storage reports none of the second part, and a fourth does not exist.
    unknown = [ExpectedPart(2, checksum=b"c2"), ExpectedPart(4, checksum=b"c4")]
    assert not finish(contradicted(WHOLE, unknown))
    assert finish(contradicted(WHOLE, [ExpectedPart(2), ExpectedPart(1, checksum=b"c2")]))
