"""One part through the service into storage: a PUT that is written as its bytes come.

Nothing is kept: the next piece is asked for when the socket has taken the one before, so that slow
storage slows the caller down. A PUT that is broken off has sent fewer bytes than its content-length
says, and storage keeps nothing of it.
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
from partway_server.storage.base import KeyContested, KeyTaken, MultipartNotFound, PresignedPart
from partway_server.storage.s3_errors import call_error, is_absent

PUT_SECONDS = 30.0
"""How long storage may take no byte, or not answer once it has all."""

_CONNECT_SECONDS = 3
_ERROR_BYTES = 16 * 1024
_UNWANTED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")


class StreamingPutClient:
    """Sends parts to one endpoint. Make it in a running loop; ends with `aclose`."""

    def __init__(self, *, ca_bundle: str | None, put_seconds: float) -> None:
        # The same authorities that the SDK trusts.
        context = ssl.create_default_context(cafile=ca_bundle or get_cert_path(True))
        self._put_seconds = put_seconds
        self._session = aiohttp.ClientSession(
            # A connection of its own for each part: one that was kept may turn out to be dead, and
            # what was written to it is gone. How many there are is bounded by the calls.
            connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=context),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def put(
        self, grant: Grant, part: PresignedPart, pieces: AsyncIterator[bytes]
    ) -> dict[str, str]:
        """Send the part once; the headers of the answer, with names in lower case.

        Raises what `pieces` raise, MultipartNotFound, PartChanged, KeyTaken, KeyContested,
        StorageUnavailable, StorageRefused.
        """
        loop = asyncio.get_running_loop()
        # The first piece is waited for here: an empty part is sent whole with its head, so what is
        # wrong with it must be known by then.
        body = _StreamedBody(await anext(pieces, b""), pieces, grant.plan.size(part.number))
        try:
            async with asyncio.timeout(self._put_seconds) as limit:

                def turn(of_storage: bool) -> None:
                    """Storage has so long for each piece; how long the caller has, others say."""
                    limit.reschedule(loop.time() + self._put_seconds if of_storage else None)

                body.turn = turn
                status, code, headers = await self._exchange(part, body)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            # What broke off the body is why the connection broke, not the other way round.
            if body.failure is not None:
                raise body.failure from None
            # The text may hold the URL, and stays in the cause.
            raise StorageUnavailable from exc
        if body.failure is not None:
            raise body.failure
        if 200 <= status < 300:
            return headers
        raise _refusal(grant, part.number, status, code)

    async def _exchange(
        self, part: PresignedPart, body: "_StreamedBody"
    ) -> tuple[int, str, dict[str, str]]:
        parts = urlsplit(part.url)
        async with self._session.put(
            # As it is: quoted once more, the signature would not fit.
            yarl.URL(part.url, encoded=True),
            data=body,
            headers=dict(part.headers),
            skip_auto_headers=_UNWANTED,
            allow_redirects=False,
            proxy=get_environ_proxies(part.url).get(parts.scheme),
        ) as response:
            text = await response.content.read(_ERROR_BYTES)
            found = None if response.ok else _CODE.search(text)
            told = {name.lower(): value for name, value in response.headers.items()}
            return response.status, found[1].decode("ascii") if found else "", told

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._session.close()


class _StreamedBody(aiohttp.Payload):
    """The pieces, each asked for when the one before has been taken."""

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
            # aiohttp sends a request again whose connection broke. The pieces are gone.
            raise ConnectionResetError
        while piece:
            await writer.write(piece)
            self.turn(False)
            piece = await self._next()
            self.turn(True)

    async def _next(self) -> bytes:
        # aiohttp makes a network error of whatever is raised here, so it is kept for `put`.
        try:
            return await anext(self._rest, b"")
        except Exception as error:
            self.failure = error
            raise


def _refusal(grant: Grant, number: int, status: int, code: str) -> Exception:
    operation = "PutObject" if grant.single else "UploadPart"
    if code == "BadDigest":
        return PartChanged(grant.sid, number)
    if code == "IncompleteBody":
        return StorageUnavailable()
    if grant.single and status == 412:
        return KeyTaken()
    if grant.single and status == 409:
        return KeyContested()
    if not grant.single and is_absent(status, code):
        return MultipartNotFound()
    return call_error(operation, status, code)
