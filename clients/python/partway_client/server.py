"""What a backend does for its users: it opens their uploads, and decides about them.

    async with BackendClient("partway:50051") as partway:
        opened = await partway.user("shop", "alice").open_upload("film.mp4", size_bytes=10**9)
        # Hand opened.upload.upload_id and opened.token to the page or the app: they are enough
        # to send the file, and good for nothing else.

The service must believe the backend who its user is: its identity is `metadata`. Otherwise the user
is whoever the backend proves to be, by its token or certificate, and `user` takes no names.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from partway_client._transport.call_credentials import CallCredentials, Token
from partway_client._transport.channel import (
    Channel,
    ChannelCredentials,
    checked_metadata,
    checked_server,
    open_channel,
    service_at,
)
from partway_client._transport.credentials import PemFile, chosen_credentials
from partway_client._transport.messages import GivenToken, NewToken, NewUpload
from partway_client._transport.retry_policy import RetryPolicy
from partway_client._transport.rpc_client import RpcClient
from partway_client._upload.content_type import guess_content_type
from partway_client._upload.options import checked_object_metadata
from partway_client.models import Checksum, ChecksumName, UploadInfo

__all__ = [
    "BackendClient",
    "OpenedUpload",
    "UploadEvent",
    "UserUploads",
    "WebhookRejected",
    "verify_webhook",
]


@dataclass(frozen=True, slots=True)
class OpenedUpload:
    """An upload that someone else sends, with a token for exactly that. No repr shows either."""

    upload: UploadInfo
    token: str = field(repr=False)
    token_expire_time: datetime


class BackendClient:
    """A connection of a backend to a Partway service, as an async context manager.

    Each argument is as in `UploadClient`. One is enough for all users of a backend.
    """

    def __init__(
        self,
        server: str = "127.0.0.1:50051",
        *,
        secure: bool = False,
        tls_ca: PemFile | None = None,
        cert: PemFile | None = None,
        key: PemFile | None = None,
        credentials: ChannelCredentials | None = None,
        call_metadata: Mapping[str, str] | None = None,
        token: Token = "",
        pace: RetryPolicy | None = None,
    ) -> None:
        self._server = checked_server(server)
        self._credentials = chosen_credentials(
            credentials, secure=secure, ca=tls_ca, cert=cert, key=key
        )
        self._metadata = checked_metadata(call_metadata or {})
        self._token = token
        self._pace = pace or RetryPolicy()
        self._channel: Channel | None = None

    async def __aenter__(self) -> Self:
        self._channel = open_channel(self._server, self._credentials)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._channel is not None:
            await self._channel.close()
        self._channel = None

    def user(self, tenant: str = "", subject: str = "") -> "UserUploads":
        """Return the uploads of a user. Without arguments, of whoever the backend itself is.

        Raises ValueError for a name that is not printable ASCII.
        """
        named = {"partway-tenant": tenant, "partway-subject": subject}
        given = checked_metadata({name: value for name, value in named.items() if value})
        calls = CallCredentials({**self._metadata, **given}, self._token)
        if self._channel is None:
            raise RuntimeError("the client is not open: use it as `async with BackendClient(...)`")
        connection = service_at(self._server, self._channel, calls)
        return UserUploads(RpcClient(connection=connection, retry=self._pace))


class UserUploads:
    """The uploads of one user. Every method raises PartwayError."""

    def __init__(self, rpcs: RpcClient) -> None:
        self._rpcs = rpcs

    async def open_upload(
        self,
        file_name: str,
        *,
        size_bytes: int,
        policy: str = "",
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        checksum: ChecksumName = "best",
        part_size: int = 0,
        fingerprint: str = "",
        request_id: str = "",
        token_seconds: int = 3600,
        actions: Sequence[str] = (),
    ) -> OpenedUpload:
        """Open an upload that someone else sends, and return it with a token for that.

        The token is good for `token_seconds`, or with 0 until the upload's deadline, and for the
        named `actions`, such as "presign" and "status", or all. With the same `request_id`, a UUID,
        a repeated call returns the same upload, with another token: use that of the backend's own
        record. The other arguments are as in `UploadClient.upload_file`.
        """
        new = NewUpload(
            policy=policy,
            file_name=file_name,
            size_bytes=size_bytes,
            content_type=guess_content_type(file_name) if content_type is None else content_type,
            metadata=checked_object_metadata(metadata or {}),
            part_size_bytes=part_size,
            fingerprint=fingerprint,
            request_id=request_id or str(uuid.uuid4()),
            presign_parts=0,
            checksum_algorithm=Checksum(checksum),
            checksum=b"",
        )
        upload, given = await self._rpcs.initialize_for_another(
            new, NewToken(actions, token_seconds)
        )
        return OpenedUpload(upload, given.token, given.expire_time)

    async def new_token(
        self, upload_id: str, *, token_seconds: int = 3600, actions: Sequence[str] = ()
    ) -> GivenToken:
        """Return another token of an upload, whose first has expired or allowed too little."""
        return await self._rpcs.create_token(upload_id, NewToken(actions, token_seconds))

    async def status(self, upload_id: str, *, progress: bool = False) -> UploadInfo:
        """Return the upload, with its progress in storage if asked."""
        return await self._rpcs.status(upload_id, progress=progress)

    async def complete(self, upload_id: str) -> UploadInfo:
        """Complete an upload whose parts are all in storage, and return it.

        It may still be COMPLETING, while storage joins the parts: call again, or wait for the
        webhook. Only needed where the token does not allow it.
        """
        return await self._rpcs.complete(upload_id, {}, b"")

    async def abort(self, upload_id: str) -> UploadInfo:
        """Abort an upload, and return it."""
        return await self._rpcs.abort(upload_id)


class WebhookRejected(Exception):
    """A request is not a webhook of the service, or too old: answer it with 401."""


@dataclass(frozen=True, slots=True)
class UploadEvent:
    """What a webhook announces. `id` is the same whenever the same event is sent again.

    `type` is upload.initialized, upload.completed, upload.aborted, upload.expired or upload.failed;
    `data` has the fields that docs/events.md lists, such as `key`, `tenant` and `size_bytes`.
    """

    id: str
    type: str
    time: datetime
    data: Mapping[str, Any]


def verify_webhook(body: bytes, headers: Mapping[str, str], *secrets: str) -> UploadEvent:
    """Return the event of a webhook. Raises WebhookRejected unless one of the secrets signed it.

    `body` is that of the request, as it was received; `headers` are its headers, in any case. Pass
    the old and the new secret while one replaces the other. Needs the package `standardwebhooks`,
    which `partway-client[webhooks]` installs.
    """
    from standardwebhooks import Webhook, WebhookVerificationError

    if not secrets:
        raise ValueError("name the secret of the webhook")
    given = {name.lower(): value for name, value in headers.items()}
    for secret in secrets:
        try:
            Webhook(secret).verify(body, given)
            found = json.loads(body)
            at = datetime.fromisoformat(found["time"])
            return UploadEvent(found["id"], found["type"], at, found["data"])
        except WebhookVerificationError:
            continue
        except (ValueError, KeyError, TypeError) as error:
            raise WebhookRejected("the body is not an event") from error
    raise WebhookRejected("no secret has signed it, or it is too old")
