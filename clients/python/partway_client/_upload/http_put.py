"""Sends one part to storage: a PUT whose body is read from the file piece by piece."""

import asyncio
import os
import re
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
import yarl
from aiohttp.abc import AbstractStreamWriter

from partway_client._progress_meter import ProgressMeter
from partway_client._source.file_source import FileSource
from partway_client._transport.messages import PartUrl
from partway_client._transport.proxies import http_proxy_for
from partway_client._upload.context import UploadContext
from partway_client._upload.line import Line, PartOnLine
from partway_client._upload.part_outcome import HttpResult, bare_etag
from partway_client.errors import FileChanged, FileUnreadable, PartwayError

MOST_PIECE_BYTES = 256 * 1024

_NOT_SENT = getattr(socket, "TCP_NOTSENT_LOWAT", 25 if sys.platform == "linux" else None)
"""Python 3.13 has its name. Without it, megabytes that only the kernel has seem to be sent:
https://man7.org/linux/man-pages/man7/tcp.7.html."""

_NOT_SENT_PIECES = 4

_UNWANTED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_ERROR_BYTES = 16 * 1024
_PROXY_STATUSES = frozenset({407, 511})
"""Proxy Authentication Required and Network Authentication Required: storage never sends these
(RFC 9110, section 15.5.8; RFC 6585, section 6)."""
_PAGE_STATUSES = frozenset({403, 451, 502, 503, 504})
"""What proxies send instead of storage, with an HTML page; S3 answers in XML."""


class HttpPartSender:
    """Sends parts to storage over an HTTP session that has no timeout of its own."""

    def __init__(self, context: UploadContext) -> None:
        self._http = context.http
        self._source = context.source
        self._meter = context.meter
        self._stall_seconds = context.retry.stall_seconds
        self._line = context.line

    async def send(self, part: PartUrl, place: PartOnLine) -> HttpResult:
        """Try once. Raises FileUnreadable, or FileChanged if the file got shorter."""
        loop = asyncio.get_running_loop()
        body = _PartBody(self._source, part, self._meter, self._line, place)
        result = HttpResult(None, problem=f"nothing moved for {self._stall_seconds:g} seconds")
        try:
            async with asyncio.timeout(self._stall_seconds) as limit:
                # Each piece that the socket takes extends the limit by another `stall_seconds`.
                body.alive = lambda: limit.reschedule(loop.time() + self._stall_seconds)
                place.on_stop = lambda: limit.reschedule(loop.time())
                if place.stopped:
                    place.on_stop()
                result = await self._exchange(part, body, fresh=place.fresh)
        except TimeoutError:
            if not body.begun and not place.stopped:
                result = HttpResult(
                    None, problem="no connection could be established in time", reached=False
                )
        except (aiohttp.ClientError, OSError) as exc:
            # The text of these may contain the URL, so we write our own.
            result = HttpResult(None, problem=_problem(exc), reached=body.begun)
        if result.status is None or not 200 <= result.status < 300:
            body.take_back()
        if body.failure is not None:
            raise body.failure
        return result

    async def _exchange(self, part: PartUrl, body: "_PartBody", *, fresh: bool) -> HttpResult:
        headers = dict(part.headers)
        if fresh:
            headers["Connection"] = "close"
        async with self._http.request(
            part.method,
            # As it is: quoting it again would invalidate the signature.
            yarl.URL(part.url, encoded=True),
            data=body,
            headers=headers,
            skip_auto_headers=_UNWANTED,
            allow_redirects=False,
            proxy=_proxy(part.url),
        ) as response:
            text = await response.content.read(_ERROR_BYTES)
            if response.ok:
                return HttpResult(response.status, etag=bare_etag(response.headers.get("ETag", "")))
            code = _code(text)
            return HttpResult(response.status, code, reached=not _of_a_proxy(response, code))


