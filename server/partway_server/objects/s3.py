"""Storage behind the S3 API: what each call asks, and what its answer means to the seam.

The modules `s3*` alone know the AWS SDK.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from botocore.exceptions import ClientError

from partway_server.errors import StorageRefused
from partway_server.objects.answers import complete_error, copy_error
from partway_server.objects.base import (
    CompleteUnknown,
    Head,
    MultipartNotFound,
    Presigner,
    StoredPart,
    Unfinished,
    md5_in,
)
from partway_server.objects.capabilities import Capabilities
from partway_server.objects.presigning import (
    WRITE_TOKEN,
    PartPresigner,
    SinglePresigner,
    checksum_header,
    object_headers,
)
from partway_server.objects.s3_check import check_bucket, check_metadata, probe_md5
from partway_server.objects.s3_clients import (
    CALL_SECONDS,
    COMPLETE_SECONDS,
    Clients,
    CurrentSigner,
    code_in,
    says_absent,
    status_in,
    translated,
)
from partway_server.objects.s3_put import PUT_SECONDS, Putter
from partway_server.signing import Addressing, Endpoint
from partway_server.uploads import Checksum, Grant, Source

_PAGE = 1000

_PUT_LIFETIME = timedelta(minutes=15)
"""A URL that we use at once: what a request may be late by
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, RequestTimeTooSkewed)."""

_WITHOUT_FIELD = (Checksum.NONE, Checksum.MD5)
"""S3 has no field for these in Create, Complete and HEAD, nor needs one."""


_ARGUMENTS = {
    "content-type": "ContentType",
    "content-disposition": "ContentDisposition",
    "cache-control": "CacheControl",
    "x-amz-storage-class": "StorageClass",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-tagging": "Tagging",
}
"""What the SDK calls the headers of an object."""


class S3Objects:
    """One S3 endpoint with its credentials. Begins with `open` and ends with `aclose`."""

    def __init__(
        self,
        *,
        name: str,
        capabilities: Capabilities,
        clients: Clients,
        putter: Putter,
        signer: CurrentSigner,
        own_signer: CurrentSigner,
    ) -> None:
        self.capabilities = capabilities
        self._name = name
        self._clients = clients
        self._putter = putter
        self._signer = signer
        self._own_signer = own_signer

    @classmethod
    async def open(
        cls,
        *,
        name: str,
        capabilities: Capabilities,
        region: str,
        endpoint_url: str | None = None,
        public_endpoint_url: str | None = None,
        addressing: Addressing = "path",
        access_key: str | None = None,
        secret_key: str | None = None,
        session_token: str | None = None,
        call_seconds: float = CALL_SECONDS,
        complete_seconds: float = COMPLETE_SECONDS,
        put_seconds: float = PUT_SECONDS,
    ) -> Self:
        """Connect lazily to `endpoint_url`, or to AWS where it is None.

        `public_endpoint_url` is the one that goes into URLs, where clients reach storage at
        another address than the service does. Without keys, the SDK looks for credentials where
        it always does, and renews those that end. Storage that is silent for `call_seconds`, for
        `complete_seconds` where it joins parts, or for `put_seconds` in the middle of a part, does
        not answer. Raises ValueError.
        """
        if (access_key is None) != (secret_key is None):
            raise ValueError(f"backend {name!r}: give both an access key and a secret key, or none")
        clients = await Clients.open(
            region=region,
            endpoint_url=endpoint_url,
            addressing=addressing,
            access_key=access_key,
            secret_key=secret_key,
            session_token=session_token,
            call_seconds=call_seconds,
            complete_seconds=complete_seconds,
        )
        own_url = clients.control.meta.endpoint_url
        own, public = (
            CurrentSigner(clients.session, Endpoint(url, region, addressing))
            for url in (own_url, public_endpoint_url or own_url)
        )
        return cls(
            name=name,
            capabilities=capabilities,
            clients=clients,
            putter=Putter(ca_bundle=clients.ca_bundle, put_seconds=put_seconds),
            signer=public,
            own_signer=own,
        )

    def __repr__(self) -> str:
        return f"<S3Objects {self._name!r}>"

    def capabilities_of(self, backend: str) -> Capabilities:
        return self.capabilities

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        named = {"ChecksumAlgorithm": grant.checksum.upper()} if self._names_checksum(grant) else {}
        with translated("CreateMultipartUpload"):
            async with asyncio.timeout(self._clients.call_seconds):
                reply = await self._clients.once.create_multipart_upload(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    **{_ARGUMENTS[name]: value for name, value in object_headers(grant).items()},
                    Metadata={**metadata, WRITE_TOKEN: grant.write_token},
                    **named,
                )
        multipart_id: str = reply["UploadId"]
        return multipart_id

    def _names_checksum(self, grant: Grant) -> bool:
        """Whether the algorithm is named at create, so that the object has a checksum, too.

        Complete then asks for the parts' checksums, but for CRC64NVME; where ListParts does not
        tell them nobody could send them, and each part is verified without.
        """
        if grant.checksum in _WITHOUT_FIELD:
            return False
        return self.capabilities.listed_checksums or grant.checksum is Checksum.CRC64NVME

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        found: list[str] = []
        marker: dict[str, str] = {}
        while True:
            with translated("ListMultipartUploads"):
                page = await self._clients.control.list_multipart_uploads(
                    Bucket=grant.bucket, Prefix=grant.key, **marker
                )
            uploads = page.get("Uploads", [])
            found += (upload["UploadId"] for upload in uploads if upload["Key"] == grant.key)
            if not uploads or not page.get("IsTruncated"):
                return found
            # Not every store tells the markers: SeaweedFS leaves the key out.
            last = uploads[-1]
            marker = {"KeyMarker": last["Key"], "UploadIdMarker": last["UploadId"]}

    async def unfinished(self, backend: str, bucket: str, prefix: str) -> AsyncIterator[Unfinished]:
        if self.capabilities.exact_key_listing_only:
            return
        marker: dict[str, str] = {}
        page = await self._page_of_unfinished(bucket, prefix, marker)
        while True:
            following = _next_page(page) if page.get("IsTruncated") else {}
            # A store that does not go on from a marker would answer with one page for ever.
            more = bool(following) and following != marker
            # The next page is read before this one is told: LocalStack refuses the marker of an
            # upload that the reader has aborted by then.
            ahead = await self._page_of_unfinished(bucket, prefix, following) if more else {}
            for each in page.get("Uploads", []):
                yield Unfinished(each["UploadId"], each["Key"], each.get("Initiated"))
            if not more:
                return
            page, marker = ahead, following

    async def _page_of_unfinished(
        self, bucket: str, prefix: str, marker: Mapping[str, str]
    ) -> Mapping[str, Any]:
        with translated("ListMultipartUploads"):
            page: Mapping[str, Any] = await self._clients.control.list_multipart_uploads(
                Bucket=bucket, Prefix=prefix, MaxUploads=_PAGE, **marker
            )
        return page

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        if grant.single:
            return await self._single_part(grant, after)
        # Where every sending is listed, pages overlap by a part: its sendings may be on both.
        overlap = 1 if self.capabilities.listed_resends else 0
        first = after + 1
        newest: dict[int, Any] = {}
        more = True
        while more and (limit is None or len(newest) < limit):
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(newest) + overlap)
            page = await self._page_of_parts(grant, after, wanted)
            found = page.get("Parts", [])
            for part in found:
                # rclone begins with the marker, not after it.
                if part["PartNumber"] < first:
                    continue
                known = newest.setdefault(part["PartNumber"], part)
                if known["LastModified"] <= part["LastModified"]:
                    newest[part["PartNumber"]] = part
            # rclone tells no IsTruncated, and MinIO has told a marker of 0: so neither is trusted.
            more = bool(found) and page.get("IsTruncated", len(found) == wanted)
            after = max(after + 1, max(newest, default=0) - overlap)
        return [self._part(grant, newest[number]) for number in sorted(newest)[:limit]]

    async def _single_part(self, grant: Grant, after: int) -> Sequence[StoredPart]:
        head = await self.head(grant)
        if after or head is None or head.write_token != grant.write_token:
            return []
        checksum = head.checksum or self._md5(grant, head.etag)
        return [StoredPart(1, head.size_bytes, head.etag, checksum)]

    def _part(self, grant: Grant, listed: Mapping[str, Any]) -> StoredPart:
        etag = listed["ETag"].strip('"')
        checksum = self._md5(grant, etag) or _checksum(grant, listed)
        return StoredPart(listed["PartNumber"], listed["Size"], etag, checksum)

    def _md5(self, grant: Grant, etag: str) -> bytes:
        wanted = grant.checksum is Checksum.MD5 and self.capabilities.md5_etags
        return md5_in(etag) if wanted else b""

    async def _page_of_parts(self, grant: Grant, after: int, wanted: int) -> Any:
        with translated("ListParts"):
            try:
                return await self._clients.control.list_parts(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    UploadId=grant.multipart_id,
                    PartNumberMarker=after,
                    MaxParts=wanted,
                )
            except ClientError as exc:
                if says_absent(exc):
                    raise MultipartNotFound from exc
                raise

    async def copy_part(
        self, grant: Grant, number: int, source: Source, begin: int, size: int
    ) -> None:
        # A range is not taken of an object of 5 MB or less
        # (https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html).
        part_of_it = {"CopySourceRange": f"bytes={begin}-{begin + size - 1}"}
        with translated("UploadPartCopy"):
            try:
                async with asyncio.timeout(self._clients.complete_seconds):
                    await self._clients.joining.upload_part_copy(
                        Bucket=grant.bucket,
                        Key=grant.key,
                        UploadId=grant.multipart_id,
                        PartNumber=number,
                        CopySource={"Bucket": source.bucket, "Key": source.key},
                        CopySourceIfMatch=f'"{source.etag}"',
                        **(part_of_it if size < source.size_bytes else {}),
                    )
            except ClientError as exc:
                # The SDK makes an error in the body of a 200 a 500.
                raise copy_error(status_in(exc), code_in(exc)) from exc

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        condition = {"IfNoneMatch": "*"} if self.capabilities.conditional_complete else {}
        if checksum and self.capabilities.whole_checksum:
            condition |= {"ChecksumType": "FULL_OBJECT", "ChecksumCRC64NVME": _encoded(checksum)}
        named = [_named_part(grant, part) for part in parts]
        try:
            async with asyncio.timeout(self._clients.complete_seconds):
                reply = await self._clients.joining.complete_multipart_upload(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    UploadId=grant.multipart_id,
                    MultipartUpload={"Parts": named},
                    **condition,
                )
        except ClientError as exc:
            # The SDK makes an error in the body of a 200, or half a body, a 500.
            raise complete_error(status_in(exc), code_in(exc)) from exc
        except Exception as exc:
            # A timeout, a reset, half a reply: the request may have been carried out.
            raise CompleteUnknown from exc
        # Ceph RGW can tell an empty one, which is a result nevertheless.
        if "ETag" not in reply:
            raise CompleteUnknown

    async def abort(self, grant: Grant) -> None:
        with translated("AbortMultipartUpload"):
            try:
                await self._clients.control.abort_multipart_upload(
                    Bucket=grant.bucket, Key=grant.key, UploadId=grant.multipart_id
                )
            except ClientError as exc:
                if not says_absent(exc):
                    raise

    async def head(self, grant: Grant) -> Head | None:
        told = self.capabilities.whole_checksum and grant.checksum not in _WITHOUT_FIELD
        mode = {"ChecksumMode": "ENABLED"} if told else {}
        with translated("HeadObject"):
            try:
                reply = await self._clients.control.head_object(
                    Bucket=grant.bucket, Key=grant.key, **mode
                )
            except ClientError as exc:
                if says_absent(exc):
                    return None
                raise
        return Head(
            size_bytes=reply["ContentLength"],
            etag=reply.get("ETag", "").strip('"'),
            write_token=reply["Metadata"].get(WRITE_TOKEN, ""),
            version_id=reply.get("VersionId", ""),
            checksum=_checksum(grant, reply),
            metadata={k: v for k, v in reply["Metadata"].items() if k != WRITE_TOKEN},
        )

    async def tells_md5(self, grant: Grant) -> bool:
        return await probe_md5(
            self._clients.once, grant.bucket, secrets.token_hex(16), single=grant.single
        )

    async def delete(self, grant: Grant, head: Head) -> None:
        only: dict[str, str] = {}
        if head.version_id:
            only["VersionId"] = head.version_id
        elif self.capabilities.conditional_delete:
            only["IfMatch"] = f'"{head.etag}"'
        with translated("DeleteObject"):
            try:
                async with asyncio.timeout(self._clients.call_seconds):
                    await self._clients.once.delete_object(
                        Bucket=grant.bucket, Key=grant.key, **only
                    )
            except ClientError as exc:
                # It has gone, or another took its place: either way that one is no more.
                if not says_absent(exc) and status_in(exc) != 412:
                    raise

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        return await self._presigner(self._signer, grant, lifetime, now)

    async def put_part(
        self, grant: Grant, number: int, body: AsyncIterator[bytes], checksum: bytes, now: datetime
    ) -> StoredPart:
        # By URL as callers send parts, so that storage holds us to the same headers; but at the
        # address where we reach it.
        presigner = await self._presigner(self._own_signer, grant, _PUT_LIFETIME, now)
        [part] = presigner.sign([number], {number: checksum} if checksum else {})
        told = await self._putter.put(grant, part, body)
        etag = told.get("etag", "").strip('"')
        found = self._md5(grant, etag) or base64.b64decode(
            told.get(checksum_header(grant.checksum), "")
        )
        return StoredPart(number, grant.plan.size(number), etag, found)

    async def _presigner(
        self, source: CurrentSigner, grant: Grant, lifetime: timedelta, now: datetime
    ) -> Presigner:
        now = now.replace(microsecond=0)  # X-Amz-Date has whole seconds, and lifetimes begin there
        signer, credentials_end = await source.get()
        ends = [now + lifetime, *([credentials_end] if credentials_end else [])]
        seconds = int((min(ends) - now).total_seconds())
        if seconds < 1:
            raise StorageRefused("presigning", "ExpiredToken")
        expire_time = now + timedelta(seconds=seconds)
        if grant.single:
            condition = self.capabilities.conditional_put
            return SinglePresigner(grant, signer, now, expire_time, conditional=condition)
        parts = signer.for_parts(
            grant.bucket, grant.key, grant.multipart_id, lifetime_seconds=seconds, now=now
        )
        return PartPresigner(grant, parts, expire_time)

    async def check(self, backend: str, bucket: str) -> None:
        try:
            await check_bucket(self._clients.control, bucket)
            await check_metadata(self._clients.control, bucket, secrets.token_hex(16))
        except ValueError as exc:
            raise ValueError(f"backend {self._name!r}, {exc}") from exc

    async def aclose(self) -> None:
        await self._putter.aclose()
        await self._clients.aclose()


def _next_page(page: Mapping[str, Any]) -> dict[str, str]:
    """The markers of the page after this one, as the store tells them.

    SeaweedFS goes by the id alone and leaves the key out: with a key it would list that key only.
    Where neither is told, the last upload is where to go on, as S3 defines the markers
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html).
    """
    names = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
    told = {marker: page[name] for marker, name in names.items() if page.get(name)}
    if told or not page.get("Uploads"):
        return told
    last = page["Uploads"][-1]
    return {"KeyMarker": last["Key"], "UploadIdMarker": last["UploadId"]}


def _checksum(grant: Grant, told: Mapping[str, Any]) -> bytes:
    """The checksum of a part or of a whole object, by the Upload's algorithm, in an answer."""
    encoded: str = told.get(f"Checksum{grant.checksum.upper()}", "")
    # A checksum of the parts' checksums says how many they are: BASE64-COUNT.
    return b"" if "-" in encoded else base64.b64decode(encoded)


def _named_part(grant: Grant, part: StoredPart) -> dict[str, Any]:
    named: dict[str, Any] = {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
    if part.checksum and grant.checksum not in _WITHOUT_FIELD:
        named[f"Checksum{grant.checksum.upper()}"] = _encoded(part.checksum)
    return named


def _encoded(checksum: bytes) -> str:
    return base64.b64encode(checksum).decode("ascii")
