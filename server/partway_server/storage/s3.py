"""Storage over the S3 API: each call of the interface, and the meaning of its errors.

Only the modules `s3*` use the AWS SDK.
"""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self, Unpack

from botocore.exceptions import ClientError

from partway_server.domain.errors import StorageRefused
from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.base import (
    CompleteUnknown,
    Head,
    Presigner,
    StoredPart,
    UnfinishedUpload,
)
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.presigner import PartPresigner, SinglePresigner, checksum_header
from partway_server.storage.s3_client import (
    ClientOptions,
    S3Clients,
    SignerProvider,
    code_in,
    says_absent,
    status_in,
    time_in,
    translate_errors,
)
from partway_server.storage.s3_errors import complete_error, copy_error
from partway_server.storage.s3_listing import S3Listing
from partway_server.storage.s3_requests import (
    complete_fields,
    copy_fields,
    create_fields,
    delete_fields,
    head_fields,
    md5_of_etag,
    object_head,
)
from partway_server.storage.s3_startup_check import check_bucket, check_metadata, probe_md5
from partway_server.storage.s3_streaming_put import PUT_SECONDS, StreamingPutClient
from partway_server.storage.sigv4 import S3Endpoint

_PUT_LIFETIME = timedelta(minutes=15)
"""The lifetime of a URL that the service uses at once: the accepted clock skew
(https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, RequestTimeTooSkewed)."""


