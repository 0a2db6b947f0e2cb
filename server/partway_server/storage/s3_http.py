"""Signed HTTP to one S3 endpoint: one request, one answer, over kept connections."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import aiohttp
import yarl
from aiohttp.abc import AbstractStreamWriter
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from partway_server.domain.errors import StorageUnavailable
from partway_server.observability.tracing import outgoing_headers
from partway_server.storage.s3_calls import BareRefusal, S3Refusal
from partway_server.storage.s3_client import CONNECT_SECONDS, SignerProvider
from partway_server.storage.s3_evidence import is_bodiless_answer
from partway_server.storage.s3_xml import PIECE_BYTES, Malformed, XmlDocument
from partway_server.storage.sigv4 import Location, S3Endpoint
from partway_server.storage.sigv4_headers import EMPTY_SHA256, HeaderSigner
from partway_server.storage.store_clock import StoreClock, refusal_time

_KEEPALIVE_SECONDS = 10
"""Below what stores and load balancers allow an idle connection."""

_ERROR_BYTES = 64 * 1024
_UNWANTED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@dataclass(frozen=True, slots=True)
class Request:
    """A request about an object. `query` is canonical, and its values are signed as they are.

    `once`: it is not sent again, not even when a kept connection turns out to be closed.
    `document`: creates what parses a successful answer, if one is due; its root is one of `roots`.
    """

    operation: str
    method: str
    bucket: str
    key: str
    query: str
    headers: Mapping[str, str]
    read_seconds: float
    once: bool
    body: "Body | None" = None
    document: Callable[[], XmlDocument] | None = None
    roots: Sequence[str] = ()


class Answer(NamedTuple):
    """A successful answer. Header names are in lower case."""

    headers: Mapping[str, str]
    document: XmlDocument | None


class Body(aiohttp.Payload):
    """A request body in pieces, with its SHA-256. It can be sent any number of times."""

    def __init__(self, pieces: Sequence[bytes], sha256_hex: str) -> None:
        super().__init__(None)
        self._pieces = pieces
        self._size = sum(map(len, pieces))
        self.sha256 = sha256_hex

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return b"".join(self._pieces).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        for piece in self._pieces:
            await writer.write(piece)


async def hashed_body(pieces: Iterable[bytes]) -> Body:
    """Return a body of `pieces`, letting others have their turn after each."""
    kept: list[bytes] = []
    digest = sha256()
    for piece in pieces:
        if kept:
            await asyncio.sleep(0)
        digest.update(piece)
        kept.append(piece)
    return Body(kept, digest.hexdigest())


def query_of(parameters: Mapping[str, str]) -> str:
    """Return a canonical query."""
    encoded = sorted((quote(n, safe=""), quote(v, safe="")) for n, v in parameters.items())
    return "&".join([f"{name}={value}" for name, value in encoded])


@dataclass(slots=True)
class SignedHttp:
    """Sends requests to `endpoint`. Create it in a running loop, and end it with `aclose`."""

    endpoint: S3Endpoint
    signers: SignerProvider[HeaderSigner]
    clock: StoreClock
    ca_bundle: str | None = None
    _session: aiohttp.ClientSession = field(init=False)
    _proxies: dict[str, str | None] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        # The same CAs that the SDK trusts.
        context = ssl.create_default_context(cafile=self.ca_bundle or get_cert_path(True))
        self._session = aiohttp.ClientSession(
            # Connections are bounded by the number of calls.
            connector=aiohttp.TCPConnector(
                limit=0, keepalive_timeout=_KEEPALIVE_SECONDS, ssl=context
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_UNWANTED,
        )

    async def send(self, request: Request) -> Answer:
        """Send the request and return its answer.

        Raises S3Refusal, StorageUnavailable if there is no whole answer, StorageRefused.
        """
        signer, _ = await self.signers.get(request.operation)
        location = self.endpoint.locate(request.bucket, request.key)
        try:
            found = await self._timely_exchange(signer, location, request)
            if isinstance(found, Location):
                found = await self._timely_exchange(signer, found, request)
        except aiohttp.ClientResponseError as exc:
            # Its repr has the headers of the request, and so a session token.
            cause = aiohttp.ClientPayloadError(exc.status)
            raise StorageUnavailable(operation=request.operation) from cause
        except (aiohttp.ClientError, OSError, TimeoutError, Malformed) as exc:
            # The text may contain addresses, and stays in the cause.
            raise StorageUnavailable(operation=request.operation) from exc
        if isinstance(found, Location):
            raise S3Refusal(307, "TemporaryRedirect")
        return found

    async def _timely_exchange(
        self, signer: HeaderSigner, location: Location, request: Request
    ) -> "Answer | Location":
        """Exchange, once more if the time of the signature was wrong: nothing was done then."""
        try:
            return await self._exchange(signer, location, request)
        except S3Refusal as refusal:
            if not self.clock.follow(refusal.time):
                raise
        return await self._exchange(signer, location, request)

    async def _exchange(
        self, signer: HeaderSigner, location: Location, request: Request
    ) -> "Answer | Location":
        """Return the answer, or the place that the request is to be sent to instead."""
        body = request.body
        headers = signer.sign(
            request.method,
            location,
            request.query,
            request.headers,
            body_sha256=body.sha256 if body else EMPTY_SHA256,
            now=self.clock.now(),
        )
        # As others write it: a parameter without a value has no "=", but is signed with one.
        query = request.query.removesuffix("=")
        async with self._session.request(
            request.method,
            # Verbatim: quoted once more, the signature would not match.
            yarl.URL(f"{location.url}?{query}" if query else location.url, encoded=True),
            data=body,
            # Those of the trace are not signed: storage ignores them.
            headers={**headers, **outgoing_headers()},
            allow_redirects=False,
            proxy=self._proxy(location),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=request.read_seconds
            ),
            middlewares=(_send_once,) if request.once else (),
        ) as response:
            redirect = response.headers.get("Location", "") if response.status == 307 else ""
            return _target(redirect, location) or await _answer(request, response)

    def _proxy(self, location: Location) -> str | None:
        """Return the proxy for a host, as the SDK finds it. The environment does not change."""
        if location.host not in self._proxies:
            scheme = location.url.partition(":")[0]
            self._proxies[location.host] = get_environ_proxies(location.url).get(scheme)
        return self._proxies[location.host]

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a PUT or DELETE whose connection broke.

    It repeats after these two errors only.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise aiohttp.ClientConnectionError from exc


def _target(url: str, asked: Location) -> Location | None:
    """Return the place that a redirect names, None unless it is another host by the same scheme."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError
    except ValueError:
        return None
    same_scheme = parts.scheme == asked.url.partition(":")[0]
    if not same_scheme or not parts.hostname or "@" in parts.netloc or not parts.path:
        return None
    default = ":443" if parts.scheme == "https" else ":80"
    host = parts.netloc.lower().removesuffix(default)
    return Location(f"{parts.scheme}://{parts.netloc}{parts.path}", host, parts.path)


