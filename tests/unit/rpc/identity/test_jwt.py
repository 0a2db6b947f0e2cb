"""Tests that no forged, foreign or expired token is taken for a valid one."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from partway_server.domain.errors import CredentialsRejected, TimedOut
from partway_server.domain.grant import Caller
from partway_server.domain.principal import Principal
from partway_server.rpc.identity.jwks import KeysUnavailable, UnknownKey
from partway_server.rpc.identity.jwt import MAX_TOKEN_CHARS, MAX_VERIFIED, JwtAuthenticator
from partway_server.rpc.identity.key_set import KeySet, parse_key_set
from partway_server.rpc.identity.rejections import Rejections

from tests.support.clock import FakeClock
from tests.support.issuer import (
    AUDIENCE,
    NOW,
    RULES,
    ACall,
    SigningKey,
    bearer,
    claims,
    jwks,
    signing_key,
    token,
)

KEY, EC, ED = signing_key("rsa"), signing_key("ec", "ES256"), signing_key("ed", "EdDSA")
PSS = signing_key("pss", "PS256")
STRANGER = replace(signing_key("stranger"), kid="rsa")
"""A key that the issuer does not have, under the name of one that it has."""


@dataclass
class FixedKeys:
    """The keys of a test; it counts how often a key is asked for."""

    keys: KeySet | None
    asked: list[str] = field(default_factory=list)

    def current(self) -> KeySet | None:
        return self.keys

    async def holding(self, kid: str) -> KeySet:
        self.asked.append(kid)
        if self.keys is None:
            raise KeysUnavailable
        if not self.keys.knows(kid):
            raise UnknownKey
        return self.keys

    async def reload(self) -> bool:
        return True


@dataclass
class Door:
    """An authenticator, what it verifies with, and its clock."""

    authenticator: JwtAuthenticator
    keys: FixedKeys
    clock: FakeClock

    async def open(self, text: str) -> Principal | None:
        call: Any = ACall(bearer(text))
        return await self.authenticator.authenticate(call)


@pytest.fixture
def door(clock: FakeClock) -> Door:
    keys = FixedKeys(parse_key_set(jwks(KEY, EC, ED, PSS)))
    rejections = Rejections(clock)
    authenticator = JwtAuthenticator(rules=RULES, keys=keys, clock=clock, rejections=rejections)
    return Door(authenticator, keys, clock)


@pytest.mark.parametrize("key", [KEY, EC, ED, PSS], ids=lambda key: key.algorithm)
async def test_a_token_of_each_algorithm_identifies_its_caller(door: Door, key: SigningKey) -> None:
    found = await door.open(token(key, scope="read"))
    assert found is not None
    assert found.caller == Caller("acme", "alice")
    assert found.scopes == {"read"}


@pytest.mark.parametrize("audience", [AUDIENCE, ["x", AUDIENCE], "partway-staging"])
async def test_one_audience_of_ours_is_enough(door: Door, audience: Any) -> None:
    assert await door.open(token(KEY, aud=audience))


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("partway-tenant", "acme"),),
        (("authorization", "Basic YTpi"),),
        (("authorization", "Partway e30.e30.e30"),),
        (("authorization", ""),),
    ],
)
async def test_other_credentials_are_not_this_methods(door: Door, metadata: Any) -> None:
    call: Any = ACall(metadata)
    assert await door.authenticator.authenticate(call) is None


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hmac(secret: bytes, algorithm: str = "HS256") -> str:
    """Return a token whose HMAC key is a text that everyone can read."""
    signed = f"{encoded({'alg': algorithm, 'kid': 'rsa'})}.{encoded(claims())}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def unsigned(algorithm: Any, signature: str = "") -> str:
    return f"{encoded({'alg': algorithm, 'kid': 'rsa'})}.{encoded(claims())}.{signature}"


def with_part(number: int, changed: str) -> str:
    """Return a valid token with one of its three parts replaced."""
    parts = token(KEY).split(".")
    parts[number] = changed
    return ".".join(parts)


def public(encoding: Encoding, form: PublicFormat) -> bytes:
    data: bytes = KEY.private.public_key().public_bytes(encoding, form)
    return data


PEM = public(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

FORGED: dict[str, Callable[[], str]] = {
    "none": lambda: unsigned("none"),
    "none, in capitals": lambda: unsigned("NONE"),
    "none, signed": lambda: unsigned("none", token(KEY).rpartition(".")[2]),
    "no algorithm": lambda: unsigned(None),
    "a list of algorithms": lambda: unsigned(["RS256"]),
    "an algorithm that is a number": lambda: unsigned(1e300),
    "no signature": lambda: unsigned("RS256"),
    "HMAC by the PEM": lambda: by_hmac(PEM),
    "HMAC by the PEM, stripped": lambda: by_hmac(PEM.strip()),
    "HMAC by the DER": lambda: by_hmac(
        public(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ),
    "HMAC by PKCS 1": lambda: by_hmac(public(Encoding.PEM, PublicFormat.PKCS1)),
    "HMAC by the JWK": lambda: by_hmac(json.dumps(KEY.jwk).encode()),
    "HMAC by the modulus": lambda: by_hmac(KEY.jwk["n"].encode()),
    "HMAC by nothing": lambda: by_hmac(b""),
    "HMAC that says it is RSA": lambda: by_hmac(PEM, "RS256"),
    "an algorithm that is not allowed": lambda: token(replace(KEY, algorithm="RS512")),
    "an RSA key with another padding": lambda: token(replace(KEY, algorithm="PS256")),
    "an EC signature under an RSA key": lambda: token(replace(EC, kid="rsa")),
    "an RSA signature under an EC key": lambda: token(replace(KEY, kid="ec")),
    "an EdDSA signature under an EC key": lambda: token(replace(ED, kid="ec")),
    "a stranger's key": lambda: token(STRANGER),
    "an unknown key": lambda: token(replace(KEY, kid="other")),
    "a kid that climbs": lambda: token(replace(KEY, kid="../../../../dev/null")),
    "a kid that is SQL": lambda: token(replace(KEY, kid="' UNION SELECT 'x")),
    "a kid that is a URL": lambda: token(replace(KEY, kid="https://evil.example/jwks.json")),
    "a kid that is long": lambda: token(replace(KEY, kid="k" * 257)),
    "a kid that is no text": lambda: with_part(0, encoded({"alg": "RS256", "kid": {"a": 1}})),
    "an algorithm that does not exist": lambda: with_part(0, encoded({"alg": "XX256"})),
    "jku": lambda: token(STRANGER, {"jku": "https://evil.example/jwks.json"}),
    "jku, and a valid signature": lambda: token(KEY, {"jku": "https://issuer.example/jwks"}),
    "x5u": lambda: token(KEY, {"x5u": "https://evil.example/cert.pem"}),
    "jwk": lambda: token(STRANGER, {"jwk": STRANGER.jwk}),
    "jwk, and a valid signature": lambda: token(KEY, {"jwk": KEY.jwk}),
    "crit": lambda: token(KEY, {"crit": ["exp"], "exp": NOW}),
    "crit that is empty": lambda: token(KEY, {"crit": []}),
    "crit of b64": lambda: with_part(
        0, encoded({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": False})
    ),
    "no b64": lambda: with_part(0, encoded({"alg": "RS256", "kid": "rsa", "b64": False})),
    "another audience": lambda: token(KEY, aud="billing"),
    "another audience's name within": lambda: token(KEY, aud=f"{AUDIENCE}-evil"),
    "no audience": lambda: token(KEY, aud=None),
    "an empty audience": lambda: token(KEY, aud=""),
    "audiences of other services": lambda: token(KEY, aud=["a", "b"]),
    "an audience that is no text": lambda: token(KEY, aud={AUDIENCE: True}),
    "another issuer": lambda: token(KEY, iss="https://evil.example"),
    "an issuer that begins alike": lambda: token(KEY, iss=f"{RULES.issuer}/"),
    "an issuer that is a list": lambda: jws_of({"iss": [RULES.issuer]}),
    "no issuer": lambda: token(KEY, iss=None),
    "no end": lambda: token(KEY, exp=None),
    "expired": lambda: token(KEY, exp=NOW - 30),
    "not valid yet": lambda: token(KEY, nbf=NOW + 31),
    "no tenant": lambda: token(KEY, tenant=None),
    "no subject": lambda: token(KEY, sub=None),
    "another tenant, tampered": lambda: with_part(1, encoded(claims(tenant="evil"))),
    "a signature of another token": lambda: with_part(
        2, token(KEY, sub="bob").rpartition(".")[2]
    ),
    "a signature with one bit flipped": lambda: flipped(token(KEY)),
    "a signature with padding": lambda: token(KEY) + "====",
    "claims that are no object": lambda: jws_of([1]),
    "claims that are no JSON": lambda: jws_of(b"{"),
    "too long": lambda: token(KEY, more="x" * MAX_TOKEN_CHARS),
    "nothing": lambda: "",
    "dots": lambda: "..",
    "two parts": lambda: token(KEY).rpartition(".")[0],
    "four parts": lambda: token(KEY) + ".e30",
    "two tokens": lambda: f"{token(KEY)} {token(KEY)}",
    "a line break": lambda: token(KEY).replace(".", ".\n", 1),
    "no base64": lambda: "!!.!!.!!",
    "not ASCII": lambda: "é.é.é",
    "half of a character": lambda: "\ud800.e30.e30",
    "a header that is no object": lambda: with_part(0, encoded([])),
    "a header that is deep": lambda: with_part(0, encoded(b"[" * 4000)),
    "a header with a long number": lambda: with_part(0, encoded(b'{"alg":' + b"9" * 5000 + b"}")),
    "JWE": lambda: "e30.e30.e30.e30.e30",
    "JSON": lambda: json.dumps({"payload": "e30", "signatures": []}),
}  # fmt: skip


def jws_of(payload: Any) -> str:
    """Return what the issuer signs for a payload that is not one of ours."""
    if isinstance(payload, dict):
        payload = {**claims(), **payload}
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return jwt.PyJWS().encode(data, KEY.private, "RS256", headers={"kid": "rsa"})


def flipped(text: str) -> str:
    signed, _, signature = text.rpartition(".")
    data = bytearray(base64.urlsafe_b64decode(signature + "=="))
    data[7] ^= 1
    return f"{signed}.{encoded(bytes(data))}"


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused_without_a_word(
    door: Door, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    forged = FORGED[name]()
    with pytest.raises(CredentialsRejected) as raised:
        await door.open(forged)
    assert str(raised.value) == "the credentials are not accepted"
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("credentials rejected: JWT: ")
    assert not [part for part in forged.split(".") if len(part) > 3 and part in caplog.text]
    # And the valid one is accepted after it.
    assert await door.open(token(KEY))


async def test_two_tokens_are_none(door: Door) -> None:
    call: Any = ACall(bearer(token(KEY)) + bearer(token(KEY)))
    with pytest.raises(CredentialsRejected):
        await door.authenticator.authenticate(call)


async def test_a_token_that_is_too_long_is_not_even_read(door: Door) -> None:
    with pytest.raises(CredentialsRejected):
        await door.open("x" * (MAX_TOKEN_CHARS + 1))
    assert door.keys.asked == []


async def test_while_there_are_no_keys_callers_try_again(door: Door) -> None:
    door.keys.keys = None
    with pytest.raises(TimedOut):
        await door.open(token(KEY))


async def test_a_token_is_verified_once_until_it_expires(door: Door) -> None:
    text = token(KEY, exp=NOW + 60)
    first = await door.open(text)
    assert await door.open(text) is first
    assert door.keys.asked == ["rsa"]
    door.clock.advance(89)
    assert await door.open(text) is first
    door.clock.advance(1)
    with pytest.raises(CredentialsRejected):
        await door.open(text)


async def test_a_token_whose_key_is_withdrawn_is_refused_at_once(door: Door) -> None:
    text = token(KEY)
    await door.open(text)
    door.keys.keys = parse_key_set(jwks(EC))
    with pytest.raises(CredentialsRejected):
        await door.open(text)


async def test_only_so_many_tokens_are_remembered(door: Door) -> None:
    first, second = token(KEY), token(KEY, sub="bob")
    await door.open(first)
    await door.open(second)
    verified = door.authenticator._verified
    kept = next(iter(verified.values()))
    for number in range(MAX_VERIFIED - 2):
        verified[number.to_bytes(32)] = kept
    # Used just now, so that it is the other that goes.
    await door.open(first)
    await door.open(token(KEY, sub="carol"))
    assert len(verified) == MAX_VERIFIED
    await door.open(first)
    assert len(door.keys.asked) == 3
    await door.open(second)
    assert len(door.keys.asked) == 4


async def test_a_flood_of_forged_tokens_is_a_line_a_minute_and_remembers_nothing(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        with pytest.raises(CredentialsRejected):
            await door.open(token(STRANGER, sub=str(number)))
    assert len(caplog.records) == 1
    assert not door.authenticator._verified


async def test_a_token_that_was_verified_costs_next_to_nothing(door: Door) -> None:
    call: Any = ACall((("user-agent", "test"), *bearer(token(KEY))))
    await door.authenticator.authenticate(call)
    spent = []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(1000):
            await door.authenticator.authenticate(call)
        spent.append(time.process_time() - begun)
    # The least: other processes share the caches of the machine.
    assert min(spent) / 1000 < 20e-6