class _PartBody(aiohttp.Payload):
    """A slice of the file.

    Not an async generator, since aiohttp writes a body twice if a kept-alive connection turns out
    to be dead: this one can start again from its beginning.
    """

    def __init__(
        self,
        source: FileSource,
        part: PartUrl,
        meter: ProgressMeter,
        line: Line,
        place: PartOnLine,
    ) -> None:
        super().__init__(None)
        self._size = part.size_bytes
        self._source = source
        self._offset = part.offset_bytes
        self._meter = meter
        self._line = line
        self._place = place
        self._counted = 0
        self.begun = False
        self.alive: Callable[[], None] = lambda: None
        self.failure: PartwayError | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a part of a file is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        self.take_back()
        self.begun = True
        self._place.begin()
        at, end, most = self._offset, self._offset + (self._size or 0), 0
        while at < end and not self._place.stopped:
            if (wanted := self._line.piece_bytes(MOST_PIECE_BYTES)) != most:
                most = wanted
                _bound_unsent(writer, _NOT_SENT_PIECES * most)
            piece = self._read(at, min(most, end - at))
            await self._line.limit.wait(len(piece))
            await writer.write(piece)
            at += len(piece)
            self._counted += len(piece)
            self._meter.moved(len(piece))
            self._place.move(len(piece))
            self.alive()
            # `write` does not suspend while storage keeps up: a large part would block the loop.
            await asyncio.sleep(0)
        if at >= end:
            self._place.await_answer()

    def take_back(self) -> None:
        """Discount the bytes counted so far."""
        if self._counted:
            self._meter.taken_back(self._counted)
            self._counted = 0

    def _read(self, at: int, size: int) -> bytes:
        # aiohttp turns any exception raised here into a network error, so keep it for `send`.
        try:
            return self._source.read(at, size)
        except OSError as exc:
            self.failure = FileUnreadable(f"cannot read {self._source.name}: {exc.strerror}")
            raise
        except FileChanged as error:
            self.failure = error
            raise


def _bound_unsent(writer: AbstractStreamWriter, size_bytes: int) -> None:
    """Let the kernel take no more than this beyond what it sends: then what moves has moved."""
    transport = getattr(writer, "transport", None)
    end = transport.get_extra_info("socket") if transport is not None else None
    if end is not None and _NOT_SENT is not None:
        # Some kernels do not know it, and sockets of other kinds.
        with suppress(OSError):
            end.setsockopt(socket.IPPROTO_TCP, _NOT_SENT, size_bytes)


def _of_a_proxy(response: aiohttp.ClientResponse, code: str) -> bool:
    """Return whether a proxy on the way answered instead of storage."""
    page = response.content_type == "text/html" and not code
    return response.status in _PROXY_STATUSES or (page and response.status in _PAGE_STATUSES)


def _code(text: bytes) -> str:
    """Return storage's own error code from its XML; "" if it has none."""
    found = re.search(rb"<Code>([A-Za-z0-9]{1,64})</Code>", text)
    if found is None:
        return ""
    if b"Request has expired" in text:
        # Comes with the code AccessDenied.
        return "RequestExpired"
    return found[1].decode("ascii")


def _problem(exc: Exception) -> str:
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"the certificate of {exc.host} is not trusted"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return f"no connection to {exc.host}:{exc.port}: {_reason(exc.os_error)}"
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return f"the proxy answers {exc.status}"
    if isinstance(exc, aiohttp.InvalidURL):
        return "the proxy that http_proxy or https_proxy names is not a URL"
    if isinstance(exc, OSError) and exc.errno:
        return f"the connection broke ({os.strerror(exc.errno)})"
    return f"the connection broke ({type(exc).__name__})"


def _reason(error: OSError) -> str:
    number = error.errno or 0
    if number > 0 and not isinstance(error, ssl.SSLError):
        # asyncio's own text repeats the address.
        return os.strerror(number)
    # DNS and TLS errors have numbers of their own.
    return error.strerror or type(error).__name__


def _proxy(url: str) -> str | None:
    # Not aiohttp's `trust_env`, which would also add credentials from a .netrc to the request.
    parts = urlsplit(url)
    return http_proxy_for(parts.scheme, parts.hostname or "", parts.port)
