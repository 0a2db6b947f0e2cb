"""Calls the peers that speak HTTP, each as its own client does."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from bench.peers.driver import PART_BYTES, SMALL_BODY, Driver, PartUrl, Upload, file_size

_DJANGO_PART_BYTES = 64 * 1024 * 1024
"""It chooses the size of parts itself: `MultipartManager.part_size`."""
_COMPANION_BATCH = 1_000
"""Part numbers in one call: the query is longer than Node.js accepts from 3,500 on."""


class FastApiDriver(Driver):
    """Calls the service of services/fastapi_aioboto3.py, or that with our signer."""

    _own: Upload | None = None

    async def open(self, parts: int) -> Upload:
        asked = {"name": "video.mp4", "size": file_size(parts)}
        return Upload((await self.ask("POST", "/uploads", json=asked))["id"], parts)

    async def urls(self, upload: Upload, count: int) -> list[PartUrl]:
        numbers = list(range(1, count + 1))
        found = await self.ask("POST", f"/uploads/{upload.id}/urls", json=numbers)
        assert len(found) == count
        return list(map(PartUrl, found))

    async def complete(self, upload: Upload, etags: Sequence[str]) -> None:
        parts = [{"number": n, "etag": etag} for n, etag in enumerate(etags, 1)]
        await self.ask("POST", f"/uploads/{upload.id}/complete", json=parts)

    async def small(self) -> None:
        self._own = self._own or await self.open(1)
        await self.urls(self._own, 1)


class CompanionDriver(Driver):
    """Calls Companion as Uppy's plugin for S3 does."""

    _own: Upload | None = None

    async def open(self, parts: int) -> Upload:
        asked = {"filename": "video.mp4", "type": "video/mp4", "metadata": {}}
        found = await self.ask("POST", "/s3/multipart", json=asked)
        return Upload(found["uploadId"], parts, {"key": found["key"]})

    async def urls(self, upload: Upload, count: int) -> list[PartUrl]:
        found: list[PartUrl] = []
        for first in range(1, count + 1, _COMPANION_BATCH):
            numbers = range(first, min(first + _COMPANION_BATCH, count + 1))
            asked = {"key": upload.known["key"], "partNumbers": ",".join(map(str, numbers))}
            signed = await self.ask("GET", f"/s3/multipart/{upload.id}/batch", params=asked)
            found += (PartUrl(signed["presignedUrls"][str(n)]) for n in numbers)
        return found

    async def complete(self, upload: Upload, etags: Sequence[str]) -> None:
        parts = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
        path, key = f"/s3/multipart/{upload.id}/complete", {"key": upload.known["key"]}
        await self.ask("POST", path, params=key, json={"parts": parts})

    async def small(self) -> None:
        self._own = self._own or await self.open(1)
        await self.urls(self._own, 1)


class DjangoDriver(Driver):
    """Calls django-s3-file-field as its client does, which joins the parts at storage itself."""

    async def open(self, parts: int) -> Upload:
        size = len(SMALL_BODY) if parts == 1 else parts * _DJANGO_PART_BYTES
        asked = {
            "field_id": "uploads.Document.blob",
            "file_name": "video.mp4",
            "file_size": size,
            "content_type": "video/mp4",
        }
        found = await self.ask("POST", "/api/s3-upload/upload-initialize/", json=asked)
        assert len(found["parts"]) == parts
        return Upload(found["upload_id"], parts, found)

    async def urls(self, upload: Upload, count: int) -> list[PartUrl]:
        return [PartUrl(part["upload_url"]) for part in upload.known["parts"][:count]]

    async def prepare_urls(self, parts: int) -> Callable[[], Awaitable[object]]:
        # Its first call returns all URLs, and no other returns any.
        return lambda: self.open(parts)

    async def complete(self, upload: Upload, etags: Sequence[str]) -> None:
        signature = {"upload_signature": upload.known["upload_signature"]}
        parts = [
            {"part_number": n, "size": PART_BYTES, "etag": etag} for n, etag in enumerate(etags, 1)
        ]
        asked = {**signature, "upload_id": upload.id, "parts": parts}
        found = await self.ask("POST", "/api/s3-upload/upload-complete/", json=asked)
        async with self.http.post(found["complete_url"], data=found["body"]) as answer:
            answer.raise_for_status()
        await self.ask("POST", "/api/s3-upload/finalize/", json=signature)

    async def small(self) -> None:
        await self.open(1)


class TusdDriver(Driver):
    """Calls tusd as a client of tus does: every byte goes through it."""

    through = True
    _own: str = ""

    async def open(self, parts: int) -> Upload:
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(file_size(parts))}
        async with self.http.post(f"http://{self.address}/files/", headers=headers) as answer:
            answer.raise_for_status()
            return Upload(answer.headers["Location"], parts)

    async def urls(self, upload: Upload, count: int) -> list[PartUrl]:
        raise NotImplementedError("tusd has no URLs of parts")

    async def complete(self, upload: Upload, etags: Sequence[str]) -> None:
        raise NotImplementedError("tusd completes with the last byte")

    async def whole(self, parts: int) -> None:
        upload = await self.open(parts)
        size = file_size(parts)
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": "0",
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(size),
        }
        async with self.http.patch(upload.id, data=_zeros(size), headers=headers) as answer:
            answer.raise_for_status()
            assert answer.headers["Upload-Offset"] == str(size)

    async def small(self) -> None:
        self._own = self._own or (await self.open(1)).id
        async with self.http.head(self._own, headers={"Tus-Resumable": "1.0.0"}) as answer:
            answer.raise_for_status()

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        raise NotImplementedError("tus has no JSON")


async def _zeros(size: int) -> AsyncIterator[bytes]:
    piece = bytes(256 * 1024)
    while size > 0:
        yield piece[:size]
        size -= len(piece)
