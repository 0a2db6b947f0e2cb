"""The asynchronous client: uploads files, and queries uploads."""

import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Self
from uuid import uuid4

import aiohttp

from partway_client._progress_meter import OnProgress, ProgressMeter
from partway_client._source.open_source import Uploadable
from partway_client._transport.call_credentials import CallCredentials, Token
from partway_client._transport.channel import (
    Channel,
    ChannelCredentials,
    checked_metadata,
    checked_server,
    open_channel,
    open_http_session,
    service_at,
)
from partway_client._transport.credentials import PemFile, chosen_credentials
from partway_client._transport.messages import NewComposition
from partway_client._transport.retry_policy import RetryPolicy
from partway_client._transport.retrying_caller import ServiceConnection
from partway_client._transport.rpc_client import RpcClient
from partway_client._upload import compose as composition
from partway_client._upload.content_type import guess_content_type
from partway_client._upload.fingerprint import content_at
from partway_client._upload.line import Line
from partway_client._upload.line_record import LineRecord
from partway_client._upload.options import UploadOptions, checked_object_metadata
from partway_client._upload.rate_limit import RateLimit
from partway_client._upload.resume_journal import ResumeJournal, journal_directory
from partway_client._upload.resume_lookup import first_with_content
from partway_client._upload.uploader import Uploader
from partway_client.models import (
    Capabilities,
    Checksum,
    ChecksumName,
    PartInfo,
    Route,
    RouteName,
    State,
    Uploaded,
    UploadInfo,
    Usage,
)

OnDone = Callable[[Uploaded], object]