class S3Storage:
    """An S3 endpoint with its credentials. Create it with `open` and end it with `aclose`."""

    def __init__(
        self,
        *,
        name: str,
        capabilities: Capabilities,
        clients: S3Clients,
        lists: S3Listing,
        putter: StreamingPutClient,
        signer: SignerProvider,
        own_signer: SignerProvider,
    ) -> None:
        self.capabilities = capabilities
        self._name = name
        self._clients = clients
        self._lists = lists
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
        public_endpoint_url: str | None = None,
        put_seconds: float = PUT_SECONDS,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Connect lazily. The `options` are those of `S3Clients.open`.

        `public_endpoint_url` is the one in presigned URLs, if clients reach storage at another
        address than the service does. Storage that is silent for `put_seconds` in the middle of a
        part counts as unavailable. Raises ValueError.
        """
        if (options.get("access_key") is None) != (options.get("secret_key") is None):
            raise ValueError(
                f"backend {name!r}: only one of access key and secret key is set; set both or none"
            )
        clients = await S3Clients.open(region=region, **options)
        addressing = options.get("addressing", "path")
        own_url = clients.control.meta.endpoint_url
        own, public = (
            SignerProvider(clients.signing, S3Endpoint(url, region, addressing))
            for url in (own_url, public_endpoint_url or own_url)
        )
        return cls(
            name=name,
            capabilities=capabilities,
            clients=clients,
            lists=S3Listing(client=clients.control, capabilities=capabilities),
            putter=StreamingPutClient(ca_bundle=clients.ca_bundle, put_seconds=put_seconds),
            signer=public,
            own_signer=own,
        )

    def __repr__(self) -> str:
        return f"<S3Storage {self._name!r}>"

    def capabilities_of(self, backend: str) -> Capabilities:
        return self.capabilities

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        with translate_errors("CreateMultipartUpload"):
            async with asyncio.timeout(self._clients.call_seconds):
                reply = await self._clients.once.create_multipart_upload(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    **create_fields(grant, metadata, self.capabilities),
                )
        multipart_id: str = reply["UploadId"]
        return multipart_id

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        return await self._lists.multiparts(grant)

    def unfinished(self, backend: str, bucket: str, prefix: str) -> AsyncIterator[UnfinishedUpload]:
        return self._lists.unfinished(bucket, prefix)

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        if grant.single:
            return await self._single_part(grant, after)
        return await self._lists.parts(grant, after, limit)

    async def _single_part(self, grant: Grant, after: int) -> Sequence[StoredPart]:
        head = await self.head(grant)
        if after or head is None or head.write_token != grant.write_token:
            return []
        checksum = head.checksum or md5_of_etag(grant, head.etag, self.capabilities)
        return [StoredPart(1, head.size_bytes, head.etag, checksum)]

    async def copy_part(
        self, grant: Grant, number: int, source: CopySource, begin: int, size: int
    ) -> None:
        with translate_errors("UploadPartCopy"):
            try:
                async with asyncio.timeout(self._clients.complete_seconds):
                    await self._clients.joining.upload_part_copy(
                        Bucket=grant.bucket,
                        Key=grant.key,
                        UploadId=grant.multipart_id,
                        PartNumber=number,
                        **copy_fields(source, begin, size),
                    )
            except ClientError as exc:
                # The SDK turns an error in the body of a 200 into a 500.
                raise copy_error(status_in(exc), code_in(exc)) from exc

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        fields = complete_fields(grant, parts, checksum, self.capabilities)
        try:
            async with asyncio.timeout(self._clients.complete_seconds):
                reply = await self._clients.joining.complete_multipart_upload(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    UploadId=grant.multipart_id,
                    **fields,
                )
        except ClientError as exc:
            # The SDK turns an error in the body of a 200, or half a body, into a 500.
            raise complete_error(status_in(exc), code_in(exc)) from exc
        except Exception as exc:
            # A timeout, a reset, half a reply: the request may have been processed.
            raise CompleteUnknown from exc
        # Ceph RGW can return an empty one, which is a result nevertheless.
        if "ETag" not in reply:
            raise CompleteUnknown

    async def abort(self, grant: Grant) -> None:
        with translate_errors("AbortMultipartUpload"):
            try:
                await self._clients.control.abort_multipart_upload(
                    Bucket=grant.bucket, Key=grant.key, UploadId=grant.multipart_id
                )
            except ClientError as exc:
                if not says_absent(exc):
                    raise

    async def head(self, grant: Grant) -> Head | None:
        with translate_errors("HeadObject"):
            try:
                reply = await self._clients.control.head_object(
                    Bucket=grant.bucket, Key=grant.key, **head_fields(grant, self.capabilities)
                )
            except ClientError as exc:
                if says_absent(exc):
                    return None
                raise
        return object_head(grant, reply)

    async def etags_are_md5(self, grant: Grant) -> bool:
        return await probe_md5(
            self._clients.once, grant.bucket, secrets.token_hex(16), single=grant.single
        )

    async def delete(self, grant: Grant, head: Head) -> None:
        only = delete_fields(head, self.capabilities)
        with translate_errors("DeleteObject"):
            try:
                async with asyncio.timeout(self._clients.call_seconds):
                    await self._clients.once.delete_object(
                        Bucket=grant.bucket, Key=grant.key, **only
                    )
            except ClientError as exc:
                # It is gone, or was replaced: either way that object no longer exists.
                if not says_absent(exc) and status_in(exc) != 412:
                    raise

    async def presigner(self, grant: Grant, lifetime: timedelta, now: datetime) -> Presigner:
        return await self._presigner(self._signer, grant, lifetime, now)

    async def put_part(
        self, grant: Grant, number: int, body: AsyncIterator[bytes], checksum: bytes, now: datetime
    ) -> StoredPart:
        # By URL as callers send parts, so that storage enforces the same headers; but at the
        # address where the service reaches it.
        presigner = await self._presigner(self._own_signer, grant, _PUT_LIFETIME, now)
        [part] = presigner.sign([number], {number: checksum} if checksum else {})
        reply = await self._putter.put(grant, part, body)
        etag = reply.get("etag", "").strip('"')
        found = md5_of_etag(grant, etag, self.capabilities) or base64.b64decode(
            reply.get(checksum_header(grant.checksum), "")
        )
        return StoredPart(number, grant.plan.size(number), etag, found)

    async def _presigner(
        self, source: SignerProvider, grant: Grant, lifetime: timedelta, now: datetime
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

    async def time(self, backend: str, bucket: str) -> datetime | None:
        with translate_errors("HeadBucket"):
            try:
                reply = await self._clients.once.head_bucket(Bucket=bucket)
            except ClientError as exc:
                reply = exc.response
        return time_in(reply["ResponseMetadata"].get("HTTPHeaders", {}))

    async def check(self, backend: str, bucket: str) -> None:
        try:
            await check_bucket(self._clients.control, bucket)
            await check_metadata(self._clients.control, bucket, secrets.token_hex(16))
        except ValueError as exc:
            raise ValueError(f"backend {self._name!r}, {exc}") from exc

    async def aclose(self) -> None:
        await self._putter.aclose()
        await self._clients.aclose()
