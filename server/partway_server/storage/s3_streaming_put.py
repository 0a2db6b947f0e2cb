"""Stream a part through the service into storage: a PUT that is written as its bytes arrive.

Nothing is buffered: the next piece is requested when the socket has accepted the one before, so
that slow storage slows the caller down. An interrupted PUT has sent fewer bytes than its
content-length, and storage keeps nothing of it.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import aiohttp
import yarl
from aiohttp.abc import AbstractStreamWriter
from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from partway_server.domain.errors import PartChanged, StorageUnavailable
from partway_server.domain.grant import Grant
from partway_server.observability.tracing import outgoing_headers
from partway_server.storage.base import KeyContested, KeyTaken, MultipartNotFound, PresignedPart
from partway_server.storage.s3_codes import DAMAGED_CODES
from partway_server.storage.s3_errors import call_error, is_absent
from partway_server.storage.s3_evidence import is_bodiless_answer

PUT_SECONDS = 30.0
"""How long storage may accept no byte, or not respond once it has all."""

_CONNECT_SECONDS = 3
_ERROR_BYTES = 16 * 1024
_UNWANTED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")


class StreamingPutClient:
    """Sends parts to one endpoint. Create it in a running loop, and end it with `aclose`."""

    def __init__(self, *, ca_bundle: str | None, put_seconds: float) -> None:
        # The same CAs that the SDK trusts.
        context = ssl.create_default_context(cafile=ca_bundle or get_cert_path(True))
        self._put_seconds = put_seconds
        self._session = aiohttp.ClientSession(
            # A new connection for each part: a kept one may turn out to be dead, and what was
            # written to it is lost. Their number is bounded by that of calls.
            connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=context),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def put(
        self, grant: Grant, part: PresignedPart, pieces: AsyncIterator[bytes]
    ) -> dict[str, str]:
        """Send the part once, and return the response headers, with names in lower case.

        Raises what `pieces` raise, MultipartNotFound, PartChanged, KeyTaken, KeyContested,
        StorageUnavailable, StorageRefused.
        """
        loop = asyncio.get_running_loop()
        # The first piece is awaited here: an empty part is sent complete with its headers, so its
        # errors must be known by then.
        body = _StreamedBody(await anext(pieces, b""), pieces, grant.plan.size(part.number))
        try:
            async with asyncio.timeout(self._put_seconds) as limit:

                def turn(of_storage: bool) -> None:
                    """Limit storage's time for each piece. The caller's is limited elsewhere."""
                    limit.reschedule(loop.time() + self._put_seconds if of_storage else None)

                body.turn = turn
                status, code, headers = await self._exchange(part, body)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            # The error of the body broke the connection, not vice versa.
            if body.failure is not None:
                raise body.failure from None
            # The text may contain the URL, and stays in the cause.
            raise StorageUnavailable from exc
        if body.failure is not None:
            raise body.failure
        if 200 <= status < 300 and headers.get("etag", "").strip('"'):
            return headers
        if status < 300 or not (code or is_bodiless_answer(headers)):
            # Not storage's answer: the part may have arrived or not, and can be sent again.
            raise StorageUnavailable
        raise _refusal(grant, part.number, status, code)

    async def _exchange(
        self, part: PresignedPart, body: "_StreamedBody"
    ) -> tuple[int, str, dict[str, str]]:
        parts = urlsplit(part.url)
        async with self._session.put(
            # Verbatim: quoted once more, the signature would not match.
            yarl.URL(part.url, encoded=True),
            data=body,
            headers={**part.headers, **outgoing_headers()},
            skip_auto_headers=_UNWANTED,
            allow_redirects=False,
            proxy=get_environ_proxies(part.url).get(parts.scheme),
        ) as response:
            text = await response.content.read(_ERROR_BYTES)
            wrong = response.status >= 300 and b"<Error" in text
            found = _CODE.search(text) if wrong else None
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, found[1].decode("ascii") if found else "", headers

    async def aclose(self) -> None:
        """Close all connections."""
        await self._session.close()


class _StreamedBody(aiohttp.Payload):
    """A request body whose pieces are requested one after another, as each is sent."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], size_bytes: int) -> None:
        super().__init__(None)
        self._size = size_bytes
        self._first: bytes | None = first
        self._rest = rest
        self.turn: Callable[[bool], None] = lambda of_storage: None
        self.failure: BaseException | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a part of a file is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        piece, self._first = self._first, None
        if piece is None:
            # aiohttp retries a request whose connection broke. The pieces are gone.
            raise ConnectionResetError
        while piece:
            await writer.write(piece)
            self.turn(False)
            piece = await self._next()
            self.turn(True)

    async def _next(self) -> bytes:
        # aiohttp turns any exception raised here into a network error, so it is kept for `put`.
        try:
            return await anext(self._rest, b"")
        except Exception as error:
            self.failure = error
            raise


def _refusal(grant: Grant, number: int, status: int, code: str) -> Exception:
    operation = "PutObject" if grant.single else "UploadPart"
    if code in DAMAGED_CODES:
        return PartChanged(grant.sid, number)
    if grant.single and status == 412:
        return KeyTaken()
    if grant.single and status == 409:
        return KeyContested()
    if not grant.single and is_absent(status, code):
        return MultipartNotFound()
    return call_error(operation, status, code)
