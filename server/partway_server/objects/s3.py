"""Storage behind the S3 API. Only this module knows the AWS SDK.

Two SDK clients with different tempers: one retries, and is for calls that may be sent twice; the
other sends once, for CreateMultipartUpload, CompleteMultipartUpload and DeleteObject, where a
blind second request could leave an orphan, or turn a success into an error.
"""

import asyncio
import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import groupby, tee
from typing import Any, Self

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from partway_server.errors import StorageRefused, StorageUnavailable
from partway_server.objects.base import (
    CompleteRefused,
    CompleteUnknown,
    Head,
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    PresignedPart,
    Presigner,
    StoredPart,
)
from partway_server.objects.capabilities import Capabilities
from partway_server.signing import Addressing, Credentials, Endpoint, PartSigner, Signer
from partway_server.uploads import Checksum, Grant

_WRITE_TOKEN = "partway-token"
_DISPOSITION = "attachment"
_CONNECT_SECONDS = 3
_CALL_SECONDS = 10
_COMPLETE_SECONDS = 900
"""CompleteMultipartUpload may take minutes
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html)."""

_CONNECTIONS = 64
_PAGE = 1000

_OPERATOR_CODES = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "NoSuchBucket",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
"""Storage refuses the service, not the upload."""

_TRANSIENT_CODES = frozenset(
    {"OperationAborted", "RequestLimitExceeded", "RequestTimeout", "SlowDown", "Throttling"}
)
"""Some stores send these with a status below 500."""

_PARTS_CODES = frozenset(
    {
        "BadDigest",
        "EntityTooLarge",
        "EntityTooSmall",
        "InvalidArgument",
        "InvalidPart",
        "InvalidPartOrder",
        "InvalidRequest",
        "MalformedXML",
    }
)
"""Complete was surely not carried out, because of the parts."""


