"""How probes send requests: through the SDK, and by presigned URLs."""

import asyncio
import contextlib
import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import yarl
from botocore.exceptions import ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from partway_server.doctor.probes.results import ProbeResponse
from partway_server.storage.s3_client import (
    CALL_SECONDS,
    S3Clients,
    SignerProvider,
    code_in,
)
from partway_server.storage.s3_diagnosis import NO_ANSWER, NO_CREDENTIALS, word_of
from partway_server.storage.sigv4 import Addressing, Credentials, S3Endpoint, Signer

_SEND_SECONDS = 60
"""For 5 MiB over a slow line."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class UrlSigner:
    """One endpoint, and the signer of URLs for it."""

    endpoint: S3Endpoint
    signer: SignerProvider[Signer]


@dataclass(frozen=True, slots=True)
class ProbeConnection:
    """The connections of a run. `own` and `public` are the same where only one endpoint is set."""

    clients: S3Clients
    http: aiohttp.ClientSession
    own: UrlSigner
    public: UrlSigner

    async def call(self, operation: str, **arguments: Any) -> ProbeResponse:
        """Make one call of the SDK, such as `put_object`, without retries."""
        return await response_to(getattr(self.clients.once, operation)(**arguments))

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes = b""
    ) -> ProbeResponse:
        """Send a plain request, as a caller of the service does."""

        async def sent() -> Mapping[str, Any]:
            # Encoded, because the signature is valid for exactly this spelling of the URL.
            target = yarl.URL(url, encoded=True)
            # As a file: aiohttp warns of large bytes.
            data = io.BytesIO(body) if body else None
            async with self.http.request(method, target, data=data, headers=headers) as response:
                code = _xml_code(await response.text(errors="replace"))
                lower = {name.lower(): value for name, value in response.headers.items()}
                metadata = {"HTTPStatusCode": response.status, "HTTPHeaders": lower}
                return {"ResponseMetadata": metadata, "Error": {"Code": code}}

        return await response_to(sent())


@contextlib.asynccontextmanager
async def open_connection(
    *,
    region: str,
    endpoint_url: str | None,
    public_endpoint_url: str | None,
    addressing: Addressing,
    access_key: str | None,
    secret_key: str | None,
    session_token: str | None,
    ca_file: str | None,
    signer: Credentials | None,
) -> AsyncIterator[ProbeConnection]:
    """Open the clients, which connect at first use.

    Raises ValueError for an invalid region or CA file.
    """
    clients = await S3Clients.open(
        region=region,
        endpoint_url=endpoint_url,
        addressing=addressing,
        access_key=access_key,
        secret_key=secret_key,
        session_token=session_token,
        ca_file=ca_file,
        signer=signer,
    )

    def url_signer(url: str) -> UrlSigner:
        endpoint = S3Endpoint(url, region, addressing)
        return UrlSigner(endpoint, SignerProvider(clients.signing, endpoint, Signer))

    try:
        own = url_signer(clients.control.meta.endpoint_url)
        public = url_signer(public_endpoint_url) if public_endpoint_url else own
        async with _open_http_session(clients.ca_bundle) as http:
            yield ProbeConnection(clients, http, own, public)
    finally:
        await clients.aclose()


def _open_http_session(ca_file: str | None) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=_SEND_SECONDS, sock_connect=3, sock_read=CALL_SECONDS)
    return aiohttp.ClientSession(
        timeout=timeout, connector=aiohttp.TCPConnector(ssl=_trusting(ca_file))
    )


def _trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return a context for plain requests, which trusts this CA file too.

    Too, because the public endpoint may have a certificate from a public CA.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


async def uninterrupted(request: Awaitable[_T]) -> _T:
    """Await a request to its end even if we are cancelled, and raise the cancellation then.

    A request that is abandoned half way may be carried out after the clean-up.
    """
    task = asyncio.ensure_future(request)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def response_to(request: Awaitable[Mapping[str, Any]]) -> ProbeResponse:
    """Await a request and return its response. Nothing that storage or the network does raises."""
    try:
        reply = await uninterrupted(request)
    except ClientError as exc:
        return _answered(exc.response, code_in(exc))
    except (ResponseParserError, ParamValidationError, *NO_CREDENTIALS, *NO_ANSWER) as exc:
        return ProbeResponse(0, word_of(exc))
    return _answered(reply, str(reply.get("Error", {}).get("Code", "")))


def _answered(reply: Mapping[str, Any], code: str) -> ProbeResponse:
    metadata = reply.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    content = reply if status < 300 else reply.get("Error", {})
    return ProbeResponse(status, code, metadata.get("HTTPHeaders", {}), content)


def _xml_code(body: str) -> str:
    """Return the Code of an S3 error. A text search: the answer may be neither S3 nor XML."""
    _, found, rest = body.partition("<Code>")
    code = rest.partition("</Code>")[0]
    return code if found and code.isalnum() and len(code) < 64 else ""
