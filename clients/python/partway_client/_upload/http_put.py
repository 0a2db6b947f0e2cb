"""One part to storage: a PUT whose body is read piece by piece, and what its answer means."""

import asyncio
import os
import re
import ssl
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

import aiohttp
import yarl
from aiohttp.abc import AbstractStreamWriter
from partway.v1 import upload_pb2 as pb

from partway_client._progress_meter import Meter
from partway_client._source.file_source import Source
from partway_client.errors import FileChanged, FileUnreadable, PartwayError

PIECE_BYTES = 256 * 1024

_UNWANTED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_ERROR_BYTES = 16 * 1024
_MOST_ETAG_CHARS = 128
"""The most that Complete takes."""


class Verdict(Enum):
    """What to do after a try."""

    DONE = "the part is in storage"
    AGAIN = "try again, later"
    PRESIGN = "try again with a new URL"
    DAMAGED = "the bytes that arrived are others than those signed for"
    GONE = "storage knows no such upload: ask the service"
    REFUSED = "no other try will do better"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a try ended: an HTTP status with storage's own code, or none and why. Holds no URL.

    `etag` is the entity tag of a part that arrived, without quotes, if storage told it. `reached`
    is false if this is surely not storage's word: what is in the way is the network.
    """

    status: int | None
    code: str = ""
    problem: str = ""
    etag: str = ""
    reached: bool = True

    def __str__(self) -> str:
        if self.status is None:
            return self.problem
        return f"it answers {self.status} {self.code}".rstrip()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a try came to, whichever way the part went, and the error if that is the end of it.

    `not_reached` says why storage was not reached, "" if it was; `etag` is as in Answer.
    """

    verdict: Verdict
    error: PartwayError | None = None
    not_reached: str = ""
    etag: str = ""


_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_AGAIN_CODES = frozenset({"RequestTimeout", "IncompleteBody", "SlowDown"})
"""Said with 400 by some. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""
_PROXY_STATUSES = frozenset({407, 511})
"""Proxy Authentication Required and Network Authentication Required: no storage says that
(RFC 9110, section 15.5.8; RFC 6585, section 6)."""
_PAGE_STATUSES = frozenset({403, 451, 502, 503, 504})
"""What proxies answer in place of storage, with a page for people; S3 answers in XML."""
_EXPIRED_CODES = frozenset({"ExpiredToken", "RequestExpired", "TokenRefreshRequired"})


def judge(answer: Answer, *, single: bool) -> Verdict:
    """What `answer` means; `single`: the part is the only one, and may be the object itself."""
    status, code = answer.status, answer.code
    if status is None or status in _AGAIN:
        return Verdict.AGAIN
    if 200 <= status < 300:
        return Verdict.DONE
    if status == 403 or code in _EXPIRED_CODES:
        return Verdict.PRESIGN
    if status == 400 and code in _AGAIN_CODES:
        return Verdict.AGAIN
    if status == 400 and code == "BadDigest":
        return Verdict.DAMAGED
    if code == "NoSuchUpload":
        return Verdict.GONE
    if single:
        return _judge_single(status)
    return Verdict.GONE if status == 404 else Verdict.REFUSED


def _judge_single(status: int) -> Verdict:
    if status == 412:
        # An object is there: perhaps ours, from a try whose answer was lost. Complete will tell.
        return Verdict.DONE
    # 409: another write to the same key is under way.
    return Verdict.AGAIN if status == 409 else Verdict.REFUSED


class Putter:
    """Sends parts of `source` over `session`, which has no timeout of its own."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        source: Source,
        meter: Meter,
        stall_seconds: float,
    ) -> None:
        self._session = session
        self._source = source
        self._meter = meter
        self._stall_seconds = stall_seconds

    async def put(self, part: pb.PresignedPart) -> Answer:
        """Try once. Raises FileUnreadable, or FileChanged if the file got shorter."""
        loop = asyncio.get_running_loop()
        body = _Body(self._source, part, self._meter)
        answer = Answer(None, problem=f"nothing moved for {self._stall_seconds:g} seconds")
        try:
            async with asyncio.timeout(self._stall_seconds) as limit:
                # Each piece that the socket takes buys another `stall_seconds`.
                body.alive = lambda: limit.reschedule(loop.time() + self._stall_seconds)
                answer = await self._exchange(part, body)
        except TimeoutError:
            if not body.begun:
                answer = Answer(None, problem="no connection came about", reached=False)
        except (aiohttp.ClientError, OSError) as exc:
            # The text of these may hold the URL, so we find our own words.
            answer = Answer(None, problem=_problem(exc), reached=body.begun)
        if answer.status is None or not 200 <= answer.status < 300:
            body.take_back()
        if body.failure is not None:
            raise body.failure
        return answer

    async def _exchange(self, part: pb.PresignedPart, body: "_Body") -> Answer:
        async with self._session.request(
            part.method,
            # As it is: quoted once more, the signature would not fit.
            yarl.URL(part.url, encoded=True),
            data=body,
            headers=dict(part.headers),
            skip_auto_headers=_UNWANTED,
            allow_redirects=False,
            proxy=_proxy(part.url),
        ) as response:
            text = await response.content.read(_ERROR_BYTES)
            if response.ok:
                return Answer(response.status, etag=etag_in(response.headers.get("ETag", "")))
            code = _code(text)
            return Answer(response.status, code, reached=not _of_a_proxy(response, code))