class S3Objects:
    """One S3 endpoint with its credentials. Made by `open`, ended by `aclose`, in one event loop."""

    def __init__(
        self,
        *,
        name: str,
        capabilities: Capabilities,
        session: Any,
        control: Any,
        once: Any,
        public: Endpoint,
        resources: AsyncExitStack,
    ) -> None:
        self.capabilities = capabilities
        self._name = name
        self._session = session
        self._control = control
        self._once = once
        self._public = public
        self._resources = resources
        self._signer: tuple[Credentials, Signer] | None = None

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
    ) -> Self:
        """Connect lazily to `endpoint_url`, or to AWS where it is None.

        `public_endpoint_url` is the one that goes into URLs, where clients reach storage at
        another address than the service does. Without keys, the SDK looks for credentials where
        it always does, and renews those that end. Raises ValueError.
        """
        if (access_key is None) != (secret_key is None):
            raise ValueError(f"backend {name!r}: give both an access key and a secret key, or none")
        session = aioboto3.Session(access_key, secret_key, session_token, region)
        async with AsyncExitStack() as resources:

            async def client(attempts: int, read_seconds: int) -> Any:
                config = _client_config(addressing, attempts, read_seconds)
                opening = session.client("s3", endpoint_url=endpoint_url, config=config)
                return await resources.enter_async_context(opening)

            control = await client(attempts=3, read_seconds=_CALL_SECONDS)
            once = await client(attempts=1, read_seconds=_COMPLETE_SECONDS)
            public_url = public_endpoint_url or control.meta.endpoint_url
            return cls(
                name=name,
                capabilities=capabilities,
                session=session,
                control=control,
                once=once,
                public=Endpoint(public_url, region, addressing),
                resources=resources.pop_all(),
            )

    def __repr__(self) -> str:
        return f"<S3Objects {self._name!r}>"

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        named = {"ChecksumAlgorithm": grant.checksum.upper()} if self._names_checksum(grant) else {}
        with _translated("CreateMultipartUpload"):
            async with asyncio.timeout(_CALL_SECONDS):
                reply = await self._once.create_multipart_upload(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    ContentType=grant.content_type,
                    ContentDisposition=_DISPOSITION,
                    Metadata={**metadata, _WRITE_TOKEN: grant.write_token},
                    **named,
                )
        multipart_id: str = reply["UploadId"]
        return multipart_id

    def _names_checksum(self, grant: Grant) -> bool:
        """Whether the algorithm is named at create, so that the object has a checksum, too.

        Complete then asks for the parts' checksums, but for CRC64NVME; where ListParts does not
        tell them nobody could send them, and each part is verified without.
        """
        if grant.checksum is Checksum.NONE:
            return False
        return self.capabilities.listed_checksums or grant.checksum is Checksum.CRC64NVME

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        found: list[str] = []
        marker: dict[str, str] = {}
        while True:
            with _translated("ListMultipartUploads"):
                page = await self._control.list_multipart_uploads(
                    Bucket=grant.bucket, Prefix=grant.key, **marker
                )
            uploads = page.get("Uploads", [])
            found += (upload["UploadId"] for upload in uploads if upload["Key"] == grant.key)
            if not uploads or not page.get("IsTruncated"):
                return found
            # Not every store tells the markers: SeaweedFS leaves the key out.
            last = uploads[-1]
            marker = {"KeyMarker": last["Key"], "UploadIdMarker": last["UploadId"]}

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        if grant.single:
            return await self._single_part(grant, after)
        parts: list[StoredPart] = []
        more = True
        while more and (limit is None or len(parts) < limit):
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(parts))
            page = await self._page_of_parts(grant, after, wanted)
            found = sorted((_part(grant, part) for part in page.get("Parts", [])), key=_number)
            parts += found
            # rclone tells no IsTruncated, and MinIO has told a marker of 0: so neither is trusted.
            more = bool(found) and page.get("IsTruncated", len(found) == wanted)
            after = found[-1].number if found else after
        return parts

    async def _single_part(self, grant: Grant, after: int) -> Sequence[StoredPart]:
        head = await self.head(grant)
        if after or head is None or head.write_token != grant.write_token:
            return []
        return [StoredPart(1, head.size_bytes, head.etag)]

    async def _page_of_parts(self, grant: Grant, after: int, wanted: int) -> Any:
        with _translated("ListParts"):
            try:
                return await self._control.list_parts(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    UploadId=grant.multipart_id,
                    PartNumberMarker=after,
                    MaxParts=wanted,
                )
            except ClientError as exc:
                if _is_absent(exc):
                    raise MultipartNotFound from exc
                raise

    async def complete(self, grant: Grant, parts: Sequence[StoredPart]) -> None:
        condition = {"IfNoneMatch": "*"} if self.capabilities.conditional_complete else {}
        named = [_named_part(grant, part) for part in parts]
        try:
            async with asyncio.timeout(_COMPLETE_SECONDS):
                reply = await self._once.complete_multipart_upload(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    UploadId=grant.multipart_id,
                    MultipartUpload={"Parts": named},
                    **condition,
                )
        except ClientError as exc:
            raise _complete_error(exc) from exc
        except Exception as exc:
            # A timeout, a reset, half a reply: the request may have been carried out.
            raise CompleteUnknown from exc
        # Ceph RGW can tell an empty one, which is a result nevertheless.
        if "ETag" not in reply:
            raise CompleteUnknown

    async def abort(self, grant: Grant) -> None:
        with _translated("AbortMultipartUpload"):
            try:
                await self._control.abort_multipart_upload(
                    Bucket=grant.bucket, Key=grant.key, UploadId=grant.multipart_id
                )
            except ClientError as exc:
                if not _is_absent(exc):
                    raise

    async def head(self, grant: Grant) -> Head | None:
        with _translated("HeadObject"):
            try:
                reply = await self._control.head_object(Bucket=grant.bucket, Key=grant.key)
            except ClientError as exc:
                if _is_absent(exc):
                    return None
                raise
        return Head(
            size_bytes=reply["ContentLength"],
            etag=reply.get("ETag", "").strip('"'),
            write_token=reply["Metadata"].get(_WRITE_TOKEN, ""),
            version_id=reply.get("VersionId", ""),
        )

    async def delete(self, grant: Grant, head: Head) -> None:
        only: dict[str, str] = {}
        if head.version_id:
            only["VersionId"] = head.version_id
        elif self.capabilities.conditional_delete:
            only["IfMatch"] = f'"{head.etag}"'
        with _translated("DeleteObject"):
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    await self._once.delete_object(Bucket=grant.bucket, Key=grant.key, **only)
            except ClientError as exc:
                # It has gone, or another took its place: either way that one is no more.
                if not _is_absent(exc) and _status(exc) != 412:
                    raise

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        now = now.replace(microsecond=0)  # X-Amz-Date has whole seconds, and lifetimes begin there
        signer, credentials_end = await self._current_signer()
        ends = [now + lifetime, *([credentials_end] if credentials_end else [])]
        seconds = int((min(ends) - now).total_seconds())
        if seconds < 1:
            raise StorageRefused("presigning", "ExpiredToken")
        expire_time = now + timedelta(seconds=seconds)
        if grant.single:
            condition = self.capabilities.conditional_put
            return _SinglePresigner(grant, signer, now, expire_time, conditional=condition)
        parts = signer.for_parts(
            grant.bucket, grant.key, grant.multipart_id, lifetime_seconds=seconds, now=now
        )
        return _PartPresigner(grant, parts, expire_time)

    async def _current_signer(self) -> tuple[Signer, datetime | None]:
        """A signer with the credentials of this moment, and their end if they have one."""
        with _translated("presigning"):
            source = await self._session.get_credentials()
            if source is None:
                raise StorageRefused("presigning", "NoCredentials")
            frozen = await source.get_frozen_credentials()
        # No await since then, so this is the end of those. The SDK has no public name for it.
        end: datetime | None = getattr(source, "_expiry_time", None)
        credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")
        if self._signer is None or self._signer[0] != credentials:
            # One signer for as long as they last: it keeps the day's signing key.
            self._signer = credentials, Signer(credentials, self._public)
        return self._signer[1], end

    async def check(self, bucket: str) -> None:
        with _translated("HeadBucket"):
            try:
                await self._control.head_bucket(Bucket=bucket)
            except ClientError as exc:
                if problem := _BUCKET_PROBLEMS.get(_status(exc)):
                    raise ValueError(
                        f"backend {self._name!r}, bucket {bucket!r}: {problem}"
                    ) from exc
                raise

    async def aclose(self) -> None:
        await self._resources.aclose()


