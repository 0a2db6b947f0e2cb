"""Tests watching an upload to its end, with the library and on the command line."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb
from partway_client import (
    CallFailed,
    InternalFault,
    ServiceUnreachable,
    State,
    SyncUploadClient,
    UploadClient,
    UploadInfo,
    UploadNotFound,
)
from partway_client.cli.main import main

from tests.client.command import Partway, ended
from tests.client.pacing import Slept, pace, until
from tests.client.service import Failure, Service

KIB = 1024


@pytest.fixture
def upload(service: Service) -> pb.Upload:
    """Return an Upload of ten parts, of which the first is reported."""
    upload = service._new(
        service_pb.InitializeRequest(file_name="film.mp4", size_bytes=10 * 64 * KIB)
    )
    service.reported[upload.id] = {1}
    return upload


def complete(upload: pb.Upload) -> None:
    upload.state = pb.UPLOAD_STATE_COMPLETED
    upload.object.etag = "final"


async def test_every_change_is_told_to_the_end(
    client: UploadClient, service: Service, upload: pb.Upload
) -> None:
    seen: list[UploadInfo] = []
    async for now in client.watch(upload.id):
        seen.append(now)
        if len(seen) == 1:
            service.reported[upload.id] |= {2, 3}
        elif len(seen) == 2:
            complete(upload)

    reports = [now.reported for now in seen[:2]]
    assert [(r.parts_stored, r.bytes_stored) for r in reports if r] == [
        (1, 64 * KIB),
        (3, 3 * 64 * KIB),
    ]
    assert (seen[2].state, seen[2].etag, seen[2].reported) == (State.COMPLETED, "final", None)
    assert len(seen) == 3


async def test_a_stream_that_is_cut_is_opened_again(
    client: UploadClient, service: Service, slept: Slept, upload: pb.Upload
) -> None:
    service.cut_watches = 30
    service.fail("Watch", *[Failure("UNAVAILABLE")] * 3)
    seen = 0
    async for _ in client.watch(upload.id):
        seen += 1
        if seen == 31:
            complete(upload)

    # Each message resets the count of tries, so that a long upload is not given up.
    assert service.count("Watch") == 34
    assert slept.seconds == [0.25, 0.5, 1.0] + [0.25] * 30


async def test_a_stream_that_a_gateway_resets_is_opened_again(
    client: UploadClient, service: Service, slept: Slept, upload: pb.Upload
) -> None:
    reset = Failure("INTERNAL", message="Received RST_STREAM with error code 2")
    service.fail("Watch", reset)
    assert (await anext(client.watch(upload.id))).upload_id == upload.id
    assert service.count("Watch") == 2


async def test_a_service_that_is_gone_is_given_up_after_a_while(
    client: UploadClient, service: Service, upload: pb.Upload
) -> None:
    changes = client.watch(upload.id)
    await anext(changes)
    await service._server.stop(0)

    with pytest.raises(ServiceUnreachable):
        await anext(changes)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Failure("NOT_FOUND", "UPLOAD_NOT_FOUND"), UploadNotFound),
        (Failure("UNIMPLEMENTED"), CallFailed),
        (Failure("INTERNAL", "INTERNAL"), InternalFault),
    ],
)
async def test_an_error_that_stays_is_raised(
    client: UploadClient, service: Service, failure: Failure, error: type[Exception]
) -> None:
    service.fail("Watch", failure)

    with pytest.raises(error):
        await anext(client.watch("any"))
    assert service.count("Watch") == 1


async def test_it_can_be_left_at_any_moment(client: UploadClient, upload: pb.Upload) -> None:
    changes = client.watch(upload.id)
    await anext(changes)
    await changes.aclose()
    waiting = asyncio.ensure_future(anext(client.watch(upload.id)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})


async def test_it_is_an_iterator_without_asyncio(
    service: Service, slept: Slept, state_dir: Path, upload: pb.Upload
) -> None:
    def work() -> list[State]:
        with SyncUploadClient(service.address, state_dir=state_dir, pace=pace(slept)) as client:
            left: Any = client.watch(upload.id)
            next(left)
            left.close()
            abandoned: Any = client.watch(upload.id)
            next(abandoned)
            states = []
            for now in client.watch(upload.id):
                states.append(now.state)
                complete(upload)
        abandoned.close()
        return states

    assert await asyncio.to_thread(work) == [State.ACTIVE, State.COMPLETED]


async def started(service: Service, state_dir: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Start `partway watch`, and wait until it has shown the first message."""
    before = service.count("Watch")
    process = await Partway(service, state_dir).start("watch", *arguments)
    await until(lambda: service.count("Watch") > before)
    return process


