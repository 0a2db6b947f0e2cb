"""Tests composing one object of several: requested once, then waited for."""

import json
from pathlib import Path

import pytest
from partway.v1 import upload_pb2 as pb
from partway_client import Progress, SourceUnusable, UploadAborted, UploadClient, UploadNotFound
from partway_client.models import Phase, State

from tests.client.command import Partway
from tests.client.service import Failure, Service


@pytest.fixture
async def sources(client: UploadClient, tmp_path: Path) -> list[str]:
    """Return three completed uploads of 1000, 2000 and 3000 bytes."""
    ids = []
    for number in (1, 2, 3):
        path = tmp_path / f"file-{number}"
        path.write_bytes(bytes([number]) * 1000 * number)
        ids.append((await client.upload_file(path)).upload_id)
    return ids


async def test_it_waits_until_the_object_is_complete(
    client: UploadClient, service: Service, sources: list[str]
) -> None:
    shown: list[Progress] = []
    service.polls = 2
    made = await client.compose(
        sources,
        name="whole.mp4",
        metadata={"origin": "camera"},
        delete_sources=True,
        on_progress=shown.append,
    )
    assert (made.state, made.size_bytes, made.source_count) == (State.COMPLETED, 6000, 3)
    assert (made.etag, made.content_type) == ("final", "video/mp4")
    [request] = service.requests("Compose")
    assert [source.upload_id for source in request.sources] == sources
    assert request.delete_sources and request.metadata["origin"] == "camera"
    assert len(request.request_id) == 36
    # Short, so that the polls after the call show the progress.
    deadlines = [
        d for d, (rpc, _) in zip(service.deadlines, service.calls, strict=True) if rpc == "Compose"
    ]
    assert max(deadlines) < 15
    copying = [p.bytes_done for p in shown if p.phase is Phase.COPYING]
    assert copying == [0, 3000]
    assert (shown[-1].phase, shown[-1].bytes_done) == (Phase.DONE, 6000)


async def test_what_takes_long_is_asked_for_again_with_the_same_request_id(
    client: UploadClient, service: Service, sources: list[str]
) -> None:
    service.polls = 20
    await client.compose(sources, name="whole")
    first, *others = service.requests("Compose")
    assert len(others) == 2
    assert all(other == first for other in others)
    assert len(service.uploads) == 4


async def test_a_lost_answer_makes_no_second_object(
    client: UploadClient, service: Service, sources: list[str]
) -> None:
    service.fail("Compose", Failure("UNAVAILABLE", "STORAGE_UNAVAILABLE", retry_seconds=1))
    await client.compose(sources, name="whole")
    first, second = service.requests("Compose")
    assert first == second


async def test_a_source_that_cannot_be_used_is_told(
    client: UploadClient, service: Service, sources: list[str]
) -> None:
    details = {"source": "1", "problem": "it is gone"}
    service.fail("Compose", Failure("FAILED_PRECONDITION", "SOURCE_UNUSABLE", details))
    with pytest.raises(SourceUnusable) as raised:
        await client.compose(sources, name="whole")
    assert raised.value.metadata == details
    with pytest.raises(UploadNotFound):
        await client.compose(["nothing"], name="whole")


async def test_one_that_is_aborted_meanwhile_is_told(
    client: UploadClient, service: Service, sources: list[str]
) -> None:
    def abort(progress: Progress) -> None:
        if progress.phase is Phase.COPYING:
            made = list(service.uploads.values())[-1]
            made.state = pb.UPLOAD_STATE_ABORTED
            made.abort_reason = pb.ABORT_REASON_SOURCE_CHANGED

    with pytest.raises(UploadAborted) as raised:
        await client.compose(sources, name="whole", on_progress=abort)
    assert raised.value.abort_reason == "source_changed"


async def test_the_command_prints_the_uri_and_how_it_moves(
    service: Service, state_dir: Path, sources: list[str]
) -> None:
    partway = Partway(service, state_dir)
    done = await partway.run("compose", "--name", "whole.bin", "--delete-sources", *sources)
    assert (done.code, done.stdout) == (0, "s3://bucket/files/whole.bin\n")
    assert "whole.bin: storage is copying" in done.stderr
    assert "whole.bin: 6.0 kB of 3 objects" in done.stderr
    assert service.requests("Compose")[0].delete_sources


async def test_the_command_tells_a_failure_in_one_line_and_success_as_json(
    service: Service, state_dir: Path, sources: list[str]
) -> None:
    partway = Partway(service, state_dir)
    failed = await partway.run("compose", "--name", "whole.bin", "nothing")
    assert (failed.code, failed.stdout) == (1, "")
    assert "Traceback" not in failed.stderr
    done = await partway.run("compose", "--json", "--name", "whole.bin", sources[0])
    printed = json.loads(done.stdout)
    assert (printed["state"], printed["source_count"], printed["size_bytes"]) == (
        "completed",
        1,
        1000,
    )
