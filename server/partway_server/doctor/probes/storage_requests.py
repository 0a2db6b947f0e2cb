"""The requests that probes of behaviour consist of: a PUT by a URL, a part, Complete, a list."""

import base64
from collections.abc import Mapping
from datetime import timedelta

from partway_server.doctor.probes.results import ProbeResponse
from partway_server.doctor.probes.storage_connection import ProbeConnection, UrlSigner
from partway_server.doctor.probes.storage_objects import ProbeObjects
from partway_server.domain.clock import Clock
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.storage.presigner import WRITE_TOKEN
from partway_server.storage.sigv4 import Signer

BODY = b"123456789"

_LIFETIME = 300


class ProbeRequests:
    """Requests to one bucket. Everything they make is recorded in `objects`."""

    def __init__(self, connection: ProbeConnection, objects: ProbeObjects, clock: Clock) -> None:
        self.connection = connection
        self.objects = objects
        self.clock = clock
        self.url_signer = connection.own

    async def put(
        self,
        name: str,
        headers: Mapping[str, str] | None = None,
        *,
        url_signer: UrlSigner | None = None,
        body: bytes = BODY,
        size: int | None = None,
        ago: timedelta = timedelta(0),
        spoil: bool = False,
        sent_to: str = "",
        unsigned: Mapping[str, str] | None = None,
    ) -> ProbeResponse:
        """Send a presigned PUT of a whole object, signed for `size` bytes and sent to `sent_to`."""
        url_signer = url_signer or self.url_signer
        signer = await _signer(url_signer)
        if signer is None:
            return ProbeResponse(0, "credentials")
        length = {"content-length": str(len(body) if size is None else size)}
        signed = {**length, **(headers or {})}
        url = signer.presign_put(
            self.objects.bucket,
            self.objects.key(name),
            headers=signed,
            lifetime_seconds=_LIFETIME,
            now=self.clock.now() - ago,
        )
        if sent_to:
            there = url_signer.endpoint.locate(self.objects.bucket, self.objects.key(sent_to))
            url = f"{there.url}?{url.partition('?')[2]}"
        if spoil:
            url = url[:-1] + ("0" if url[-1] != "0" else "1")
        sent = {**signed, "content-length": str(len(body)), **(unsigned or {})}
        return await self.connection.send("PUT", url, sent, body)

    async def part(
        self,
        upload: Mapping[str, str],
        number: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> ProbeResponse:
        signer = await _signer(self.url_signer)
        if signer is None:
            return ProbeResponse(0, "credentials")
        signed = {"content-length": str(len(body)), **(headers or {})}
        parts = signer.for_parts(
            upload["Bucket"],
            upload["Key"],
            upload["UploadId"],
            lifetime_seconds=_LIFETIME,
            now=self.clock.now(),
        )
        return await self.connection.send("PUT", parts.url(number, signed), signed, body)

    async def complete(
        self, upload: Mapping[str, str], etags: list[str], **condition: str
    ) -> ProbeResponse:
        parts = [{"PartNumber": n, "ETag": f'"{etag}"'} for n, etag in enumerate(etags, 1)]
        return await self.connection.call(
            "complete_multipart_upload", **upload, MultipartUpload={"Parts": parts}, **condition
        )

    async def small(self, name: str, count: int, **condition: str) -> ProbeResponse:
        """Complete an upload of `count` parts of a few bytes."""
        opened, upload = await self.objects.open_multipart(name)
        if not opened.ok:
            return opened
        numbers = range(1, count + 1)
        etags = [etag_of(await self.part(upload, number, BODY)) for number in numbers]
        return await self.complete(upload, etags, **condition)

    async def kept(self, name: str, token: str) -> bool | None:
        head = await self.connection.call("head_object", **self.objects.place(name))
        return head.reply["Metadata"].get(WRITE_TOKEN) == token if head.ok else None

    async def list_parts(self, upload: Mapping[str, str]) -> ProbeResponse:
        # As the service does: some stores refuse a limit or a marker.
        as_listed = {**upload, "PartNumberMarker": 0, "MaxParts": 1000}
        return await self.connection.call("list_parts", **as_listed)


async def _signer(url_signer: UrlSigner) -> Signer | None:
    try:
        signer, _ = await url_signer.signer.get()
    except (StorageRefused, StorageUnavailable):
        return None
    return signer


def etag_of(answer: ProbeResponse) -> str:
    return answer.headers.get("etag", "").strip('"')


def in_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
