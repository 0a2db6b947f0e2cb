"""Tests the table of transitions, and the types that follow it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import product

import msgpack
import pytest
from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import CopySource, Grant
from partway_server.domain.part_plan import Plan
from partway_server.domain.upload import (
    CLAIMS,
    FINISHES,
    LEASED,
    AbortReason,
    Manifest,
    State,
    StoredObject,
    Upload,
)

from tests.support.clock import START
from tests.support.uploads import an_upload

LATER = START + timedelta(seconds=30)
STORED = StoredObject(7, "etag")

TRANSITIONS: dict[State, Callable[[Upload], Upload]] = {
    State.COMPLETED: lambda upload: upload.completed(STORED),
    State.ABORTED: lambda upload: upload.aborted(AbortReason.LOST),
}


def test_what_is_claimed_is_leased_and_what_is_finished_is_not() -> None:
    assert set(CLAIMS) == set(FINISHES) == LEASED


def test_the_table_is_that_of_the_design() -> None:
    """Compare with the design: `INITIATING -> ACTIVE -> COMPLETING -> COMPLETED` and
    `ACTIVE -> ABORTING -> ABORTED`. Besides, leased states are taken over, and a late proof wins
    over a tombstone. An upload that never became ACTIVE has nothing to abort: it is opened after
    all, or forgotten."""
    edges = {(a, b) for b, froms in CLAIMS.items() for a in froms if a is not b}
    edges |= {(a, b) for a, tos in FINISHES.items() for b in tos}
    assert edges == {
        (State.INITIATING, State.ACTIVE),
        (State.ACTIVE, State.COMPLETING),
        (State.ACTIVE, State.ABORTING),
        (State.COMPLETING, State.ACTIVE),
        (State.COMPLETING, State.COMPLETED),
        (State.COMPLETING, State.ABORTED),
        (State.COMPLETING, State.ABORTING),
        (State.ABORTING, State.COMPLETED),
        (State.ABORTING, State.ABORTED),
        (State.ABORTED, State.COMPLETING),
        (State.ABORTED, State.ABORTING),
    }


def test_nothing_leads_out_of_completed() -> None:
    assert all(State.COMPLETED not in froms for froms in CLAIMS.values())
    assert State.COMPLETED not in FINISHES


@pytest.mark.parametrize(("state", "target"), list(product(State, sorted(LEASED))))
def test_a_claim_is_allowed_as_the_table_says(state: State, target: State) -> None:
    upload = an_upload(state)
    assert upload.may_claim(target, START) == (state in CLAIMS[target])


@pytest.mark.parametrize(("state", "target"), list(product(sorted(LEASED), repeat=2)))
def test_a_lease_keeps_all_others_out(state: State, target: State) -> None:
    upload = replace(an_upload(state), lease_until=LATER)
    assert not upload.may_claim(target, START)
    assert not upload.may_claim(target, LATER - timedelta(microseconds=1))
    assert upload.may_claim(target, LATER) == (state in CLAIMS[target])


@pytest.mark.parametrize("state", sorted(set(State) - LEASED))
def test_a_state_without_a_worker_is_never_leased(state: State) -> None:
    assert not replace(an_upload(state), lease_until=LATER).leased(START)


@pytest.mark.parametrize("target", sorted(LEASED))
def test_a_claim_raises_the_epoch_and_keeps_the_rest(target: State) -> None:
    upload = an_upload(State.ABORTED, epoch=7, abort_reason=AbortReason.LOST, fingerprint="f")
    claimed = upload.claimed(target, START, LATER)
    assert (claimed.state, claimed.lease_until) == (target, LATER)
    assert claimed.epoch > 7
    # Higher than any before it, though the clock stands still.
    assert claimed.claimed(target, START, LATER).epoch > claimed.epoch
    assert (claimed.abort_reason, claimed.fingerprint) == (AbortReason.LOST, "f")
    assert claimed.grant == upload.grant
    assert upload.state is State.ABORTED


@pytest.mark.parametrize(("state", "outcome"), list(product(State, TRANSITIONS)))
def test_an_end_is_allowed_as_the_table_says(state: State, outcome: State) -> None:
    upload = replace(an_upload(state, epoch=3), lease_until=LATER)
    if outcome in FINISHES.get(state, ()):
        ended = TRANSITIONS[outcome](upload)
        assert (ended.state, ended.epoch, ended.lease_until) == (outcome, 3, None)
    else:
        with pytest.raises(ValueError, match="cannot become"):
            TRANSITIONS[outcome](upload)


@pytest.mark.parametrize("state", State)
def test_only_what_was_claimed_can_be_active_again(state: State) -> None:
    upload = an_upload(state, manifest=b"m", abort_reason=AbortReason.LOST)
    if State.ACTIVE in FINISHES.get(state, ()):
        again = upload.reopened()
        assert (again.state, again.manifest, again.abort_reason) == (State.ACTIVE, b"", None)
        assert upload.activated("m-1").grant.multipart_id == "m-1"
    else:
        with pytest.raises(ValueError, match="cannot become"):
            upload.reopened()
        with pytest.raises(ValueError, match="cannot become"):
            upload.activated("m-1")


def test_a_completed_upload_has_its_object_and_no_reason_to_be_aborted() -> None:
    upload = an_upload(State.ABORTING, abort_reason=AbortReason.EXPIRED)
    done = upload.completed(STORED)
    assert (done.object, done.abort_reason) == (STORED, None)


def test_a_grant_survives_being_packed() -> None:
    for checksum in Checksum:
        grant = replace(
            an_upload().grant, checksum=checksum, single=True, metadata={"a": "b", "é": ""}
        )
        assert Grant.unpack(grant.pack()) == grant
        grant = replace(grant, whole_checksum=b"12345678")
        assert Grant.unpack(grant.pack()) == grant
        grant = replace(grant, plan=Plan(9, 5, (5, 0, 4)), composition=b"c" * 16)
        assert Grant.unpack(grant.pack()) == grant


@pytest.mark.parametrize("packed", [b"", b"\x90", b"\xc1", b"x" * 100])
def test_anything_else_does_not_unpack(packed: bytes) -> None:
    with pytest.raises(ValueError):
        Grant.unpack(packed)


def test_a_packed_grant_with_more_or_fewer_fields_does_not_unpack() -> None:
    packed = an_upload().grant.pack()
    assert packed[:3] == b"\xdc\x00\x11"
    with pytest.raises(ValueError):
        Grant.unpack(b"\xdc\x00\x10" + packed[3:])
    with pytest.raises(ValueError):
        Grant.unpack(b"\xdc\x00\x16" + packed[3:] + b"\xc4\x00\x80\x90\xc4\x00\x01")


def test_a_grant_from_before_there_was_a_whole_checksum_opens_and_stays_as_it_is() -> None:
    grant = an_upload().grant
    packed = msgpack.packb(
        (
            bytes.fromhex(grant.sid),
            *("acme", "alice", "videos", "main", "uploads", grant.key, False),
            *(1024**3, 16 * 1024**2, "video/mp4", "crc32c", bytes.fromhex(grant.write_token)),
            *(int(grant.create_time.timestamp()), int(grant.expire_time.timestamp())),
            *(grant.multipart_id, {}),
        )
    )
    assert Grant.unpack(packed) == grant
    assert grant.whole_checksum == b""
    assert grant.pack() == packed


@pytest.mark.parametrize("parts", [b"", b"p" * 32])
@pytest.mark.parametrize("checksum", [b"", b"whole_it"])
def test_a_manifest_survives_being_packed(parts: bytes, checksum: bytes) -> None:
    manifest = Manifest(parts, checksum)
    assert Manifest.unpack(manifest.pack()) == manifest
    assert bool(manifest.pack()) == bool(parts or checksum)


def test_the_whole_checksum_is_that_of_initialize_or_of_the_complete_at_work() -> None:
    named = an_upload(manifest=Manifest(b"p" * 32, b"complete").pack())
    assert named.whole_checksum == b"complete"
    assert replace(named, manifest=b"p" * 32).whole_checksum == b""
    sealed = replace(named, grant=replace(named.grant, whole_checksum=b"the_init"))
    assert sealed.whole_checksum == b"the_init"


@pytest.mark.parametrize(
    ("checksum", "size"),
    [
        (Checksum.NONE, 0),
        (Checksum.CRC32C, 4),
        (Checksum.CRC64NVME, 8),
        (Checksum.MD5, 16),
        (Checksum.SHA256, 32),
    ],
)
def test_checksums_are_as_long_as_their_algorithm_says(checksum: Checksum, size: int) -> None:
    assert checksum.size_bytes == size


def test_what_is_composed_is_looked_at_again_soon_and_no_later_than_its_deadline() -> None:
    source = CopySource("bucket", "key", 7, "etag", "token")
    sent, composed = an_upload(), an_upload(sources=(source,))
    end, minute = sent.grant.expire_time, timedelta(minutes=1)
    assert sent.look_again(START, minute) == end
    assert composed.look_again(START, minute) == START + minute
    assert composed.look_again(end, minute) == end
