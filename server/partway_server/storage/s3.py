"""Storage over the S3 API: each call of the interface, and the meaning of its errors.

Only the modules `s3*` use the AWS SDK.
"""

import base64
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Self, Unpack

from botocore.exceptions import ClientError

from partway_server.domain.clock import Clock
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.grant import CopySource, Grant
from partway_server.storage.base import (
    CompleteUnknown,
    Head,
    MultipartNotFound,
    Presigner,
    StoredPart,
    UnfinishedUpload,
    md5_of_etag,
    single_part,
)
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.presigner import PartPresigner, SinglePresigner, checksum_header
from partway_server.storage.s3_calls import BareRefusal, Client, Retried, S3Calls, S3Refusal
from partway_server.storage.s3_client import (
    ClientOptions,
    S3Clients,
    SignerProvider,
    headers_in,
    translate_errors,
)
from partway_server.storage.s3_errors import (
    complete_error,
    copy_error,
    is_absent,
    translate_refusal,
)
from partway_server.storage.s3_evidence import is_bodiless_answer
from partway_server.storage.s3_listing import S3Listing
from partway_server.storage.s3_open_calls import open_calls
from partway_server.storage.s3_requests import (
    complete_headers,
    copy_headers,
    create_headers,
    delete_condition,
    head_headers,
    named_parts,
    object_head,
)
from partway_server.storage.s3_startup_check import check_bucket, check_metadata, probe_md5
from partway_server.storage.s3_streaming_put import PUT_SECONDS, StreamingPutClient
from partway_server.storage.sigv4 import S3Endpoint, Signer
from partway_server.storage.store_clock import StoreClock, time_in

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
        calls: S3Calls,
        lists: S3Listing,
        putter: StreamingPutClient,
        signer: SignerProvider[Signer],
        own_signer: SignerProvider[Signer],
    ) -> None:
        self.capabilities = capabilities
        self._name = name
        self._clients = clients
        self._calls = calls
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
        client: Client = "lean",
        retried: Retried = lambda operation, error: None,
        system_clock: Clock | None = None,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Connect lazily. The `options` are those of `S3Clients.open`.

        `public_endpoint_url` is the one in presigned URLs, if clients reach storage at another
        address than the service does. `client` carries out the calls; `retried` is called before a
        repeat of one. Storage that is silent for `put_seconds` in the middle of a part counts as
        unavailable. `system_clock` replaces that of the machine. Raises ValueError.
        """
        if (options.get("access_key") is None) != (options.get("secret_key") is None):
            raise ValueError(
                f"backend {name!r}: only one of access key and secret key is set; set both or none"
            )
        options["clock"] = StoreClock(name, system_clock)
        clients = await S3Clients.open(region=region, **options)
        addressing = options.get("addressing", "path")
        own_url = clients.control.meta.endpoint_url
        own, public = (
            SignerProvider(clients.signing, S3Endpoint(url, region, addressing), Signer)
            for url in (own_url, public_endpoint_url or own_url)
        )
        calls = open_calls(client, clients, S3Endpoint(own_url, region, addressing), retried)
        return cls(
            name=name,
            capabilities=capabilities,
            clients=clients,
            calls=calls,
            lists=S3Listing(client=clients.control, calls=calls, capabilities=capabilities),
            putter=StreamingPutClient(ca_bundle=clients.ca_bundle, put_seconds=put_seconds),
            signer=public,
            own_signer=own,
        )

    def __repr__(self) -> str:
        return f"<S3Storage {self._name!r}>"

    def capabilities_of(self, backend: str) -> Capabilities:
        return self.capabilities

    async def create(self, grant: Grant, metadata: Mapping[str, str]) -> str:
        headers = create_headers(grant, metadata, self.capabilities)
        with translate_refusal("CreateMultipartUpload"):
            return await self._calls.create(grant.bucket, grant.key, headers)

    async def list_multiparts(self, grant: Grant) -> Sequence[str]:
        return await self._lists.multiparts(grant)

    def unfinished(self, backend: str, bucket: str, prefix: str) -> AsyncIterator[UnfinishedUpload]:
        return self._lists.unfinished(bucket, prefix)

    async def list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> Sequence[StoredPart]:
        if grant.single:
            return [] if after else single_part(grant, await self.head(grant), self.capabilities)
        return await self._lists.parts(grant, after, limit)

    async def copy_part(
        self, grant: Grant, number: int, source: CopySource, begin: int, size: int
    ) -> None:
        headers = copy_headers(source, begin, size)
        try:
            await self._calls.copy_part(
                grant.bucket, grant.key, grant.multipart_id, number, headers
            )
        except S3Refusal as exc:
            raise copy_error(exc.status, exc.code) from exc

    async def complete(
        self, grant: Grant, parts: Sequence[StoredPart], checksum: bytes = b""
    ) -> None:
        try:
            await self._calls.complete(
                grant.bucket,
                grant.key,
                grant.multipart_id,
                await named_parts(grant, parts),
                complete_headers(checksum, self.capabilities),
            )
        except S3Refusal as exc:
            raise complete_error(exc.status, exc.code) from exc
        except Exception as exc:
            # A timeout, a reset, half a reply: the request may have been processed.
            raise CompleteUnknown from exc

    async def abort(self, grant: Grant) -> None:
        with translate_refusal("AbortMultipartUpload"):
            try:
                headers = await self._calls.abort(grant.bucket, grant.key, grant.multipart_id)
            except S3Refusal as exc:
                if not is_absent(exc.status, exc.code):
                    raise
                return
        if not is_bodiless_answer(headers):
            await self._verify_aborted(grant)

    async def _verify_aborted(self, grant: Grant) -> None:
        """Raise StorageUnavailable unless it is gone: a proxy may have answered the abort."""
        with suppress(MultipartNotFound):
            await self._lists.parts(grant, 0, 1)
            raise StorageUnavailable

    async def head(self, grant: Grant) -> Head | None:
        headers = head_headers(grant, self.capabilities)
        with translate_refusal("HeadObject"):
            try:
                found = await self._head(grant, headers)
            except S3Refusal as exc:
                if is_absent(exc.status, exc.code):
                    return None
                raise
        return object_head(grant, found)

    async def _head(self, grant: Grant, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers of an object. Raises S3Refusal only for what storage itself sent."""
        try:
            return await self._calls.head(grant.bucket, grant.key, headers)
        except BareRefusal as bare:
            # Storage without headers of its own, or a proxy: the body of a GET shows which.
            await self._calls.get_byte(grant.bucket, grant.key)
            raise StorageUnavailable from bare

    async def etags_are_md5(self, grant: Grant) -> bool:
        return await probe_md5(
            self._clients.once, grant.bucket, secrets.token_hex(16), single=grant.single
        )

    async def delete(self, grant: Grant, head: Head) -> None:
        version_id, headers = delete_condition(head, self.capabilities)
        with translate_refusal("DeleteObject"):
            try:
                answer = await self._calls.delete(grant.bucket, grant.key, version_id, headers)
            except S3Refusal as exc:
                # It is gone, or was replaced: either way that object no longer exists.
                if not is_absent(exc.status, exc.code) and exc.status != 412:
                    raise
                return
        if not is_bodiless_answer(answer) and await self.head(grant) == head:
            raise StorageUnavailable

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
        self, source: SignerProvider[Signer], grant: Grant, lifetime: timedelta, now: datetime
    ) -> Presigner:
        now = now.replace(microsecond=0)  # X-Amz-Date has whole seconds, and lifetimes begin there
        signer, credentials_end = await source.get()
        ends = [now + lifetime, *([credentials_end] if credentials_end else [])]
        seconds = int((min(ends) - now).total_seconds())
        if seconds < 1:
            raise StorageRefused("presigning", "ExpiredToken")
        expire_time = now + timedelta(seconds=seconds)
        signed_at = now + self._clients.clock.ahead
        if grant.single:
            condition = self.capabilities.conditional_put
            return SinglePresigner(grant, signer, signed_at, seconds, expire_time, condition)
        parts = signer.for_parts(
            grant.bucket, grant.key, grant.multipart_id, lifetime_seconds=seconds, now=signed_at
        )
        return PartPresigner(grant, parts, expire_time)

    def credentials_ends(self) -> Mapping[str, datetime]:
        """Return when the credentials that were last used end, by use, if they do."""
        return {"urls": self._signer.end} if self._signer.end else {}

    async def time(self, backend: str, bucket: str) -> datetime | None:
        with translate_errors("HeadBucket"):
            try:
                reply = await self._clients.once.head_bucket(Bucket=bucket)
            except ClientError as exc:
                reply = exc.response
        time = time_in(headers_in(reply))
        self._clients.clock.follow(time)
        return time

    async def check(self, backend: str, bucket: str) -> None:
        client, name = self._clients.control, self._name
        await check_bucket(client, bucket, backend=name)
        await check_metadata(client, bucket, secrets.token_hex(16), backend=name)

    async def aclose(self) -> None:
        await self._putter.aclose()
        await self._calls.aclose()
        await self._clients.aclose()
