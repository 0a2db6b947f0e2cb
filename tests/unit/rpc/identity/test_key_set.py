"""Tests which keys of a JWKS are used, and for what."""

import json
from typing import Any

import pytest
from partway_server.rpc.identity.key_set import MAX_KEYS, InvalidKeySet, parse_key_set

from tests.support.issuer import jwks, signing_key

RSA, EC, ED = signing_key("rsa"), signing_key("ec", "ES256"), signing_key("ed", "EdDSA")


def with_one(changes: dict[str, Any], jwk: dict[str, Any]) -> bytes:
    """Return a set of one JWK with these changes; None leaves a member out."""
    changed = {name: value for name, value in {**jwk, **changes}.items() if value is not None}
    return json.dumps({"keys": [changed]}).encode()


def test_a_key_verifies_only_its_own_algorithm() -> None:
    keys = parse_key_set(jwks(RSA, EC, ED))
    assert len(keys) == 3
    assert keys.key("rsa", "RS256") is not None
    for kid, algorithm in [
        *(("rsa", name) for name in ("PS256", "RS512", "HS256", "ES256", "none", "EdDSA")),
        *(("ec", name) for name in ("RS256", "ES384", "ES512", "HS256")),
        *(("ed", name) for name in ("RS256", "ES256", "HS256")),
        ("other", "RS256"),
    ]:
        assert keys.key(kid, algorithm) is None


def test_a_key_without_alg_verifies_what_its_type_is_for() -> None:
    keys = parse_key_set(with_one({"alg": None}, RSA.jwk))
    fitting = {f"{family}{bits}" for family in ("RS", "PS") for bits in (256, 384, 512)}
    assert {a for a in (*fitting, "ES256", "HS256", "EdDSA") if keys.key("rsa", a)} == fitting


def test_a_token_that_names_no_key_needs_one_that_is_the_only_one() -> None:
    assert parse_key_set(jwks(RSA, EC)).key("", "RS256") is not None
    two = parse_key_set(jwks(RSA, signing_key("second")))
    assert two.key("", "RS256") is None
    assert two.knows("") and two.knows("second") and not two.knows("third")


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "oct"},
        {"kty": "EC"},
        {"kty": None},
        {"kty": ["RSA"]},
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": "none"},
        {"alg": ["RS256"]},
        {"kid": 7},
        {"n": None},
        {"n": ""},
        {"n": "!!"},
        {"n": 7},
        {"e": "AA"},
        {"e": None},
    ],
)
def test_a_key_that_cannot_verify_a_token_is_left_out(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidKeySet, match="none of its keys"):
        parse_key_set(with_one(changes, RSA.jwk))
    both = json.loads(with_one(changes, RSA.jwk))["keys"] + [EC.jwk]
    assert len(parse_key_set(json.dumps({"keys": both}).encode())) == 1


@pytest.mark.parametrize(
    "changes", [{"crv": "P-384"}, {"crv": "secp256k1"}, {"crv": None}, {"x": "AA"}, {"y": EC.kid}]
)
def test_a_point_that_is_not_on_its_curve_is_no_key(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidKeySet):
        parse_key_set(with_one({**changes, "alg": None}, EC.jwk))


def test_a_short_rsa_key_is_not_used() -> None:
    with pytest.raises(InvalidKeySet):
        parse_key_set(jwks(signing_key("short", "RS256", bits=1024)))


def test_a_private_key_that_was_published_is_used_as_a_public_one() -> None:
    numbers = RSA.private.private_numbers()
    d = numbers.d.to_bytes(256).hex()
    key = parse_key_set(with_one({"d": d}, RSA.jwk)).key("rsa", "RS256")
    assert key is not None and not hasattr(key.public_key, "sign")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"7", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [null, 7, "x"]}'),
        *(b"<html>", b"\xff\xfe", b"[" * 100_000, b'{"keys"', b'{"Keys": []}'),
        json.dumps({"keys": [RSA.jwk] * (MAX_KEYS + 1)}).encode(),
    ],
)
def test_what_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidKeySet):
        parse_key_set(body)