async def _answer(request: Request, response: aiohttp.ClientResponse) -> Answer:
    if not 200 <= response.status < 300:
        raise await _refusal(request, response)
    document = request.document() if request.document else None
    if document is None:
        await _discard(response)
    else:
        await _parse(response, document)
        if document.root == "Error":
            raise S3Refusal(500, document.fields.get("Code", "500"))
        if document.root not in request.roots:
            raise Malformed("another document")
    return Answer(_lower(response), document)


def _lower(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _parse(response: aiohttp.ClientResponse, document: XmlDocument) -> None:
    while data := await response.content.readany():
        for at in range(0, len(data), PIECE_BYTES):
            document.feed(data[at : at + PIECE_BYTES])
            if at or len(data) > PIECE_BYTES:
                await asyncio.sleep(0)
    document.close()


async def _discard(response: aiohttp.ClientResponse) -> None:
    """Read a short body, so that the connection can be kept; drop the connection otherwise."""
    left = _ERROR_BYTES
    while left > 0 and (data := await response.content.readany()):
        left -= len(data)
    if left <= 0:
        response.close()


async def _refusal(request: Request, response: aiohttp.ClientResponse) -> S3Refusal:
    """Return the error, with the status as its code if it has no body.

    Raises Malformed if nothing shows that it is S3's, unless it answers a HEAD.
    """
    status, headers = response.status, _lower(response)
    error = {} if request.method == "HEAD" else await _error(response)
    code = error.get("Code", "")
    if code or is_bodiless_answer(headers):
        time = refusal_time(status, code, headers, error.get("ServerTime", ""))
        return S3Refusal(status, code or str(status), time)
    if request.method == "HEAD":
        return BareRefusal(status, str(status))
    raise Malformed("an error that is not S3's")


async def _error(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    """Return the elements of the body of an error response, none if it is not S3's."""
    document = XmlDocument(max_bytes=_ERROR_BYTES)
    try:
        await _parse(response, document)
    except Malformed:
        response.close()
        return {}
    return document.fields if document.root == "Error" else {}