class UploadClient:
    """A connection to one Partway service, as an async context manager.

    `server` is HOST:PORT. With `secure`, or any of the following, the service is called over TLS.
    `tls_ca` is a PEM file of the CAs to trust, by default those that gRPC comes with; `cert` and
    `key` are those of a client certificate. `credentials` are gRPC's own, and replace all of these.
    `call_metadata`, printable ASCII, goes with every call, such as `partway-tenant`. `token` is a
    JSON Web Token or an upload token; the path of a file that holds it, read again when it changes;
    or a function, asynchronous or not, that returns it, called again when the service refuses it.
    Unfinished uploads are remembered in `state_dir`, by default in PARTWAY_STATE_DIR or else in the
    user's own state directory. All uploads together send at most `max_bytes_per_second`, unless
    that is 0. A part or call is tried again `retries` times in a row; with None, so often that an
    outage of two minutes is survived. `pace` is for tests.

    An upload of a file at a path that was stopped is resumed when the same file is uploaded again,
    also from another process or machine; each of its parts is compared with the file. A stream is
    not; unless it is a regular file, it is first copied to TMPDIR, and so is what an asynchronous
    iterator of bytes yields. The README describes the arguments of `upload_file`.

    `on_progress` is called in the event loop at every change of phase, and at most ten times a
    second in between; it must return quickly, or be asynchronous: then the upload goes on while it
    is awaited, and ends once the last call has. `on_done` is called in the event loop with the
    result before the upload is forgotten here: a program that dies before it has reported the
    object, or whose `on_done` raises, gets the same object when it uploads the file again.
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
        state_dir: str | os.PathLike[str] | None = None,
        max_bytes_per_second: int = 0,
        retries: int | None = None,
        pace: RetryPolicy | None = None,
    ) -> None:
        self._server = checked_server(server)
        self._credentials = chosen_credentials(
            credentials, secure=secure, ca=tls_ca, cert=cert, key=key
        )
        self._metadata = checked_metadata(call_metadata or {})
        self._calls = CallCredentials(self._metadata, token)
        self._retry = pace or RetryPolicy()
        if retries is not None:
            self._retry = self._retry.with_retries(retries)
        directory = journal_directory(state_dir)
        self._journal = ResumeJournal(directory=directory, now=self._retry.now)
        limit = RateLimit(max_bytes_per_second, self._retry.monotonic, self._retry.sleep)
        self._line = Line(self._retry.monotonic, limit)
        self._record = LineRecord.of(directory, self._server, self._retry.now)
        self._channel: Channel | None = None
        self._connection: ServiceConnection | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._channel = open_channel(self._server, self._credentials)
        self._connection = service_at(self._server, self._channel, self._calls)
        self._http = open_http_session(self._retry.connect_seconds)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()
        if self._channel is not None:
            await self._channel.close()
        self._http = self._channel = self._connection = None

    async def upload_file(
        self,
        file: Uploadable,
        *,
        name: str = "",
        size: int | None = None,
        policy: str = "",
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        part_size: int = 0,
        concurrency: int = 8,
        max_in_flight_bytes: int = 2 * 1024**3,
        checksum: Checksum | ChecksumName = Checksum.BEST,
        route: Route | RouteName = Route.AUTO,
        resume: bool = True,
        upload_id: str = "",
        on_progress: OnProgress | None = None,
        on_done: OnDone | None = None,
    ) -> Uploaded:
        """Upload a file, the rest of a binary or asynchronous stream, or bytes; return the object.

        Raises PartwayError: a ServiceError, or TransferFailed, StorageUnreachable, FileChanged,
        FileUnreadable, FileBusy, SizeMismatch, SpoolFailed, UploadAborted, StillCompleting,
        ServiceUnreachable.
        """
        options = UploadOptions(
            policy=policy,
            content_type=content_type,
            metadata=checked_object_metadata(metadata or {}),
            part_size=part_size,
            concurrency=concurrency,
            max_in_flight_bytes=max_in_flight_bytes,
            checksum=Checksum(checksum),
            route=Route(route),
            resume=resume,
            upload_id=upload_id,
        )
        async with self._meter(on_progress) as meter:
            return await self._uploader(meter).upload(
                file, name=name, size=size, options=options, on_done=on_done
            )

    async def compose(
        self,
        sources: Sequence[str],
        *,
        name: str = "",
        policy: str = "",
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        delete_sources: bool = False,
        fingerprint: str = "",
        request_id: str = "",
        on_progress: OnProgress | None = None,
    ) -> UploadInfo:
        """Compose one object of completed uploads' objects, in order, and return its Upload.

        Storage copies them. `sources` are 1 to 32 upload_ids of the caller's tenant; on most
        storage, all objects but the last need at least 5 MiB. `delete_sources` removes their
        objects once the new one is verified. With the same `request_id`, a UUID, a repeated call
        continues the first call's Upload; without one, every call makes an object. Cancelling the
        wait does not stop the work: `abort` does. Raises PartwayError, such as SourceUnusable.
        """
        new = NewComposition(
            sources=sources,
            policy=policy,
            file_name=name,
            content_type=guess_content_type(name) if content_type is None else content_type,
            metadata=checked_object_metadata(metadata or {}),
            delete_sources=delete_sources,
            fingerprint=fingerprint,
            # So that a retry after a lost answer is the same request.
            request_id=request_id or str(uuid4()),
        )
        async with self._meter(on_progress) as meter:
            return await composition.compose(new, rpc=self._rpc(), meter=meter, retry=self._retry)

    async def status(self, upload_id: str, *, progress: bool = False) -> UploadInfo:
        """Return the Upload; with `progress`, also what storage holds of it now.

        `reported` is what callers reported as sent, in parts and bytes; None once it has ended.
        Raises UploadNotFound, another ServiceError, ServiceUnreachable.
        """
        return await self._rpc().status(upload_id, progress=progress)

    async def parts(self, upload_id: str) -> list[PartInfo]:
        """Return the parts that storage holds now, by number.

        Raises UploadNotFound, UploadNotActive once it has ended, ServiceUnreachable.
        """
        return await self._rpc().list_parts(upload_id)

    async def abort(self, upload_id: str) -> UploadInfo:
        """Discard the Upload's parts. Raises UploadNotActive if it is complete."""
        return await self._rpc().abort(upload_id)

    async def extend(self, upload_id: str, expire_time: datetime) -> UploadInfo:
        """Return the Upload with this deadline, or with its own if that is later.

        `expire_time` must have a time zone. The Upload has a new `upload_id`, to be used from here
        on. Raises UploadNotActive, InvalidRequest past the policy's limit, ServiceUnreachable.
        """
        return await self._rpc().extend(upload_id, expire_time)

    async def capabilities(self) -> Capabilities:
        """Return what the service can do, and what each policy that the caller may use allows."""
        return await self._rpc().capabilities()

    async def usage(self) -> Usage:
        """Return how much of each limit the caller and its tenant use, and of how much."""
        return await self._rpc().usage()

    async def watch(self, upload_id: str) -> AsyncGenerator[UploadInfo, None]:
        """Yield the Upload at once, and after each change, until it is COMPLETED or ABORTED.

        `reported` is what callers reported as sent. The stream reconnects if it is cut. Changes in
        quick succession may be combined: each Upload is the complete current state. Raises
        UploadNotFound, another ServiceError, or ServiceUnreachable once retrying does not help.
        """
        async with contextlib.aclosing(self._rpc().watch(upload_id)) as changes:
            async for upload in changes:
                yield upload

    async def list_uploads(
        self,
        *,
        state: State | None = None,
        fingerprint: str = "",
        policy: str = "",
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        file: str | os.PathLike[str] | None = None,
        limit: int = 1_000,
    ) -> list[UploadInfo]:
        """Return the caller's own Uploads, newest first, at most `limit`.

        `created_from` and `created_before` must have a time zone. `file` selects the Uploads of a
        file with this content, under any name and with any options, that a client of this version
        made. Raises FileUnreadable if it cannot be read.
        """
        listing = self._rpc().list_uploads(
            state=state,
            fingerprint=fingerprint,
            policy=policy,
            created_from=created_from,
            created_before=created_before,
        )
        content = "" if file is None else await content_at(file)
        return await first_with_content(listing, content, limit)

    def _rpc(self) -> RpcClient:
        if self._connection is None:
            raise RuntimeError("the client is not open: use it in `async with`")
        return RpcClient(connection=self._connection, retry=self._retry)

    def _meter(self, on_progress: OnProgress | None) -> ProgressMeter:
        return ProgressMeter(on_progress=on_progress, monotonic=self._retry.monotonic)

    def _uploader(self, meter: ProgressMeter) -> Uploader:
        rpc = self._rpc()
        assert self._http is not None
        return Uploader(
            server=self._server,
            call_metadata=self._metadata,
            rpc=rpc,
            http=self._http,
            journal=self._journal,
            meter=meter,
            retry=self._retry,
            line=self._line,
            record=self._record,
        )
