"""A JSON Web Key Set (RFC 7517): which key verifies which algorithm. No I/O.

Only public keys for signatures are kept. A key is for the algorithms that its own type, curve,
`alg`, `use` and `key_ops` permit, whatever the header of a token says.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

MAX_KEYS = 100
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}
_PUBLIC = ("kty", "crv", "n", "e", "x", "y")
"""The members of a JWK that make up its public key."""


class InvalidKeySet(Exception):
    """Text that is not a key set, or has no key that can be used. The reason is for operators."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, and the algorithms it may verify. `kid` is its name in the set, "" for none."""

    kid: str
    algorithms: frozenset[str]
    public_key: Any


class KeySet:
    """The keys of one JWKS."""

    def __init__(self, body: bytes, keys: tuple[VerificationKey, ...]) -> None:
        self.body = body
        self._keys = keys
        self._by_name: dict[tuple[str, str], VerificationKey] = {}
        for key in keys:
            for algorithm in key.algorithms:
                self._by_name.setdefault((key.kid, algorithm), key)
        self._kids = {key.kid for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def knows(self, kid: str) -> bool:
        """Return whether a key has that name; "" asks for any key."""
        return kid in self._kids or not kid

    def key(self, kid: str, algorithm: str) -> VerificationKey | None:
        """Return the key to verify `algorithm` with, None if no key fits.

        Without a `kid` it must be the only one that fits.
        """
        if kid:
            return self._by_name.get((kid, algorithm))
        fitting = [key for key in self._keys if algorithm in key.algorithms]
        return fitting[0] if len(fitting) == 1 else None


def parse_key_set(body: bytes) -> KeySet:
    """Return the key set that a JWKS describes. Raises InvalidKeySet."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidKeySet("it is not JSON") from error
    found = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise InvalidKeySet("it has no list named keys")
    if len(found) > MAX_KEYS:
        raise InvalidKeySet(f"it has more than {MAX_KEYS} keys")
    keys = tuple(filter(None, map(_key, found)))
    if not keys:
        raise InvalidKeySet("none of its keys can verify a signature")
    return KeySet(body, keys)


def _key(jwk: Any) -> VerificationKey | None:
    """Return the key of a JWK, None for one that is not for our signatures."""
    if not isinstance(jwk, dict) or not _for_signatures(jwk):
        return None
    kid, algorithm = jwk.get("kid", ""), jwk.get("alg")
    algorithms = frozenset(_fitting(jwk))
    if algorithm is not None:
        algorithms &= {algorithm} if isinstance(algorithm, str) else frozenset()
    if not algorithms or not isinstance(kid, str):
        return None
    try:
        # Never the private half, should an issuer publish it by mistake.
        public = {name: jwk[name] for name in _PUBLIC if name in jwk}
        key = jwt.PyJWK(public, algorithm=min(algorithms)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if jwk["kty"] == "RSA" and not _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS:
        return None
    return VerificationKey(kid, algorithms, key)


def _for_signatures(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )


def _fitting(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the algorithms that the type of a key is for."""
    kind, curve = jwk.get("kty"), jwk.get("crv")
    if kind == "RSA":
        return _RSA
    if isinstance(kind, str) and isinstance(curve, str):
        return _CURVES.get((kind, curve), ())
    return ()
