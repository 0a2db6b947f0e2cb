"""UploadClient: uploads files, and asks about uploads."""

import contextlib
import mimetypes
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import uuid4

import aiohttp
import grpc
import platformdirs
from partway.v1.upload_service_pb2 import ComposeRequest, ComposeSource
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

from partway_client._progress_meter import Meter, OnProgress
from partway_client._source.file_source import Source
from partway_client._source.open_source import source_of
from partway_client._transport.channel import checked_metadata, open_channel, open_session
from partway_client._transport.retry import Pace
from partway_client._transport.rpc import Calls, Connection
from partway_client._upload import fingerprint
from partway_client._upload.compose import Composing
from partway_client._upload.options import Wish
from partway_client._upload.resume_journal import Entry, Journal, entry_key
from partway_client._upload.upload_session import Uploading
from partway_client.models import Checksum, PartInfo, Route, State, Uploaded, UploadInfo

GIB = 1024**3

OnDone = Callable[[Uploaded], object]

_ANY_TYPE = "application/octet-stream"
_CALLER_KEYS = ("partway-tenant", "partway-subject")


class UploadClient:
    """A connection to one Partway service, as an async context manager.

    `server` is HOST:PORT. With `secure`, or with `credentials`, the service is called over TLS.
    `call_metadata`, printable ASCII, goes with every call, such as `partway-tenant`. What is needed
    to resume uploads is kept in `state_dir`; if None, where PARTWAY_STATE_DIR says or else in the
    user's own state directory. `pace` is for tests.
    """

    def __init__(
        self,
        server: str = "127.0.0.1:50051",
        *,
        secure: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
        call_metadata: Mapping[str, str] | None = None,
        state_dir: str | os.PathLike[str] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._server = server
        self._credentials = credentials or (grpc.ssl_channel_credentials() if secure else None)
        self._metadata = checked_metadata(call_metadata or {})
        self._pace = pace or Pace()
        self._journal = Journal(directory=_state_dir(state_dir), now=self._pace.now)
        self._channel: grpc.aio.Channel | None = None
        self._connection: Connection | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._channel = open_channel(self._server, self._credentials)
        self._connection = Connection(
            server=self._server,
            stub=UploadServiceStub(self._channel),
            metadata=tuple(self._metadata.items()),
        )
        self._session = open_session(self._pace.connect_seconds)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
        if self._channel is not None:
            await self._channel.close()
        self._session = self._channel = self._connection = None

    async def upload_file(
        self,
        file: str | os.PathLike[str] | BinaryIO,
        *,
        name: str = "",
        size: int | None = None,
        policy: str = "",
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        part_size: int = 0,
        concurrency: int = 8,
        max_in_flight_bytes: int = 2 * GIB,
        checksum: str = Checksum.BEST,
        route: str = Route.AUTO,
        resume: bool = True,
        on_progress: OnProgress | None = None,
        on_done: OnDone | None = None,
    ) -> Uploaded:
        """Upload a file, or what is left to read of a binary stream, and return the object.

        An upload of a file at a path that was stopped goes on where it was when the same file is
        uploaded again, also from another process or another machine, if it is open still: found by
        a fingerprint, and each of its parts held against the file. Without `resume` it begins anew.
        A stream is not resumed, and one that is no regular file is first copied to TMPDIR, as long
        as 1 GiB of that disk stays free, or a twentieth of a small one; `size`, if given, is how
        many bytes it must have.

        `name` is the file's name for the service, by default that of the path. `content_type` is
        guessed from it if None. `policy` is the service's "default" if empty. `part_size`, in
        bytes, is a wish; 0 leaves it to the service. At most `concurrency` parts and
        `max_in_flight_bytes` are under way at a time, and always one part.

        `checksum` is one of Checksum: what storage verifies of each part, and of the whole file
        where it can. With "none", a byte that changes on its way goes unnoticed, unless TCP or TLS
        finds it.

        `route` is one of Route: with "auto", parts go straight to storage or, if that cannot be
        reached from here and the service allows it, through the service; which is said in a
        warning, and in `bytes_via_service`.

        `on_progress` is called in the event loop at every change of phase, and at most ten times a
        second between; it must return quickly.

        `on_done` is called in the event loop with what is returned, before the upload is forgotten
        here. A program that dies before it has told of the object, or whose `on_done` raises, is
        given the same object when it uploads the file again, and not another one.

        Raises PartwayError: a ServiceError with the service's reason, or TransferFailed,
        StorageUnreachable, FileChanged, FileUnreadable, FileBusy, SizeMismatch, SpoolFailed,
        UploadAborted, StillCompleting, ServiceUnreachable.
        """
        if concurrency < 1 or max_in_flight_bytes < 1 or part_size < 0:
            raise ValueError("concurrency and max_in_flight_bytes are at least 1, part_size 0")
        algorithm, way = Checksum(checksum), Route(route)
        started = self._pace.monotonic()
        meter = Meter(on_progress=on_progress, monotonic=self._pace.monotonic)
        calls = self._calls()
        asked = (policy, content_type, dict(metadata or {}), part_size, algorithm)
        with contextlib.closing(await source_of(file, name, size, meter)) as source:
            wish = Wish(
                policy=policy,
                content_type=_content_type(source.name) if content_type is None else content_type,
                metadata=dict(metadata or {}),
                part_size=part_size,
                concurrency=concurrency,
                max_in_flight_bytes=max_in_flight_bytes,
                fingerprint=await _fingerprint_of(source, *asked),
                checksum=algorithm,
                resume=resume,
                route=way,
            )
            with contextlib.closing(self._entry(self._key(source, *asked), resume)) as entry:
                uploading = Uploading(
                    source=source,
                    wish=wish,
                    calls=calls,
                    session=self._open_session(),
                    entry=entry,
                    meter=meter,
                    pace=self._pace,
                )
                upload = await uploading.run()
                seconds = self._pace.monotonic() - started
                uploaded = _uploaded(upload, meter, calls.rpcs, seconds)
                if on_done is not None:
                    on_done(uploaded)
                entry.remove()
        return uploaded

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
        """Make one object of the objects of completed uploads, in order, and return its Upload.

        Storage copies: no byte passes through here. `sources` are 1 to 32 upload_ids of the
        caller's tenant; on most storage, all but the last object have at least 5 MiB. With
        `delete_sources`, their objects are removed once the new one is proven; their Uploads stay
        COMPLETED. `request_id`, a UUID,
        makes a repeat go on with the first call's Upload; without one, every call makes an object.

        `name`, `policy`, `content_type`, `metadata` and `on_progress` are as in `upload_file`. It
        waits until the Upload is complete. To stop waiting stops nothing: `abort` does.

        Raises PartwayError: SourceUnusable or SourcesNotJoinable, another ServiceError,
        UploadAborted, ServiceUnreachable.
        """
        request = ComposeRequest(
            policy=policy,
            file_name=name,
            content_type=_content_type(name) if content_type is None else content_type,
            metadata=metadata,
            sources=[ComposeSource(upload_id=upload_id) for upload_id in sources],
            delete_sources=delete_sources,
            fingerprint=fingerprint,
            # So that what is repeated after a lost answer is the same.
            request_id=request_id or str(uuid4()),
        )
        meter = Meter(on_progress=on_progress, monotonic=self._pace.monotonic)
        return await Composing(calls=self._calls(), meter=meter, pace=self._pace).run(request)

    async def status(self, upload_id: str, *, progress: bool = False) -> UploadInfo:
        """Where the Upload stands; with `progress`, also what storage holds of it now.

        `reported` is what callers said they sent, in parts and bytes; None once it has ended.
        Raises UploadNotFound, another ServiceError, ServiceUnreachable.
        """
        return await self._calls().status(upload_id, progress=progress)

    async def parts(self, upload_id: str) -> list[PartInfo]:
        """The parts that storage holds now, by number.

        Raises UploadNotFound, UploadNotActive once it has ended, ServiceUnreachable.
        """
        return await self._calls().list_parts(upload_id)

    async def abort(self, upload_id: str) -> UploadInfo:
        """Discard the Upload's parts. Raises UploadNotActive if it is complete."""
        return await self._calls().abort(upload_id)

    async def watch(self, upload_id: str) -> AsyncGenerator[UploadInfo, None]:
        """The Upload at once, and again after each change, until it is COMPLETED or ABORTED.

        `reported` is what callers said they sent. A stream that is cut is opened again, and misses
        nothing. Not every change is told: each is the whole truth of its moment. Raises
        UploadNotFound, another ServiceError, or ServiceUnreachable once that no longer helps.
        """
        async with contextlib.aclosing(self._calls().watch(upload_id)) as changes:
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
        """The caller's own Uploads, newest first, at most `limit`.

        `created_from` and `created_before` have a time zone. `file` selects those of a file with
        this content, whatever its name was and whatever was asked for; only this client, of this
        version, makes such Uploads. Raises FileUnreadable if it cannot be read.
        """
        found: list[UploadInfo] = []
        if limit < 1:
            return found
        content = "" if file is None else await _content_of(file)
        listing = self._calls().list_uploads(
            state=state,
            fingerprint=fingerprint,
            policy=policy,
            created_from=created_from,
            created_before=created_before,
        )
        async with contextlib.aclosing(listing) as uploads:
            async for upload in uploads:
                if upload.fingerprint.startswith(content):
                    found.append(upload)
                if len(found) == limit:
                    break
        return found

    def _calls(self) -> Calls:
        if self._connection is None:
            raise RuntimeError("the client is not open: use it in `async with`")
        return Calls(connection=self._connection, pace=self._pace)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is not open: use it in `async with`")
        return self._session

    def _key(self, source: Source, *asked: object) -> str:
        """The name of this file and this wish, here and at this service; "" if it has none."""
        if not source.path or source.identity is None:
            return ""
        identity = source.identity
        caller = [self._metadata.get(key, "") for key in _CALLER_KEYS]
        return entry_key(
            self._server, source.path, identity.size_bytes, identity.mtime_ns, caller, *asked
        )

    def _entry(self, key: str, resume: bool) -> Entry:
        entry = self._journal.open(key) if key else Entry()
        if resume:
            entry.load()
        if not entry.found:
            # Before Initialize: a run that is killed before the answer leaves its request_id.
            entry.save()
        return entry


def _uploaded(upload: UploadInfo, meter: Meter, rpcs: int, seconds: float) -> Uploaded:
    return Uploaded(
        upload_id=upload.upload_id,
        bucket=upload.bucket,
        key=upload.key,
        uri=upload.uri,
        etag=upload.etag,
        version_id=upload.version_id,
        checksum_algorithm=upload.checksum_algorithm,
        checksum=upload.checksum,
        size_bytes=upload.size_bytes,
        content_type=upload.content_type,
        parts=upload.part_count,
        parts_sent=meter.parts_sent,
        parts_resumed=meter.parts_resumed,
        parts_retried=meter.parts_retried,
        rpcs=rpcs,
        seconds=seconds,
        bytes_sent=meter.bytes_sent,
        bytes_via_service=meter.bytes_via_service,
    )


async def _fingerprint_of(
    source: Source,
    policy: str,
    content_type: str | None,
    metadata: Mapping[str, str],
    part_size: int,
    checksum: Checksum,
) -> str:
    """What the same upload has on every machine; "" for what cannot be resumed."""
    if not source.path:
        return ""
    # The content type as asked: what is guessed from the name differs between machines.
    asked = fingerprint.asked(
        source.name, policy or "default", content_type, metadata, part_size, checksum
    )
    return await fingerprint.content_of(source) + asked


async def _content_of(file: str | os.PathLike[str]) -> str:
    with contextlib.closing(Source.open(file)) as source:
        return await fingerprint.content_of(source)


def _content_type(name: str) -> str:
    """The media type that a file of this name mostly has."""
    guessed, encoding = mimetypes.guess_type(name)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else _ANY_TYPE
    return guessed or _ANY_TYPE


def _state_dir(given: str | os.PathLike[str] | None) -> Path:
    chosen = given or os.environ.get("PARTWAY_STATE_DIR")
    return Path(chosen) if chosen else platformdirs.user_state_path("partway") / "uploads"
