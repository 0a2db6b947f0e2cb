"""Tests that only IDs encrypted with one of our keys decrypt, and to the same grant."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given, settings
from hypothesis import strategies as st
from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import UploadNotFound
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.part_plan import Plan
from partway_server.domain.policy import Policy
from partway_server.domain.sealing import KEY_BYTES
from partway_server.domain.upload_ids import MAX_ID_CHARS, UploadIdCipher

from tests.support.examples import examples
from tests.support.uploads import an_upload

KEY, OTHER, THIRD = (bytes([n]) * KEY_BYTES for n in (1, 2, 3))
SEALER = UploadIdCipher([KEY])

seconds = st.integers(0, 2**33).map(lambda s: datetime.fromtimestamp(s, UTC))
tokens = st.binary(min_size=16, max_size=16).map(bytes.hex)
text = st.text(max_size=50)
grants = st.builds(
    Grant,
    sid=tokens,
    caller=st.builds(Caller, text, text),
    policy=text,
    backend=text,
    bucket=text,
    key=text,
    single=st.booleans(),
    plan=st.builds(Plan, st.integers(0, 2**62), st.integers(1, 2**62)),
    content_type=text,
    checksum=st.sampled_from(Checksum),
    write_token=tokens,
    create_time=seconds,
    expire_time=seconds,
    multipart_id=text,
    metadata=st.dictionaries(text, text, max_size=3),
)


def flipped(text: str, position: int, bit: int) -> str:
    """Return the ID with one bit of its decoded bytes flipped."""
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[position % len(raw)] ^= 1 << bit
    return base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()


@given(grants)
def test_what_was_sealed_opens_to_the_same(grant: Grant) -> None:
    sealed = SEALER.encrypt(grant)
    assert SEALER.decrypt(sealed) == grant
    assert SEALER.encrypt(grant) == sealed
    assert UploadIdCipher([KEY]).encrypt(SEALER.decrypt(sealed)) == sealed


@given(grants, st.integers(0), st.integers(0, 7))
def test_one_bit_spoils_it(grant: Grant, position: int, bit: int) -> None:
    with pytest.raises(UploadNotFound):
        SEALER.decrypt(flipped(SEALER.encrypt(grant), position, bit))


@settings(max_examples=examples(500))
@given(st.one_of(st.text(max_size=200), st.from_regex(r"[A-Za-z0-9_-]{0,200}", fullmatch=True)))
def test_nothing_else_opens(text: str) -> None:
    with pytest.raises(UploadNotFound):
        SEALER.decrypt(text)


@given(grants, st.integers(1, 40), st.sampled_from("AZ_-=+/ \n\0é"))
def test_an_id_has_one_spelling(grant: Grant, cut: int, extra: str) -> None:
    sealed = SEALER.encrypt(grant)
    spellings = (sealed[:-cut], sealed + extra, extra + sealed, sealed + "=", sealed + extra * cut)
    for other in spellings:
        with pytest.raises(UploadNotFound):
            SEALER.decrypt(other)


def test_the_last_character_has_no_second_spelling() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for length in range(1, 5):
        grant = replace(an_upload().grant, key="k" * length)
        sealed = SEALER.encrypt(grant)
        opened = 0
        for last in alphabet:
            try:
                SEALER.decrypt(sealed[:-1] + last)
                opened += 1
            except UploadNotFound:
                continue
        assert opened == 1


def test_keys_can_be_rotated() -> None:
    grant = an_upload().grant
    before, between, after = (
        UploadIdCipher([KEY]),
        UploadIdCipher([OTHER, KEY]),
        UploadIdCipher([OTHER]),
    )
    old, new = before.encrypt(grant), between.encrypt(grant)
    assert old != new
    assert between.decrypt(old) == between.decrypt(new) == after.decrypt(new) == grant
    with pytest.raises(UploadNotFound):
        after.decrypt(old)
    with pytest.raises(UploadNotFound):
        before.decrypt(new)
    with pytest.raises(UploadNotFound):
        UploadIdCipher([THIRD]).decrypt(new)


def test_the_head_is_sealed_with_the_rest() -> None:
    """Check that bytes under the name of another key do not open, though that key is known."""
    upload_ids = UploadIdCipher([KEY, OTHER])
    raw = base64.urlsafe_b64decode(UploadIdCipher([KEY]).encrypt(an_upload().grant) + "==="[:3])
    named_otherwise = base64.urlsafe_b64decode(
        UploadIdCipher([OTHER]).encrypt(an_upload().grant) + "==="
    )[:5]
    forged = base64.urlsafe_b64encode(named_otherwise + raw[5:]).rstrip(b"=").decode()
    with pytest.raises(UploadNotFound):
        upload_ids.decrypt(forged)


def test_another_version_does_not_open() -> None:
    raw = base64.urlsafe_b64decode(SEALER.encrypt(an_upload().grant) + "===")
    head = b"\x02" + raw[1:5]
    body = AESSIV(KEY).encrypt(an_upload().grant.pack(), [head])
    with pytest.raises(UploadNotFound):
        SEALER.decrypt(base64.urlsafe_b64encode(head + body).rstrip(b"=").decode())


@pytest.mark.parametrize("keys", [[], [b""], [KEY[:-1]], [KEY + b"x"], [KEY, b"short"]])
def test_keys_of_another_length_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        UploadIdCipher(keys)


def test_an_id_stays_short() -> None:
    grant = replace(
        an_upload().grant,
        caller=Caller("acme-video-production", "550e8400-e29b-41d4-a716-446655440000"),
        key="k" * 200,
        multipart_id="m" * 128,
    )
    assert len(SEALER.encrypt(grant)) < 700


def test_the_headers_of_an_object_are_in_the_id_of_a_single_put_and_in_no_other() -> None:
    headers = {"cache-control": "no-store", "x-amz-tagging": "a=b"}
    grant = replace(an_upload().grant, single=True, multipart_id="", headers=headers)
    assert SEALER.decrypt(SEALER.encrypt(grant)) == grant
    whole = replace(grant, whole_checksum=bytes(8))
    assert SEALER.decrypt(SEALER.encrypt(whole)) == whole
    assert whole.with_multipart("m").headers == {}


def test_the_longest_id_is_one_that_requests_may_carry() -> None:
    grant = replace(
        an_upload().grant,
        caller=Caller("t" * 64, "s" * 128),
        policy="p" * 64,
        backend="b" * 64,
        bucket="b" * 63,
        key="k" * 1024,
        content_type="c" * 255,
        single=True,
        multipart_id="",
        metadata={f"{n:064}": "" for n in range(32)},
        headers=Policy(
            "longest",
            "b",
            content_disposition="d" * 255,
            cache_control="c" * 255,
            storage_class="S" * 64,
            encryption="aws:kms",
            kms_key_id="k" * 255,
            tags={"t" * 128: "v" * 256, "u" * 128: "v" * 256, "w" * 120: "v" * 100},
        ).headers,
    )
    assert len(SEALER.encrypt(grant)) <= MAX_ID_CHARS


def test_an_id_is_url_safe_and_says_nothing_in_the_clear() -> None:
    grant = an_upload().grant
    sealed = SEALER.encrypt(grant)
    assert set(sealed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    raw = base64.urlsafe_b64decode(sealed + "===")
    for plain in (b"acme", b"alice", b"film", b"multipart", bytes.fromhex(grant.write_token)):
        assert plain not in raw
