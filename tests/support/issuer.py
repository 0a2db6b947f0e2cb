"""An issuer of JSON Web Tokens, with keys of its own, and calls that carry its tokens."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from partway_server.domain.principal import Scope
from partway_server.rpc.identity.claims import ClaimRules
from partway_server.rpc.identity.jwt import TokenRules

from tests.support.clock import START

ISSUER = "https://issuer.example/realms/test"
AUDIENCE = "partway"
NOW = int(START.timestamp())

RULES = TokenRules(
    issuer=ISSUER,
    audiences=(AUDIENCE, "partway-staging"),
    algorithms=frozenset({"RS256", "PS256", "ES256", "EdDSA"}),
    claims=ClaimRules("tenant", "sub", "scope", frozenset(), leeway_seconds=30),
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and what its JWK says of it."""

    kid: str
    algorithm: str
    private: Any
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def jwk(self) -> dict[str, Any]:
        """Return the public half."""
        public = self.private.public_key()
        kinds: Mapping[str, Any] = {"RS": RSAAlgorithm, "PS": RSAAlgorithm, "ES": ECAlgorithm}
        kind = kinds.get(self.algorithm[:2], OKPAlgorithm)
        made: dict[str, Any] = kind.to_jwk(public, as_dict=True)
        return {**made, "kid": self.kid, "alg": self.algorithm, "use": "sig", **self.more}


@cache
def signing_key(kid: str, algorithm: str = "RS256", bits: int = 2048) -> SigningKey:
    """Return the key of that name, made once for all tests."""
    if algorithm.startswith(("RS", "PS")):
        return SigningKey(kid, algorithm, rsa.generate_private_key(65537, bits))
    if algorithm == "EdDSA":
        return SigningKey(kid, algorithm, ed25519.Ed25519PrivateKey.generate())
    return SigningKey(kid, algorithm, ec.generate_private_key(ec.SECP256R1()))


def jwks(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.jwk for key in keys]}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a valid token; a change to None leaves one out."""
    valid = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": NOW + 600,
        "tenant": "acme",
        "sub": "alice",
        "scope": " ".join(Scope),
    }
    return {name: value for name, value in {**valid, **changes}.items() if value is not None}


def token(key: SigningKey, headers: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """Return a token that the key signs, valid but for the changes."""
    return jwt.encode(
        claims(**changes), key.private, key.algorithm, headers={"kid": key.kid, **(headers or {})}
    )


def bearer(text: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call with that token."""
    return (("authorization", f"Bearer {text}"),)


@dataclass(slots=True)
class ACall:
    """A call's context that has only metadata and a peer."""

    metadata: Sequence[tuple[str, str | bytes]] = ()
    peer_name: str = "ipv4:127.0.0.1:50000"

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        return self.metadata

    def peer(self) -> str:
        return self.peer_name


@dataclass(slots=True)
class JwksEndpoint:
    """A web server that publishes `body`, or answers with another status. It counts requests.

    While `gate` is not set, no request is answered. `asked` receives the number of each request.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    requests: int = 0
    asked: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        self.asked.put_nowait(self.requests)
        await self.gate.wait()
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@contextlib.asynccontextmanager
async def a_jwks_endpoint(
    body: bytes = b"", tls: ssl.SSLContext | None = None
) -> AsyncIterator[JwksEndpoint]:
    """Run an endpoint on loopback."""
    endpoint = JwksEndpoint(body)
    endpoint.gate.set()
    app = web.Application()
    app.router.add_get("/{path:.*}", endpoint.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    endpoint.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    try:
        yield endpoint
    finally:
        endpoint.gate.set()
        await runner.cleanup()
