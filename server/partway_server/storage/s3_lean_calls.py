"""The calls of S3, signed and parsed here: a fraction of what the SDK costs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

from partway_server.domain.errors import StorageUnavailable
from partway_server.storage.s3_calls import (
    ListedPart,
    NamedPart,
    PageOfParts,
    Retried,
    S3Refusal,
)
from partway_server.storage.s3_errors import is_transient
from partway_server.storage.s3_http import Answer, Request, SignedHttp, hashed_body, query_of
from partway_server.storage.s3_xml import Malformed, XmlDocument

_PAGE_BYTES = 8 * 1024 * 1024
_RESULT_BYTES = 1024 * 1024
_TRIES = 3
_STEP = 1000
"""How many parts are written between two turns of others."""


def _roots(*names: str) -> tuple[str, ...]:
    """Return what stores call the root: a name of the call, with one of these endings or none."""
    return tuple(f"{name}{end}" for name in names for end in ("Result", "Response", "Output", ""))


_CREATED = _roots("InitiateMultipartUpload", "CreateMultipartUpload")
_LISTED = _roots("ListParts", "ListMultipartUploadParts")
_COPIED = _roots("CopyPart", "CopyObject", "UploadPartCopy")
_COMPLETED = _roots("CompleteMultipartUpload")

_QUOTED = {'"': "&quot;"}


class RetryQuota:
    """Limits retries while storage fails for many calls at once.

    The numbers are those of the SDK's standard mode: each retry takes 5 of 500, which it returns if
    it succeeds; a success without retries returns 1.
    """

    _COST = 5
    _MOST = 500

    def __init__(self) -> None:
        self._left = self._MOST

    def take(self) -> bool:
        """Return whether another retry is allowed, and count it."""
        if self._left < self._COST:
            return False
        self._left -= self._COST
        return True

    def succeeded(self, *, retried: bool) -> None:
        self._left = min(self._MOST, self._left + (self._COST if retried else 1))


class LeanCalls:
    """Calls over `http`. `random` returns numbers from 0 to 1, which spread the retries.

    `retried` is called before each retry.
    """

    def __init__(
        self,
        http: SignedHttp,
        *,
        call_seconds: float,
        complete_seconds: float,
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        retried: Retried = lambda operation, error: None,
    ) -> None:
        self._http = http
        self._call_seconds = call_seconds
        self._complete_seconds = complete_seconds
        self._random = random
        self._sleep = sleep
        self._quota = RetryQuota()
        self._retried = retried

    async def create(self, bucket: str, key: str, headers: Mapping[str, str]) -> str:
        request = Request(
            "CreateMultipartUpload",
            "POST",
            bucket,
            key,
            "uploads=",
            headers,
            self._call_seconds,
            once=True,
            document=_result,
            roots=_CREATED,
        )
        return _required(await self._once(request), "UploadId")

    async def list_parts(
        self, bucket: str, key: str, multipart_id: str, *, after: int, limit: int
    ) -> PageOfParts:
        parts: list[ListedPart] = []

        def page() -> XmlDocument:
            # Each try begins with none: one may break off in the middle.
            parts.clear()
            return XmlDocument(
                max_bytes=_PAGE_BYTES, item="Part", take=lambda part: parts.append(_listed(part))
            )

        answer = await self._repeated(
            Request(
                "ListParts",
                "GET",
                bucket,
                key,
                query_of(
                    {
                        "max-parts": str(limit),
                        "part-number-marker": str(after),
                        "uploadId": multipart_id,
                    }
                ),
                {},
                self._call_seconds,
                once=False,
                document=page,
                roots=_LISTED,
            )
        )
        assert answer.document is not None
        truncated = answer.document.fields.get("IsTruncated")
        return PageOfParts(parts, None if truncated is None else truncated == "true")

    async def copy_part(
        self, bucket: str, key: str, multipart_id: str, number: int, headers: Mapping[str, str]
    ) -> None:
        request = Request(
            "UploadPartCopy",
            "PUT",
            bucket,
            key,
            query_of({"partNumber": str(number), "uploadId": multipart_id}),
            headers,
            self._complete_seconds,
            once=True,
            document=_result,
            roots=_COPIED,
        )
        _required(await self._once(request), "ETag")

    async def complete(
        self,
        bucket: str,
        key: str,
        multipart_id: str,
        parts: Sequence[NamedPart],
        headers: Mapping[str, str],
    ) -> None:
        request = Request(
            "CompleteMultipartUpload",
            "POST",
            bucket,
            key,
            query_of({"uploadId": multipart_id}),
            {**headers, "content-type": "application/xml"},
            self._complete_seconds,
            once=True,
            body=await hashed_body(_named(parts)),
            document=_result,
            roots=_COMPLETED,
        )
        answer = await self._once(request)
        # Ceph RGW can return an empty one, which is a result nevertheless.
        if answer.document is None or "ETag" not in answer.document.fields:
            raise StorageUnavailable

    async def abort(self, bucket: str, key: str, multipart_id: str) -> None:
        query = query_of({"uploadId": multipart_id})
        await self._repeated(
            Request(
                "AbortMultipartUpload",
                "DELETE",
                bucket,
                key,
                query,
                {},
                self._call_seconds,
                once=False,
            )
        )

    async def head(self, bucket: str, key: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        answer = await self._repeated(
            Request("HeadObject", "HEAD", bucket, key, "", headers, self._call_seconds, once=False)
        )
        return answer.headers

    async def delete(
        self, bucket: str, key: str, version_id: str, headers: Mapping[str, str]
    ) -> None:
        query = query_of({"versionId": version_id}) if version_id else ""
        await self._once(
            Request(
                "DeleteObject",
                "DELETE",
                bucket,
                key,
                query,
                headers,
                self._call_seconds,
                once=True,
            )
        )

    async def _once(self, request: Request) -> Answer:
        try:
            # From the first byte sent to the last received, also where bytes trickle.
            async with asyncio.timeout(request.read_seconds):
                return await self._http.send(request)
        except TimeoutError as exc:
            raise StorageUnavailable from exc

    async def _repeated(self, request: Request) -> Answer:
        for earlier in range(_TRIES):
            try:
                answer = await self._http.send(request)
            except (S3Refusal, StorageUnavailable) as exc:
                lasting = isinstance(exc, S3Refusal) and not is_transient(exc.status, exc.code)
                if lasting or earlier + 1 == _TRIES or not self._quota.take():
                    raise
                self._retried(request.operation, exc)
            else:
                self._quota.succeeded(retried=earlier > 0)
                return answer
            await self._sleep(self._random() * 2**earlier)
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        await self._http.aclose()


_result = partial(XmlDocument, max_bytes=_RESULT_BYTES)


def _required(answer: Answer, name: str) -> str:
    """Return an element of the answer. Raises StorageUnavailable if it is missing or empty."""
    found = answer.document.fields.get(name) if answer.document else None
    if not found:
        raise StorageUnavailable
    return found


def _listed(fields: Mapping[str, str]) -> ListedPart:
    number, size = fields.get("PartNumber", ""), fields.get("Size", "")
    etag = fields.get("ETag", "")
    if not (etag and _is_number(number) and _is_number(size)):
        raise Malformed("not a part")
    return ListedPart(int(number), int(size), etag, fields.get("LastModified", ""), fields)


def _is_number(text: str) -> bool:
    return len(text) < 20 and text.isascii() and text.isdigit()


def _named(parts: Sequence[NamedPart]) -> Iterator[bytes]:
    """Yield the body of CompleteMultipartUpload."""
    head = '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    for at in range(0, max(len(parts), 1), _STEP):
        middle = "".join(
            [
                f"<Part>{f'<{field}>{checksum}</{field}>' if field else ''}"
                f"<ETag>{escape(etag, _QUOTED)}</ETag><PartNumber>{number}</PartNumber></Part>"
                for number, etag, field, checksum in parts[at : at + _STEP]
            ]
        )
        yield f"{head}{middle}".encode()
        head = ""
    yield b"</CompleteMultipartUpload>"
