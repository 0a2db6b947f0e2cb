"""Tests that only tokens encrypted with one of our keys decrypt, and never as anything else."""

import base64
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from partway_server.domain.errors import CredentialsRejected, UploadNotFound
from partway_server.domain.grant import Caller
from partway_server.domain.principal import UploadAction, UploadToken
from partway_server.domain.sealing import KEY_BYTES, Sealer
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.domain.upload_token_cipher import MAX_TOKEN_CHARS, UploadTokenCipher

from tests.support.clock import START
from tests.support.uploads import an_upload

KEY, OTHER, THIRD = (bytes([n]) * KEY_BYTES for n in (1, 2, 3))
CIPHER = UploadTokenCipher([KEY])

TOKEN = UploadToken(
    caller=Caller("acme", "alice"),
    sid="0f" * 16,
    write_token="a1" * 16,
    actions=frozenset({UploadAction.PRESIGN, UploadAction.STATUS}),
    expire_time=START + timedelta(hours=1),
    parts=(3, 5),
)
SEALED = CIPHER.encrypt(TOKEN)

hexes = st.binary(min_size=16, max_size=16).map(bytes.hex)
tokens = st.builds(
    UploadToken,
    caller=st.builds(Caller, st.text(max_size=30), st.text(max_size=30)),
    sid=hexes,
    write_token=hexes,
    actions=st.frozensets(st.sampled_from(UploadAction)),
    expire_time=st.integers(0, 2**33).map(lambda s: datetime.fromtimestamp(s, UTC)),
    parts=st.none() | st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)),
)


def raw(text: str) -> bytearray:
    return bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def as_text(sealed: bytearray) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


@given(tokens)
def test_what_was_sealed_opens_to_the_same(token: UploadToken) -> None:
    sealed = CIPHER.encrypt(token)
    assert CIPHER.decrypt(sealed) == token
    assert CIPHER.encrypt(token) == sealed


@given(tokens, st.data())
def test_no_changed_token_opens(token: UploadToken, data: st.DataObject) -> None:
    sealed = raw(CIPHER.encrypt(token))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CredentialsRejected):
        CIPHER.decrypt(as_text(sealed))


def test_no_byte_of_a_token_can_be_changed() -> None:
    sealed, opened = raw(SEALED), 0
    for position, change in product(range(len(sealed)), range(1, 256)):
        sealed[position] ^= change
        with contextlib.suppress(CredentialsRejected):
            CIPHER.decrypt(as_text(sealed))
            opened += 1
        sealed[position] ^= change
    assert opened == 0
    assert CIPHER.decrypt(as_text(sealed)) == TOKEN


@given(st.text(max_size=600))
def test_no_nonsense_opens(text: str) -> None:
    with pytest.raises(CredentialsRejected):
        CIPHER.decrypt(text)


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 20])
def test_no_truncated_or_longer_token_opens(cut: int) -> None:
    for text in (SEALED[:-cut], SEALED[cut:], SEALED + "A" * cut, SEALED + "=" * cut, SEALED * 9):
        with pytest.raises(CredentialsRejected):
            CIPHER.decrypt(text)


def test_neither_a_token_nor_an_id_opens_as_the_other() -> None:
    ids, grant = UploadIdCipher([KEY]), an_upload().grant
    with pytest.raises(CredentialsRejected):
        CIPHER.decrypt(ids.encrypt(grant))
    with pytest.raises(UploadNotFound):
        ids.decrypt(SEALED)
    # Nor with the version of the other: it is authenticated, too.
    renamed, swapped = raw(ids.encrypt(grant)), raw(SEALED)
    renamed[0], swapped[0] = swapped[0], renamed[0]
    with pytest.raises(CredentialsRejected):
        CIPHER.decrypt(as_text(renamed))
    with pytest.raises(UploadNotFound):
        ids.decrypt(as_text(swapped))


def test_an_old_key_opens_until_it_is_dropped() -> None:
    assert UploadTokenCipher([OTHER, KEY]).decrypt(SEALED) == TOKEN
    with pytest.raises(CredentialsRejected):
        UploadTokenCipher([OTHER, THIRD]).decrypt(SEALED)


def test_what_a_newer_version_added_is_not_ignored() -> None:
    sealer = Sealer([KEY], b"\x02")
    fields = msgpack.unpackb(sealer.open(SEALED))
    for newer in ([*fields, 7], [*fields[:4], 1 << len(UploadAction), *fields[5:]], fields[:7]):
        with pytest.raises(CredentialsRejected):
            CIPHER.decrypt(sealer.seal(msgpack.packb(newer)))


def test_the_bits_of_actions_never_change() -> None:
    sealer = Sealer([KEY], b"\x02")
    tokens = [replace(TOKEN, actions=frozenset({action})) for action in UploadAction]
    bits = [msgpack.unpackb(sealer.open(CIPHER.encrypt(token)))[4] for token in tokens]
    assert bits == [1, 2, 4, 8, 16, 32, 64, 128]


def test_the_longest_names_leave_a_token_short() -> None:
    longest = replace(TOKEN, caller=Caller("a" * 64, "~" * 128), parts=(9_999, 10_000))
    sealed = CIPHER.encrypt(longest)
    assert len(sealed) <= MAX_TOKEN_CHARS
    assert CIPHER.decrypt(sealed) == longest
