"""Identifies callers by a JSON Web Token, as `authorization: Bearer TOKEN`.

Which algorithm and which key verify a token is decided here and by the issuer's keys. Of the header
of a token, `kid` is only looked up, `alg` is only compared, and what names another key is refused.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt

from partway_server.domain.clock import Clock
from partway_server.domain.errors import TimedOut
from partway_server.domain.principal import Principal
from partway_server.rpc.identity.authorization import authorization_of
from partway_server.rpc.identity.base import Context
from partway_server.rpc.identity.claims import ClaimRules, Refused, principal_of
from partway_server.rpc.identity.jwks import KeySource, KeysUnavailable, UnknownKey
from partway_server.rpc.identity.key_set import KeySet
from partway_server.rpc.identity.rejections import Rejections

MAX_TOKEN_CHARS = 8192
MAX_VERIFIED = 8192
_MAX_KID_CHARS = 256

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_FORBIDDEN_HEADERS = frozenset({"jku", "x5u", "jwk", "crit"})
"""Where a token would say which key, or which rules, it is verified by."""

_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (jwt.InvalidSignatureError, "the signature is wrong"),
    (jwt.InvalidAudienceError, "the audience is another"),
    (jwt.InvalidIssuerError, "the issuer is another"),
    (jwt.MissingRequiredClaimError, "iss, aud or exp is missing"),
    (jwt.InvalidAlgorithmError, "the algorithm is not allowed"),
    (jwt.DecodeError, "it is not a JWT"),
)

# Times are compared with the clock that is passed in, and subjects by their own rules.
_OPTIONS: Any = {
    "require": ["iss", "aud", "exp"],
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_sub", "verify_jti"), False),
}


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Which tokens are accepted: of one issuer, for any of `audiences`, by these algorithms."""

    issuer: str
    audiences: tuple[str, ...]
    algorithms: frozenset[str]
    claims: ClaimRules


@dataclass(frozen=True, slots=True)
class _Verified:
    """Whom a token identifies until `end`, as long as `keys` are in force."""

    principal: Principal
    end: float
    keys: KeySet


class JwtAuthenticator:
    """Verifies tokens. One that was verified is recognized until it expires or the keys change."""

    def __init__(
        self, *, rules: TokenRules, keys: KeySource, clock: Clock, rejections: Rejections
    ) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock
        self._rejections = rejections
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    async def authenticate(self, context: Context) -> Principal | None:
        authorization = authorization_of(context, self._rejections)
        if authorization is None or authorization.scheme != "bearer":
            return None
        try:
            return await self._principal(authorization.value)
        except Refused as refused:
            raise self._rejections.reject(f"JWT: {refused}") from None
        except KeysUnavailable:
            # Not a rejection: the token may well be valid, so the caller should try it again.
            raise TimedOut from None

    async def _principal(self, token: str) -> Principal:
        if len(token) > MAX_TOKEN_CHARS:
            raise Refused("it is too long")
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        keys, now = self._keys.current(), self._clock.now().timestamp()
        known = self._verified.get(digest)
        if known is not None and known.keys is keys and now < known.end:
            self._verified.move_to_end(digest)
            return known.principal
        algorithm, kid = self._header(token)
        verified = self._verify(token, algorithm, kid, await self._keys_holding(kid))
        self._remember(digest, verified)
        return verified.principal

    def _header(self, token: str) -> tuple[str, str]:
        """Return the algorithm and the key ID that the header names; "" if it names no key."""
        if not _COMPACT.fullmatch(token):
            raise Refused("it is not a JWT")
        try:
            # Without the claims and the signature, which are decoded once it is worth it.
            header = jwt.get_unverified_header(f"{token.partition('.')[0]}..")
        except (jwt.PyJWTError, ValueError) as error:
            raise Refused("it is not a JWT") from error
        if not _FORBIDDEN_HEADERS.isdisjoint(header):
            raise Refused("its header has jku, x5u, jwk or crit")
        algorithm, kid = header.get("alg"), header.get("kid", "")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise Refused("the algorithm is not allowed")
        if not isinstance(kid, str) or len(kid) > _MAX_KID_CHARS:
            raise Refused("its key ID is invalid")
        return algorithm, kid

    async def _keys_holding(self, kid: str) -> KeySet:
        try:
            return await self._keys.holding(kid)
        except UnknownKey:
            raise Refused("its key is unknown") from None

    def _verify(self, token: str, algorithm: str, kid: str, keys: KeySet) -> _Verified:
        key = keys.key(kid, algorithm)
        if key is None:
            raise Refused("no key fits its algorithm, or several do and it names none")
        try:
            claims = jwt.decode(
                token,
                key.public_key,
                algorithms=[algorithm],
                audience=self._rules.audiences,
                issuer=self._rules.issuer,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise Refused(_cause(error)) from error
        # Read again: the keys may have taken seconds to come.
        principal, end = principal_of(claims, self._rules.claims, self._clock.now().timestamp())
        return _Verified(principal, end, keys)

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        self._verified.move_to_end(digest)
        if len(self._verified) > MAX_VERIFIED:
            self._verified.popitem(last=False)


def _cause(error: Exception) -> str:
    return next((words for kind, words in _CAUSES if isinstance(error, kind)), "it is invalid")
