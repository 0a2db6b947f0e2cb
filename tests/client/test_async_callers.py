"""Tests what asynchronous callers bring: sources that yield bytes, and progress that is awaited."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from partway_client import SizeMismatch, SpoolFailed, SyncUploadClient, UploadClient
from partway_client._progress_meter import ProgressReports
from partway_client._source.spool import spool_pieces
from partway_client.models import Phase, Progress

from tests.client.service import Service
from tests.client.storage import Storage, answering


async def pieces(*several: bytes) -> AsyncIterator[bytes]:
    for piece in several:
        await asyncio.sleep(0)
        yield piece


def progress(bytes_done: int, phase: Phase = Phase.SENDING) -> Progress:
    return Progress(phase, bytes_done, 100, 0, 0, 1)


class TestAsynchronousSources:
    async def test_what_one_yields_is_uploaded(
        self, client: UploadClient, service: Service, storage: Storage
    ) -> None:
        parts = [bytes([n]) * 300_000 for n in range(9)]
        phases: list[Phase] = []

        done = await client.upload_file(
            pieces(*parts), name="log.bin", on_progress=lambda each: phases.append(each.phase)
        )

        assert storage.bytes_of(done.upload_id) == b"".join(parts)
        assert service.requests("Initialize")[0].file_name == "log.bin"
        assert phases[0] is Phase.SPOOLING and phases[-1] is Phase.DONE

    async def test_one_that_yields_nothing_is_an_empty_object(self, client: UploadClient) -> None:
        assert (await client.upload_file(pieces())).size_bytes == 0

    async def test_a_stream_reader_is_one(self, client: UploadClient, storage: Storage) -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"two\nlines")
        reader.feed_eof()

        done = await client.upload_file(reader)

        assert storage.bytes_of(done.upload_id) == b"two\nlines"

    @pytest.mark.parametrize("size", [3, 5])
    async def test_a_size_that_it_does_not_have_is_an_error(
        self, client: UploadClient, service: Service, size: int
    ) -> None:
        with pytest.raises(SizeMismatch):
            await client.upload_file(pieces(b"ab", b"cd"), size=size)
        assert service.calls == []

    async def test_its_exception_goes_to_the_caller(
        self, client: UploadClient, service: Service
    ) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield b"some"
            raise LookupError("gone")

        with pytest.raises(LookupError, match="gone"):
            await client.upload_file(broken())
        assert service.calls == []

    async def test_text_is_refused(self, client: UploadClient) -> None:
        async def text() -> AsyncIterator[str]:
            yield "text"

        with pytest.raises(TypeError, match="must yield bytes, not str"):
            await client.upload_file(text())  # type: ignore[arg-type]

    async def test_a_plain_iterator_is_refused(self, client: UploadClient) -> None:
        with pytest.raises(TypeError, match="a list_iterator cannot be uploaded: give a path"):
            await client.upload_file(iter([b"a"]))  # type: ignore[arg-type]

    async def test_it_does_not_fill_the_disk(self, tmp_path: Path) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(1024 * 1024)

        tempfile.gettempdir()
        with pytest.raises(SpoolFailed, match="nearly full after "):
            await spool_pieces(
                endless(),
                name="endless",
                size=None,
                on_count=lambda count: None,
                free=lambda fd: 500_000,
            )

    async def test_a_synchronous_client_takes_one(self, service: Service, state_dir: Path) -> None:
        seen: list[Phase] = []

        async def show(each: Progress) -> None:
            seen.append(each.phase)

        def work() -> int:
            with SyncUploadClient(service.address, state_dir=state_dir) as client:
                return client.upload_file(pieces(b"a", b"b"), on_progress=show).size_bytes

        assert await asyncio.to_thread(work) == 2
        assert seen[-1] is Phase.DONE


class TestAsynchronousProgress:
    async def test_every_phase_is_awaited_before_the_upload_returns(
        self, client: UploadClient, movie: Path
    ) -> None:
        seen: list[Phase] = []

        async def show(each: Progress) -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            seen.append(each.phase)

        await client.upload_file(movie, on_progress=show)

        phases = list(dict.fromkeys(seen))
        assert phases == [Phase.STARTING, Phase.SENDING, Phase.COMPLETING, Phase.DONE]

    async def test_one_call_at_a_time_and_the_newest_of_what_came_meanwhile(self) -> None:
        under_way, go_on = 0, asyncio.Event()
        seen: list[Progress] = []

        async def show(each: Progress) -> None:
            nonlocal under_way
            under_way += 1
            assert under_way == 1
            await go_on.wait()
            seen.append(each)
            under_way -= 1

        reports = ProgressReports(show)
        for count in range(4):
            reports.report(progress(count))
        reports.report(progress(4, Phase.COMPLETING))
        go_on.set()
        await reports.end(early=False)

        assert [(each.bytes_done, each.phase) for each in seen] == [
            (0, Phase.SENDING),
            (3, Phase.SENDING),
            (4, Phase.COMPLETING),
        ]

    async def test_its_exception_costs_no_upload(
        self, client: UploadClient, movie: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        calls = 0

        async def broken(each: Progress) -> None:
            nonlocal calls
            calls += 1
            raise LookupError("a bug")

        with caplog.at_level(logging.ERROR, "partway_client"):
            done = await client.upload_file(movie, on_progress=broken)

        assert (done.size_bytes > 0, calls) == (True, 1)
        assert "on_progress raised an exception" in caplog.text

    async def test_a_failed_upload_does_not_wait_for_it(
        self, client: UploadClient, storage: Storage, movie: Path
    ) -> None:
        cancelled = asyncio.Event()

        async def hanging(each: Progress) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        storage.fail(3, answering(400))
        with pytest.raises(Exception, match="storage does not accept the data"):
            await client.upload_file(movie, on_progress=hanging)
        assert cancelled.is_set()
