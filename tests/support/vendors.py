"""An S3 server that has the habits of a vendor, in front of SeaweedFS.

None of these vendors can be reached from a test. Each habit is what their documentation says, or
answers that users of them have published: `sources` has where. It is not a test on the vendor.

What a vendor does not know, it refuses as it is published, so that a test sees what the service
must not send. `refused` collects those requests.
"""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree

import aiohttp
import yarl
from aiohttp import web
from partway_server.devstack.servers import S3

_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error answer of storage."""

    status: int
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Vendor:
    """The habits of one vendor. `kind` names its capability record.

    `headers` are those of every answer, in place of SeaweedFS's own. `unknown` are the request
    headers that it refuses, as patterns, each with how. `once` is what it answers to the first
    request that matches, by method and query. `equal_parts`: Complete refuses unequal ones.
    `slow_complete`: its 200 comes before the outcome, with whitespace in between. `plain_head`: an
    answer to HEAD or DELETE has no header by which it could be known for S3's.
    """

    kind: str
    sources: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Refusal] = field(default_factory=dict)
    once: Mapping[str, Refusal] = field(default_factory=dict)
    equal_parts: bool = False
    slow_complete: bool = False
    plain_head: bool = False


_SINGLE = r"PUT (?!.*partNumber=)"
_SLOW_DOWN = Refusal(503, "SlowDown", "Please reduce your request rate.")
_INTERNAL = Refusal(500, "InternalError", "We encountered an internal error. Please try again.")
_IN_200 = replace(_INTERNAL, status=200)
_PART, _COMPLETE = r"PUT .*partNumber=", r"POST .*uploadId="
_LIST_PARTS, _CREATE = r"GET .*uploadId=", r"POST .*uploads"
_ABORT, _HEAD, _UPLOADS = r"DELETE .*uploadId=", r"HEAD ", r"GET .*uploads"


def _everywhere(refusal: Refusal) -> dict[str, Refusal]:
    """Return that each kind of request is refused once, but those that nothing may repeat."""
    return dict.fromkeys((_SINGLE, _PART, _LIST_PARTS, _ABORT, _HEAD, _UPLOADS), refusal)


def _unsupported(*names: str) -> dict[str, Refusal]:
    """Return how Backblaze refuses headers."""
    words = "Unsupported header received for this API call."
    return dict.fromkeys(names, Refusal(400, "InvalidArgument", words))


_CONDITIONS = r"if-(none-)?match"
_CHECKSUMS = r"x-amz-(sdk-)?checksum-.*"
_NOT_IMPLEMENTED = Refusal(
    501, "NotImplemented", "A header you provided implies functionality that is not implemented"
)

AWS = Vendor(
    "aws",
    (
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html",
    ),
    headers={"x-amz-request-id": "301498F0A024E98Q", "x-amz-id-2": "Yd9JPz7BG8ix="},
    once={**_everywhere(_SLOW_DOWN), _COMPLETE: _IN_200},
    slow_complete=True,
)
R2 = Vendor(
    "r2",
    (
        "https://developers.cloudflare.com/r2/objects/multipart-objects/",
        "https://github.com/apache/opendal/issues/2904",
    ),
    headers={"server": "cloudflare", "cf-ray": "7faa23b91daf3b12-IAD"},
    unknown={r"x-amz-tagging": _NOT_IMPLEMENTED},
    once={**_everywhere(_INTERNAL), _COMPLETE: _INTERNAL},
    equal_parts=True,
    plain_head=True,
)
GCS = Vendor(
    "gcs",
    (
        "https://cloud.google.com/storage/docs/xml-api/reference-headers",
        "https://cloud.google.com/storage/docs/xml-api/reference-status",
    ),
    headers={"x-guploader-uploadid": "ABgVH8", "x-goog-hash": "crc32c=AAAAAA=="},
    unknown={_CONDITIONS: _NOT_IMPLEMENTED, _CHECKSUMS: _NOT_IMPLEMENTED},
    once={
        **_everywhere(Refusal(429, "SlowDown", "The object exceeded the rate limit.")),
        _COMPLETE: Refusal(503, "ServiceUnavailable"),
    },
)
B2 = Vendor(
    "b2",
    (
        "https://www.backblaze.com/docs/cloud-storage-s3-compatible-api",
        "https://github.com/vatesfr/xen-orchestra/issues/8358",
        "https://github.com/iterate-ch/cyberduck/issues/16107",
    ),
    headers={"server": "nginx", "x-amz-request-id": "f15a449517f8b909", "x-amz-id-2": "ade1uE2u="},
    unknown={
        _CONDITIONS: _NOT_IMPLEMENTED,
        **_unsupported(_CHECKSUMS, r"x-amz-(storage-class|tagging|server-side-.*)"),
    },
    once={
        **_everywhere(Refusal(503, "ServiceUnavailable", "no tomes available")),
        _COMPLETE: Refusal(500, "InternalError"),
    },
)
WASABI = Vendor(
    "wasabi",
    ("https://docs.wasabi.com/docs/rest-error-codes",),
    headers={"server": "WasabiS3/7.20", "x-amz-request-id": "0A8B", "x-amz-id-2": "Yd9JPz7B="},
    unknown={_CONDITIONS: _NOT_IMPLEMENTED, _CHECKSUMS: _NOT_IMPLEMENTED},
    once={**_everywhere(_SLOW_DOWN), _COMPLETE: _IN_200},
)
STORJ = Vendor(
    "storj",
    ("https://storj.dev/dcs/api/s3/s3-compatibility",),
    headers={"server": "Storj DCS", "x-amz-request-id": "17D5"},
    unknown={_CONDITIONS: _NOT_IMPLEMENTED, _CHECKSUMS: _NOT_IMPLEMENTED},
    once={**_everywhere(_SLOW_DOWN), _COMPLETE: _INTERNAL},
)
SPACES = Vendor(
    "spaces",
    ("https://docs.digitalocean.com/products/spaces/reference/s3-compatibility/",),
    headers={"x-amz-request-id": "tx00000c2-nyc3c"},
    unknown={_CONDITIONS: _NOT_IMPLEMENTED, _CHECKSUMS: _NOT_IMPLEMENTED},
    once={**_everywhere(_SLOW_DOWN), _COMPLETE: Refusal(503, "ServiceUnavailable")},
)

VENDORS = {each.kind: each for each in (AWS, R2, GCS, B2, WASABI, STORJ, SPACES)}


@dataclass(slots=True)
class Played:
    """A vendor that is being played at `url`, in front of `s3`.

    `refused` are the requests with a header that it does not know. `requests` are all, as a method
    with a path and query. `unmet` is what of `once` no request has met yet.
    """

    vendor: Vendor
    s3: S3
    http: aiohttp.ClientSession
    refused: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    unmet: dict[str, Refusal] = field(default_factory=dict)
    part_sizes: dict[tuple[str, int], int] = field(default_factory=dict)

    url: str = ""

    def take_every_put(self) -> None:
        """Refuse no PUT for once, for callers that do not send again."""
        self.unmet = {k: v for k, v in self.unmet.items() if not k.startswith("PUT")}

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer as the vendor would."""
        named = f"{request.method} {request.raw_path}"
        self.requests.append(named)
        body = await request.content.read()
        if refusal := self._unknown(request, named) or self._passing(named):
            return self._error(request, refusal)
        if re.match(_PART, named):
            place = request.query["uploadId"], int(request.query["partNumber"])
            self.part_sizes[place] = len(body)
        if self.vendor.equal_parts and re.match(_COMPLETE, named):
            sizes = self._sizes(request.query["uploadId"], body)
            if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
                words = "All non-trailing parts must have the same length."
                return self._error(request, Refusal(400, "InvalidPart", words))
        return await self._pass_on(request, named, body)

    def _unknown(self, request: web.BaseRequest, named: str) -> Refusal | None:
        signed = request.query.get("X-Amz-SignedHeaders", "")
        for pattern, refusal in self.vendor.unknown.items():
            for name in (*request.headers, *signed.split(";")):
                if re.fullmatch(pattern, name, re.IGNORECASE):
                    self.refused.append(f"{name} in {named}")
                    return refusal
        return None

    def _passing(self, named: str) -> Refusal | None:
        for pattern in self.unmet:
            if re.match(pattern, named):
                return self.unmet.pop(pattern)
        return None

    def _sizes(self, upload_id: str, body: bytes) -> list[int]:
        """Return the sizes of the parts that a Complete names."""
        named = ElementTree.fromstring(body).findall("{*}Part/{*}PartNumber")
        numbers = [int(each.text or 0) for each in named]
        return [self.part_sizes[upload_id, number] for number in numbers]

    def _error(self, request: web.BaseRequest, refusal: Refusal) -> web.Response:
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            f"<Error><Code>{refusal.code}</Code><Message>{refusal.message}</Message></Error>"
        )
        without = request.method == "HEAD"
        return web.Response(
            status=refusal.status,
            headers=self.vendor.headers,
            body=b"" if without else text.encode(),
            content_type="application/xml",
        )

    async def _pass_on(
        self, request: web.BaseRequest, named: str, body: bytes
    ) -> web.StreamResponse:
        url = yarl.URL(f"{self.s3.endpoint}{request.raw_path}", encoded=True)
        async with self.http.request(
            request.method,
            url,
            headers=request.headers,
            data=io.BytesIO(body) if body else None,
            allow_redirects=False,
            skip_auto_headers=("Content-Type", "User-Agent", "Accept", "Accept-Encoding"),
        ) as found:
            text = await found.read()
            headers = self._headers(request, found)
            if self.vendor.slow_complete and re.match(_COMPLETE, named) and found.status == 200:
                return await _slowly(request, headers, text)
            if request.method == "HEAD":
                headers["content-length"] = found.headers.get("content-length", "0")
            return web.Response(status=found.status, headers=headers, body=text)

    def _headers(self, request: web.BaseRequest, found: aiohttp.ClientResponse) -> dict[str, str]:
        plain = self.vendor.plain_head and request.method in ("HEAD", "DELETE")
        own = re.compile(r"x-amz-(?!meta-)" if plain else r"x-amz-(?!meta-|checksum-)")
        kept = {
            name.lower(): value
            for name, value in found.headers.items()
            if name.lower() not in _HOP and not own.match(name.lower())
        }
        kept.pop("content-length", None)
        return {**kept, **self.vendor.headers}


async def _slowly(
    request: web.BaseRequest, headers: Mapping[str, str], text: bytes
) -> web.StreamResponse:
    """Send a 200, whitespace, and then the result, as AWS does while it joins parts."""
    response = web.StreamResponse(headers=headers)
    response.enable_chunked_encoding()
    await response.prepare(request)
    declaration, _, rest = text.partition(b"?>")
    for piece in (declaration + b"?>", b"\n \n", b"   ", rest):
        await response.write(piece)
        await asyncio.sleep(0)
    await response.write_eof()
    return response


@asynccontextmanager
async def playing(vendor: Vendor, s3: S3) -> AsyncIterator[Played]:
    """Play the vendor in front of SeaweedFS, at the `url` of what it returns."""
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        played = Played(vendor, s3, http, unmet=dict(vendor.once))
        server = web.Server(played.answer, access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            host, port = runner.addresses[0]
            played.url = f"http://{host}:{port}"
            yield played
        finally:
            await runner.cleanup()