class _Body(aiohttp.Payload):
    """A slice of the file.

    No async generator, since aiohttp writes a body twice when a connection that it had kept turns
    out to be dead: this one begins anew.
    """

    def __init__(self, source: Source, part: pb.PresignedPart, meter: Meter) -> None:
        super().__init__(None)
        self._size = part.size_bytes
        self._source = source
        self._offset = part.offset_bytes
        self._meter = meter
        self._counted = 0
        self.begun = False
        self.alive: Callable[[], None] = lambda: None
        self.failure: PartwayError | None = None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("a part of a file is not text")

    async def write(self, writer: AbstractStreamWriter) -> None:
        self.take_back()
        self.begun = True
        at, end = self._offset, self._offset + (self._size or 0)
        while at < end:
            piece = self._read(at, min(PIECE_BYTES, end - at))
            await writer.write(piece)
            at += len(piece)
            self._counted += len(piece)
            self._meter.moved(len(piece))
            self.alive()
            # `write` does not suspend while storage keeps up: a large part would hold up the loop.
            await asyncio.sleep(0)

    def take_back(self) -> None:
        """What was counted counts no more."""
        if self._counted:
            self._meter.taken_back(self._counted)
            self._counted = 0

    def _read(self, at: int, size: int) -> bytes:
        # aiohttp makes a network error of whatever is raised here, so it is kept for `put`.
        try:
            return self._source.read(at, size)
        except OSError as exc:
            self.failure = FileUnreadable(f"cannot read {self._source.name}: {exc.strerror}")
            raise
        except FileChanged as error:
            self.failure = error
            raise


def etag_in(told: str) -> str:
    """The entity tag that was told, without quotes; "" if there is none that Complete takes."""
    etag = told.removeprefix("W/").strip('"')
    return etag if len(etag) <= _MOST_ETAG_CHARS else ""


def _of_a_proxy(response: aiohttp.ClientResponse, code: str) -> bool:
    """Whether somebody on the way answers, not storage."""
    page = response.content_type == "text/html" and not code
    return response.status in _PROXY_STATUSES or (page and response.status in _PAGE_STATUSES)


def _code(text: bytes) -> str:
    """Storage's own word for an error, out of its XML; "" if there is none."""
    found = re.search(rb"<Code>([A-Za-z0-9]{1,64})</Code>", text)
    if found is None:
        return ""
    if b"Request has expired" in text:
        # Said with AccessDenied.
        return "RequestExpired"
    return found[1].decode("ascii")


def _problem(exc: Exception) -> str:
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"the certificate of {exc.host} is not trusted"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return f"no connection to {exc.host}:{exc.port}: {_reason(exc.os_error)}"
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return f"the proxy answers {exc.status}"
    if isinstance(exc, OSError) and exc.errno:
        return f"the connection broke ({os.strerror(exc.errno)})"
    return f"the connection broke ({type(exc).__name__})"


def _reason(error: OSError) -> str:
    number = error.errno or 0
    if number > 0 and not isinstance(error, ssl.SSLError):
        # asyncio's own text repeats the address.
        return os.strerror(number)
    # Of DNS and TLS, whose numbers are of another kind.
    return error.strerror or type(error).__name__


def _proxy(url: str) -> str | None:
    # Not aiohttp's `trust_env`: that would also add credentials of a .netrc to the request.
    parts = urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)