async def test_the_command_prints_a_line_for_each_change(
    service: Service, state_dir: Path, upload: pb.Upload
) -> None:
    process = await started(service, state_dir, upload.id)
    assert process.stdout is not None
    first = await process.stdout.readline()
    complete(upload)
    done = await ended(process)

    line = "active  10%, 65.5 kB of 655.4 kB, 1 of 10 parts are reported\n"
    assert first.decode() == line
    again, last = done.stdout.splitlines()
    assert again == "completed"
    assert last.startswith("completed  2") and last.endswith("  s3://bucket/files/film.mp4")
    assert (done.code, done.stderr) == (0, "")


async def test_an_aborted_upload_ends_the_command_with_1(
    service: Service, state_dir: Path, upload: pb.Upload
) -> None:
    upload.state, upload.abort_reason = pb.UPLOAD_STATE_ABORTED, pb.ABORT_REASON_EXPIRED
    done = await Partway(service, state_dir).run("watch", upload.id)

    assert done.code == 1
    assert done.stdout.splitlines()[-1].startswith("aborted (expired)")


async def test_json_is_an_object_for_each_change(
    service: Service, state_dir: Path, upload: pb.Upload
) -> None:
    process = await started(service, state_dir, "--json", upload.id)
    assert process.stdout is not None
    first = json.loads(await process.stdout.readline())
    complete(upload)
    done = await ended(process)

    assert (first["state"], first["reported"]["parts_stored"]) == ("active", 1)
    [last] = [json.loads(line) for line in done.stdout.splitlines()]
    assert (last["state"], last["reported"], done.code) == ("completed", None, 0)


async def test_ctrl_c_ends_the_watching_alone(
    service: Service, state_dir: Path, upload: pb.Upload
) -> None:
    process = await started(service, state_dir, upload.id)
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    done = await ended(process)

    assert (done.code, done.stderr) == (130, "partway: stopped; the upload continues\n")
    assert upload.state == pb.UPLOAD_STATE_ACTIVE


async def test_an_upload_that_is_not_there_is_one_line(service: Service, state_dir: Path) -> None:
    done = await Partway(service, state_dir).run("watch", "any")

    assert (done.code, done.stdout) == (1, "")
    assert done.stderr == "partway: there is no such upload\n"


async def test_a_terminal_gets_a_bar(service: Service, state_dir: Path, upload: pb.Upload) -> None:
    leader, follower = os.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", Partway(service, state_dir).main, "watch", upload.id),
        env=os.environ | {"PARTWAY_SERVER": service.address, "TERM": "xterm"},
        stdin=follower,
        stdout=asyncio.subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    shown = await asyncio.to_thread(os.read, leader, 100_000)
    while b"65.5/655.4 kB" not in shown:
        shown += await asyncio.to_thread(os.read, leader, 100_000)
    complete(upload)
    stdout, _ = await process.communicate()
    os.close(leader)

    assert b"film.mp4 (active)" in shown
    [line] = stdout.decode().splitlines()
    assert line.startswith("completed  ")


async def test_a_listing_is_by_policy_time_and_file(
    client: UploadClient, service: Service, movie: Path
) -> None:
    uploaded = await client.upload_file(movie, policy="films")
    await client.upload_file(movie, policy="songs", name="other.mp4")

    async def run(*arguments: str) -> Result:
        runner = CliRunner(env={"PARTWAY_SERVER": service.address})
        return await asyncio.to_thread(runner.invoke, main, ["list", *arguments])

    options = {
        ("--policy", "films"): 1,
        ("--since", "2020-01-01"): 2,
        ("--since", "2999-01-01T00:00:00Z"): 0,
        ("--until", "2999-01-01T12:30+02:00"): 2,
        ("--until", "2020-01-01"): 0,
        ("--file", str(movie)): 2,
        ("--file", __file__): 0,
        ("--fingerprint", service.uploads[uploaded.upload_id].fingerprint): 1,
    }
    ran = [await run("--json", *each) for each in options]

    assert [len(done.stdout.splitlines()) for done in ran] == list(options.values())
    for wrong in (("--since", "yesterday"), ("--until", "0001-01-01T00:00+05:00")):
        assert (await run(*wrong)).exit_code == 2
    gone = await run("--file", "gone")
    assert gone.exit_code == 1
    assert gone.stderr == "partway: cannot read gone: No such file or directory\n"
