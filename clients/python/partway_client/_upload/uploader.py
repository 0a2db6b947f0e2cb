"""Uploads one file: opens it, finds its journal entry, runs the upload, returns the result."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

from partway_client._progress_meter import ProgressMeter
from partway_client._source.file_source import FileSource
from partway_client._source.open_source import Uploadable, open_source
from partway_client._transport.retry_policy import RetryPolicy
from partway_client._transport.rpc_client import RpcClient
from partway_client._upload import fingerprint
from partway_client._upload.context import UploadContext
from partway_client._upload.line import Line
from partway_client._upload.line_record import LineRecord
from partway_client._upload.options import UploadOptions
from partway_client._upload.resume_journal import (
    CALLER_KEYS,
    JournalEntry,
    ResumeJournal,
    entry_key,
    last_path,
)
from partway_client._upload.upload_session import UploadSession
from partway_client.models import State, Uploaded, UploadInfo


@dataclass(frozen=True, slots=True)
class Uploader:
    """Uploads one file over the connections of an open client."""

    server: str
    call_metadata: Mapping[str, str] = field(repr=False)
    rpc: RpcClient
    http: aiohttp.ClientSession
    journal: ResumeJournal
    meter: ProgressMeter
    retry: RetryPolicy
    line: Line
    record: LineRecord

    async def upload(
        self,
        file: Uploadable,
        *,
        name: str,
        size: int | None,
        options: UploadOptions,
        on_done: Callable[[Uploaded], object] | None,
    ) -> Uploaded:
        """Upload `file`, and call `on_done` before its journal entry is removed."""
        started = self.retry.monotonic()
        if options.upload_id:
            planned = (await self.rpc.status(options.upload_id)).size_bytes
            size = planned if size is None else size
        with contextlib.closing(await open_source(file, name, size, self.meter)) as source:
            # Before the entry is locked: reading the file takes time.
            found = await _fingerprint_of(source, options)
            with contextlib.closing(self._entry(source, name, options)) as entry:
                context = UploadContext(
                    source=source,
                    options=options,
                    fingerprint=found,
                    rpc=self.rpc,
                    http=self.http,
                    entry=entry,
                    meter=self.meter,
                    retry=self.retry,
                    line=self.line,
                    record=self.record,
                )
                upload = await UploadSession(context).run()
                uploaded = self._uploaded(upload, self.retry.monotonic() - started)
                if on_done is not None:
                    on_done(uploaded)
                entry.remove()
        return uploaded

    def _entry(self, source: FileSource, name: str, options: UploadOptions) -> JournalEntry:
        last = last_path(self.journal.directory, self.server, self.call_metadata)
        if options.upload_id:
            entry = JournalEntry(last=last)
            entry.adopt(options.upload_id)
            return entry
        key = self._key(source, name, options)
        entry = self.journal.open(key, last) if key else JournalEntry(last=last)
        if options.resume:
            entry.load()
        if not entry.found:
            # Before Initialize: a run that is killed before the answer leaves its request_id.
            entry.save()
        return entry

    def _key(self, source: FileSource, name: str, options: UploadOptions) -> str:
        """Return the entry's name for this file, caller and options; "" if it has none.

        A `name` that was given counts too: under another one, it is another object.
        """
        if not source.path or source.identity is None:
            return ""
        size_bytes, mtime_ns = source.identity.size_bytes, source.identity.mtime_ns
        caller = [self.call_metadata.get(key, "") for key in CALLER_KEYS]
        facts = (self.server, source.path, size_bytes, mtime_ns, caller, *options.identity)
        return entry_key(*facts, *([name] if name else []))

    def _uploaded(self, upload: UploadInfo, seconds: float) -> Uploaded:
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
            parts_sent=self.meter.parts_sent,
            parts_resumed=self.meter.parts_resumed,
            parts_retried=self.meter.parts_retried,
            rpcs=self.rpc.attempts,
            seconds=seconds,
            bytes_sent=self.meter.bytes_sent,
            bytes_via_service=self.meter.bytes_via_service,
            completed=upload.state is State.COMPLETED,
            bytes_resent=self.meter.bytes_resent,
        )


async def _fingerprint_of(source: FileSource, options: UploadOptions) -> str:
    """Return the fingerprint of the upload, the same on every machine; "" if not resumable."""
    if not source.path or options.upload_id:
        return ""
    # The content type as given: what is guessed from the name differs between machines.
    _, *others = options.identity
    ending = fingerprint.options_of(source.name, options.policy or "default", *others)
    return await fingerprint.content_of(source) + ending
