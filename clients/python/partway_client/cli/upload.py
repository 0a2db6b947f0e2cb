"""The `partway upload` command: one file with a display of its own, several files together."""

import asyncio
import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Self

from rich.filesize import decimal

from partway_client._progress_meter import OnProgress
from partway_client._source.file_source import FileIdentity
from partway_client.cli.batch_journal import BatchJournal
from partway_client.cli.file_results import FileResults, unicode_of
from partway_client.cli.manifest import Manifest
from partway_client.cli.name_template import name_from
from partway_client.cli.options import ServiceOptions
from partway_client.cli.output import about_file, print_line, print_note, printable
from partway_client.cli.progress_bar import showing
from partway_client.cli.source_removal import identity_of
from partway_client.cli.summary import Summary, transferred
from partway_client.cli.token_option import STDIN
from partway_client.cli.upload_ids import full_ids
from partway_client.cli.upload_many import OnUploaded, UploadMany, size_of
from partway_client.client import UploadClient
from partway_client.errors import FileUnreadable, PartwayError
from partway_client.models import Uploaded


@dataclass(frozen=True, slots=True)
class UploadCommand:
    """Uploads files with the same `arguments` of `upload_file`, and prints the results.

    `names` are the files with their names at the service, "" for their own.
    """

    as_json: bool
    service: ServiceOptions
    arguments: dict[str, Any]
    names: Mapping[str, str]
    journal: BatchJournal
    manifest: Manifest | None
    delete_after: bool
    parallel_files: int | None

    @classmethod
    def of(
        cls,
        service: ServiceOptions,
        chosen: Mapping[str, str],
        options: Mapping[str, Any],
        *,
        as_json: bool,
    ) -> Self:
        """Return the command for files, each with its relative path. Raises UsageError."""
        arguments = dict(options)
        name, template = arguments.pop("name"), arguments.pop("name_template")
        path, deletes = arguments.pop("skip_existing"), arguments.pop("delete_after")
        return cls(
            as_json=as_json,
            service=service,
            names={
                file: name_from(template, relative) if template else name
                for file, relative in chosen.items()
            },
            journal=BatchJournal(service, options, name_template=template, deletes=deletes),
            manifest=Manifest.read(path) if path is not None else None,
            delete_after=deletes,
            parallel_files=arguments.pop("parallel_files"),
            arguments=arguments,
        )

    def prepare(self) -> None:
        """Check what can be checked before anything is sent. Raises UsageError."""
        if self.manifest is not None:
            self.manifest.check_writable()

    async def upload_all(self, client: UploadClient) -> bool:
        """Upload the files. Return whether all that is wanted succeeded."""
        summary, files = Summary(len(self.names)), list(self.names)
        began = time.monotonic()
        if given := self.arguments["upload_id"]:
            [self.arguments["upload_id"]] = await full_ids(client, self.service, [given])
        try:
            if len(files) > 1:
                await self._many(client, summary).run(files)
            else:
                await self._upload_alone(client, files[0], summary)
        except asyncio.CancelledError:
            self._summarize(summary, time.monotonic() - began)
            raise
        self._summarize(summary, time.monotonic() - began)
        return summary.succeeded

    def print_selected(self) -> None:
        """Print the files that `upload_all` would upload."""
        known = {f for f in self.names if f != STDIN and self.journal.find(f, identity_of(f))}
        skipped = {f for f in self.names if f not in known and self._entry(f) is not None}
        done = known | skipped
        left = [file for file in self.names if file not in done]
        for file in left:
            shown = self._stdin_name() if file == STDIN else file
            if self.as_json:
                print_line(json.dumps({"file": unicode_of(shown), "size_bytes": size_of(file)}))
            else:
                print_line(printable(shown))
        words = "1 file" if len(left) == 1 else f"{len(left)} files"
        words += f", {decimal(sum(map(size_of, left)))}, would be uploaded"
        words += " and then deleted here" if self.delete_after else ""
        words += f"; {len(known)} uploaded by an earlier run" if known else ""
        words += f"; {len(skipped)} skipped" if skipped else ""
        print_note(f"partway: {words}")

    def _many(self, client: UploadClient, summary: Summary) -> UploadMany:
        concurrency = self.arguments["concurrency"]
        parallel = min(self.parallel_files or concurrency, len(self.names))
        # Files that are to go beside each other share the places for parts.
        for_each = max(concurrency // parallel, 1) if self.parallel_files else concurrency
        return UploadMany(
            upload=partial(self._upload, client, concurrency=for_each),
            results=self._results(summary, self.journal),
            journal=self.journal,
            entry_of=self._entry,
            concurrency=concurrency,
            most_for_each=for_each,
            parallel_files=parallel,
            part_bytes=self.arguments["part_size"],
        )

    async def _upload_alone(self, client: UploadClient, file: str, summary: Summary) -> None:
        results = self._results(summary, None)
        if (entry := self._entry(file)) is not None:
            summary.skipped += 1
            results.skip(file, entry["uri"])
            return
        shown = os.path.basename(results.shown(file))
        try:
            with contextlib.ExitStack() as shows:
                show = shows.enter_context(showing(shown))

                def on_done(before: FileIdentity | None, uploaded: Uploaded) -> None:
                    # Printed before the journal entry is removed: if the run is killed in between,
                    # the next one prints it again.
                    shows.close()
                    results.report(file, uploaded)
                    results.record(file, before, uploaded)
                    results.delete(file, before, uploaded)
                    summary.add(uploaded)
                    _print_figures(shown, uploaded)

                await self._upload(client, file, show, on_done)
        except PartwayError as error:
            summary.failed += 1
            results.fail(file, error)

    async def _upload(
        self,
        client: UploadClient,
        file: str,
        show: OnProgress,
        on_done: OnUploaded,
        **others: Any,
    ) -> None:
        """Upload a file, with `others` instead of some arguments. Raises PartwayError."""
        name = self._stdin_name() if file == STDIN else self.names[file]
        arguments = {**self.arguments, "name": name, **others}
        source = _stdin() if file == STDIN else file
        before = None if file == STDIN else identity_of(file)
        with about_file(os.path.basename(name if file == STDIN else file)):
            await client.upload_file(
                source, on_progress=show, on_done=partial(on_done, before), **arguments
            )

    def _results(self, summary: Summary, journal: BatchJournal | None) -> FileResults:
        return FileResults(
            as_json=self.as_json,
            stdin_name=self._stdin_name(),
            summary=summary,
            manifest=self.manifest,
            delete_after=self.delete_after,
            journal=journal,
        )

    def _summarize(self, summary: Summary, seconds: float) -> None:
        summary.seconds = seconds
        if summary.files == 1:
            # The line of the one file says it all, and a script may read the output as one object.
            return
        print_note(f"partway: {summary.words()}")
        if self.as_json:
            print_line(json.dumps({"summary": summary.facts()}))

    def _entry(self, file: str) -> Mapping[str, Any] | None:
        if self.manifest is None or file == STDIN:
            return None
        return self.manifest.find(file)

    def _stdin_name(self) -> str:
        return self.names.get(STDIN) or "stdin"


def stopped_message(files: Collection[str]) -> str:
    """Return what to print if Ctrl-C stops the upload of `files`."""
    if STDIN in files:
        return "a stream cannot be resumed"
    return "the same command resumes the upload"


def _print_figures(shown: str, uploaded: Uploaded) -> None:
    words = transferred(uploaded)
    if uploaded.parts_resumed:
        words += f"; {uploaded.parts_resumed} of {uploaded.parts} parts were already in storage"
    if not uploaded.completed:
        words += "; all parts are sent, and the token does not allow completing the upload"
    print_note(f"{shown}: {words}")


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        # Its descriptor may have been reused by now.
        raise FileUnreadable("cannot read standard input: it is closed")
    try:
        # Some programs set their end of a pipe to non-blocking mode, which affects ours too.
        os.set_blocking(0, True)
        # Unbuffered: a thread blocked in a buffered read would delay Ctrl-C.
        return io.FileIO(0, closefd=False)
    except OSError as exc:
        raise FileUnreadable(f"cannot read standard input: {exc.strerror}") from None
