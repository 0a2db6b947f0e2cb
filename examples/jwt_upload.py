"""Demonstrates JSON Web Tokens end to end: an issuer, a service that trusts it, and two callers.

Makes a key pair, publishes its public half as a JWKS, and starts the embedded stack with
PARTWAY_IDENTITY=jwt. An upload with a token of the issuer succeeds; tokens for another audience,
without the scope, and of a stranger are refused. Exits 1 if anything is not as expected, and leaves
nothing behind.

    python -m examples.jwt_upload
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from partway_client import UploadClient
from partway_client.errors import PartwayError

AUDIENCE = "partway"
KEY_ID = "example-1"
FILE_BYTES = 12 * 1024 * 1024
TOKEN_SECONDS = 300

# Installed commands are next to the interpreter, regardless of PATH.
COMMANDS = Path(sys.executable).parent


class ExampleFailure(Exception):
    """An unexpected result."""


class Issuer:
    """What an identity provider does: it publishes its public keys, and signs tokens."""

    def __init__(self) -> None:
        self.url = ""
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwks(self) -> dict[str, Any]:
        public: dict[str, Any] = ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": KEY_ID, "alg": "ES256", "use": "sig"}]}

    def token(self, *, scope: str = "upload read", audience: str = AUDIENCE) -> str:
        """Return a token of the user alice of the tenant acme."""
        claims = {
            "iss": self.url,
            "aud": audience,
            "exp": int(time.time()) + TOKEN_SECONDS,
            "tenant": "acme",
            "sub": "alice",
            "scope": scope,
        }
        return jwt.encode(claims, self._key, "ES256", headers={"kid": KEY_ID})

    @contextlib.asynccontextmanager
    async def publish(self) -> AsyncIterator[str]:
        """Serve the JWKS on loopback, and yield its URL."""

        async def answer(request: web.Request) -> web.Response:
            return web.json_response(self.jwks)

        app = web.Application()
        app.router.add_get("/jwks.json", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield f"{self.url}/jwks.json"
        finally:
            await runner.cleanup()


async def main() -> None:
    issuer, stranger = Issuer(), Issuer()
    async with issuer.publish() as jwks_url:
        stranger.url = issuer.url
        say(f"The issuer publishes its key at {jwks_url}")
        settings = {
            "PARTWAY_IDENTITY": "jwt",
            "PARTWAY_JWT_ISSUER": issuer.url,
            "PARTWAY_JWT_AUDIENCE": AUDIENCE,
            "PARTWAY_JWT_JWKS_URL": jwks_url,
            # For development: the issuer is on loopback, in plain text.
            "PARTWAY_JWT_JWKS_ALLOW_PRIVATE": "true",
        }
        for name, value in settings.items():
            say(f"  {name}={value}")
        say("Starting storage, Redis and the service")
        async with stack(settings) as ready:
            with tempfile.TemporaryDirectory(prefix="partway-jwt-") as folder:
                await call(ready["grpc"], issuer, stranger, Path(folder))


async def call(server: str, issuer: Issuer, stranger: Issuer, folder: Path) -> None:
    """Upload with a valid token, then try several that are not."""
    file = folder / "film.bin"
    await asyncio.to_thread(file.write_bytes, os.urandom(FILE_BYTES))
    async with client(server, issuer.token(), folder) as alice:
        uploaded = await alice.upload_file(file)
    say(f"Uploaded with a token of alice of acme: {uploaded.key}")
    expect(uploaded.key.startswith("acme/"), "the tenant of the token in the key")
    await refused(server, issuer.token(audience="billing"), folder, "a token for another audience")
    await refused(server, issuer.token(scope="read"), folder, "a token without the scope upload")
    await refused(server, stranger.token(), folder, "a token that a stranger signed")


async def refused(server: str, token: str, folder: Path, what: str) -> None:
    try:
        async with client(server, token, folder) as caller:
            await caller.upload_file(folder / "film.bin")
    except PartwayError as error:
        say(f"Refused, {what}: {error}")
    else:
        raise ExampleFailure(f"{what} was accepted")


def client(server: str, token: str, folder: Path) -> UploadClient:
    metadata = {"authorization": f"Bearer {token}"}
    return UploadClient(server, call_metadata=metadata, state_dir=folder / "state")


@contextlib.asynccontextmanager
async def stack(settings: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
    """Run the embedded stack with these settings, and yield its ready line."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PARTWAY_")}
    process = await asyncio.create_subprocess_exec(
        *(str(COMMANDS / "partway-server"), "dev"),
        env={**kept, **settings, "PARTWAY_LOG_LEVEL": "warning"},
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C goes to this program, which stops the stack when it is done.
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        expect(line.startswith(b"{"), "the stack starting")
        yield json.loads(line)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)


def expect(truth: bool, what: str) -> None:
    if not truth:
        raise ExampleFailure(what)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except ExampleFailure as failure:
        sys.exit(f"not as expected: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