class _PartPresigner:
    """Signs the parts of a multipart upload."""

    def __init__(self, grant: Grant, parts: PartSigner, expire_time: datetime) -> None:
        self.expire_time = expire_time
        self._grant = grant
        self._parts = parts

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        plan, checksum = self._grant.plan, self._grant.checksum

        def size_if_plain(number: int) -> int | None:
            return None if number in checksums else plan.size(number)

        # Runs of parts that differ in nothing but their number share one set of headers.
        for size, run in groupby(numbers, size_if_plain):
            if size is None:
                for number in run:
                    headers = {"content-length": str(plan.size(number))}
                    headers |= _checksum_header(checksum, checksums[number])
                    yield PresignedPart(number, self._parts.url(number, headers), headers)
            else:
                headers = {"content-length": str(size)}
                run, same = tee(run)
                for number, url in zip(run, self._parts.urls(same, size), strict=True):
                    yield PresignedPart(number, url, headers)


class _SinglePresigner:
    """Signs the one PUT of a whole object, with all that storage is to know of it."""

    def __init__(
        self,
        grant: Grant,
        signer: Signer,
        now: datetime,
        expire_time: datetime,
        *,
        conditional: bool,
    ) -> None:
        self.expire_time = expire_time
        self._grant = grant
        self._signer = signer
        self._now = now
        self._conditional = conditional

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        for number in numbers:
            headers = single_put_headers(self._grant, checksums.get(number), self._conditional)
            url = self._signer.presign_put(
                self._grant.bucket,
                self._grant.key,
                headers=headers,
                lifetime_seconds=int((self.expire_time - self._now).total_seconds()),
                now=self._now,
            )
            yield PresignedPart(number, url, headers)
