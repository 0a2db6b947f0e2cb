"""Storage behind the S3 API. Only this module knows the AWS SDK.

Two SDK clients with different tempers: one retries, and is for calls that may be sent twice; the
other sends once, for CreateMultipartUpload, CompleteMultipartUpload and DeleteObject, where a
blind second request could leave an orphan, or turn a success into an error.
"""

import asyncio
import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime, timedelta
from typing import Any, Self

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as ConnectionFailed,
)
from botocore.parsers import ResponseParserError

from partway_server.errors import StorageRefused, StorageUnavailable
from partway_server.objects.answers import (
    BUCKET_PROBLEMS,
    call_error,
    complete_error,
    is_absent,
)
from partway_server.objects.base import (
    CompleteUnknown,
    Head,
    MultipartNotFound,
    Presigner,
    StoredPart,
)
from partway_server.objects.capabilities import Capabilities
from partway_server.objects.presigning import (
    DISPOSITION,
    WRITE_TOKEN,
    PartPresigner,
    SinglePresigner,
)
from partway_server.signing import Addressing, Credentials, Endpoint, Signer
from partway_server.uploads import Checksum, Grant

_CONNECT_SECONDS = 3
_CALL_SECONDS = 10
_COMPLETE_SECONDS = 900
"""CompleteMultipartUpload may take minutes
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html)."""

_CONNECTIONS = 64
_PAGE = 1000


class S3Objects:
    """One S3 endpoint with its credentials. Begins with `open` and ends with `aclose`."""

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
                    ContentDisposition=DISPOSITION,
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
        # Where every sending is listed, pages overlap by a part: its sendings may be on both.
        overlap = 1 if self.capabilities.listed_resends else 0
        newest: dict[int, Any] = {}
        more = True
        while more and (limit is None or len(newest) < limit):
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(newest) + overlap)
            page = await self._page_of_parts(grant, after, wanted)
            found = page.get("Parts", [])
            for part in found:
                known = newest.setdefault(part["PartNumber"], part)
                if known["LastModified"] <= part["LastModified"]:
                    newest[part["PartNumber"]] = part
            # rclone tells no IsTruncated, and MinIO has told a marker of 0: so neither is trusted.
            more = bool(found) and page.get("IsTruncated", len(found) == wanted)
            after = max(after + 1, max(newest, default=0) - overlap)
        return [_part(grant, newest[number]) for number in sorted(newest)[:limit]]

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
            # The SDK makes an error in the body of a 200, or half a body, a 500.
            raise complete_error(_status(exc), _code(exc)) from exc
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
            write_token=reply["Metadata"].get(WRITE_TOKEN, ""),
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
            return SinglePresigner(grant, signer, now, expire_time, conditional=condition)
        parts = signer.for_parts(
            grant.bucket, grant.key, grant.multipart_id, lifetime_seconds=seconds, now=now
        )
        return PartPresigner(grant, parts, expire_time)

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
                if problem := BUCKET_PROBLEMS.get(_status(exc)):
                    raise ValueError(
                        f"backend {self._name!r}, bucket {bucket!r}: {problem}"
                    ) from exc
                raise
            except ParamValidationError as exc:
                raise ValueError(f"{bucket!r} is no name that a bucket can have") from exc

    async def aclose(self) -> None:
        await self._resources.aclose()


def _client_config(addressing: Addressing, attempts: int, read_seconds: int) -> AioConfig:
    return AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": addressing},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        # The checksums that the SDK adds of itself are refused by stores that are not AWS, and
        # no call here has a body worth one.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _part(grant: Grant, listed: Mapping[str, Any]) -> StoredPart:
    checksum = base64.b64decode(listed.get(f"Checksum{grant.checksum.upper()}", ""))
    return StoredPart(listed["PartNumber"], listed["Size"], listed["ETag"].strip('"'), checksum)


def _named_part(grant: Grant, part: StoredPart) -> dict[str, Any]:
    named: dict[str, Any] = {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
    if part.checksum:
        checksum = base64.b64encode(part.checksum).decode("ascii")
        named[f"Checksum{grant.checksum.upper()}"] = checksum
    return named


def _status(error: ClientError) -> int:
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def _code(error: ClientError) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def _is_absent(error: ClientError) -> bool:
    return is_absent(_status(error), _code(error))


@contextmanager
def _translated(operation: str) -> Iterator[None]:
    """The SDK's errors as the seam's. Their text may hold addresses, and stays in the cause."""
    try:
        yield
    except ClientError as exc:
        raise call_error(operation, _status(exc), _code(exc)) from exc
    except (NoCredentialsError, PartialCredentialsError) as exc:
        raise StorageRefused(operation, "NoCredentials") from exc
    except (
        ConnectionFailed,
        CredentialRetrievalError,
        HTTPClientError,
        MetadataRetrievalError,
        ResponseParserError,
        TimeoutError,
    ) as exc:
        raise StorageUnavailable from exc
