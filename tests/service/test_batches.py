"""Tests BatchInitialize and BatchComplete: each item is answered as a call of its own would be."""

import logging
from uuid import uuid4

import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import StorageUnavailable

from tests.support.batches import (
    LARGE,
    SMALL,
    a_file,
    complete,
    failures,
    initialize,
    reasons,
    uploads,
)
from tests.support.clock import FakeClock
from tests.support.storage import Gate, failing
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, PART, World, content, failure

ACTIVE = upload_pb2.UPLOAD_STATE_ACTIVE
COMPLETING = upload_pb2.UPLOAD_STATE_COMPLETING
COMPLETED = upload_pb2.UPLOAD_STATE_COMPLETED


# ---- what a batch does


async def test_a_folder_is_uploaded_with_two_calls(world: World) -> None:
    sizes = [SMALL, LARGE, 0, SMALL + 1, PART + 1]
    opened = uploads(await initialize(world, *map(a_file, sizes)))
    assert [each.size_bytes for each in opened] == sizes
    assert {each.state for each in opened} == {ACTIVE}
    assert len({each.id for each in opened}) == len({each.object.key for each in opened}) == 5
    for upload in opened:
        await world.send(upload)
    done = uploads(await complete(world, *(each.id for each in opened)))
    assert [each.object.key for each in done] == [each.object.key for each in opened]
    for upload in done:
        assert upload.state == COMPLETED
        head = await world.storage.head(world.grant(upload))
        assert head is not None
        assert head.size_bytes == upload.size_bytes


async def test_a_result_is_what_a_call_of_its_own_would_return(world: World) -> None:
    token = pb.UploadTokenSpec(actions=[pb.UPLOAD_ACTION_STATUS])
    fields = {"request_id": str(uuid4()), "presign_parts": 2, "upload_token": token}
    [result] = await initialize(world, a_file(LARGE, **fields))
    alone = await world.stub.Initialize(a_file(LARGE, **fields), metadata=ALICE)
    assert result.response.upload == alone.upload
    assert result.response.limits == alone.limits
    assert [part.part_number for part in result.response.parts] == [1, 2]
    assert result.response.upload_token.actions == alone.upload_token.actions
    for part in result.response.parts:
        sent = await world.put(part.url, content(part.part_number, part.size_bytes), part.headers)
        assert sent.status == 200


async def test_small_files_ask_nothing_of_storage(world: World, single_puts: None) -> None:
    world.storage.calls.clear()
    await initialize(world, *[a_file() for _ in range(10)])
    assert world.storage.calls == []


async def test_a_refused_file_does_not_keep_others_from_being_opened(world: World) -> None:
    wrong = [
        a_file(-1),
        a_file(policy="none"),
        a_file(content_type="nothing"),
        pb.InitializeRequest(file_name="no size"),
    ]
    results = await initialize(world, a_file(), *wrong, a_file(LARGE))
    assert [each.HasField("response") for each in results] == [True, *[False] * 4, True]
    for request, failed in zip(wrong, failures(results), strict=True):
        alone = await failure(world.stub.Initialize(request, metadata=ALICE))
        assert failed == alone
        assert failed.code == "INVALID_ARGUMENT"
    uploads([results[0], results[-1]])


async def test_an_upload_that_cannot_be_completed_does_not_keep_others_back(world: World) -> None:
    whole, empty, aborted = uploads(await initialize(world, a_file(), a_file(LARGE), a_file()))
    await world.send(whole)
    await world.abort(aborted)
    results = await complete(world, empty.id, "nonsense", whole.id, aborted.id, "")
    assert results[2].response.upload.state == COMPLETED
    failed = failures(results)
    assert [each.reason for each in failed] == [
        "PARTS_MISSING",
        "UPLOAD_NOT_FOUND",
        "UPLOAD_NOT_ACTIVE",
        "INVALID_REQUEST",
    ]
    for upload_id, each in zip((empty.id, "nonsense", aborted.id, ""), failed, strict=True):
        request = pb.CompleteRequest(upload_id=upload_id)
        assert each == await failure(world.stub.Complete(request, metadata=ALICE))


async def test_a_repeated_batch_returns_the_same_uploads(world: World) -> None:
    files = [a_file(size, request_id=str(uuid4())) for size in (SMALL, LARGE, SMALL)]
    first, again = await initialize(world, *files), await initialize(world, *files)
    assert uploads(again) == uploads(first)
    for upload in uploads(first):
        await world.send(upload)
    ids = [each.id for each in uploads(first)]
    done, again_done = await complete(world, *ids), await complete(world, *ids)
    assert uploads(again_done) == uploads(done)


# ---- the same thing twice in one batch


async def test_a_request_id_twice_is_two_calls_at_once(world: World) -> None:
    for size in (SMALL, LARGE):
        request_id = str(uuid4())
        twice = [a_file(size, request_id=request_id)] * 2
        results = await initialize(world, *twice)
        opened = [each.response.upload for each in results if each.HasField("response")]
        # The second finds the first open, or about to be opened.
        assert opened
        assert all(each == opened[0] for each in opened)
        for failed in failures(results):
            assert (failed.code, failed.reason) == ("ABORTED", "UPLOAD_BUSY")
            assert "RetryInfo" in failed.details
        assert uploads(await initialize(world, *twice)) == [opened[0]] * 2


async def test_a_request_id_for_two_files_is_refused_for_one(world: World) -> None:
    request_id = str(uuid4())
    results = await initialize(
        world, a_file(request_id=request_id), a_file(SMALL + 1, request_id=request_id)
    )
    assert reasons(results) == {"REQUEST_ID_REUSED": 1}


async def test_an_upload_twice_is_completed_once(world: World) -> None:
    upload = await world.initialize(LARGE)
    await world.send(upload)
    world.storage.calls.clear()
    results = await complete(world, upload.id, upload.id, upload.id)
    assert [each.state for each in uploads(results)] == [COMPLETED] * 3
    assert world.storage.calls.count("complete") == 1


# ---- limits of a batch


@pytest.mark.promise("BatchInitialize", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([], "must have 1 to 100 entries"),
        ([a_file()] * 101, "must have 1 to 100 entries"),
        ([a_file(presign_parts=501)] * 2, "must ask for at most 1,000 presigned parts in all"),
    ],
)
async def test_a_batch_has_limits(
    world: World, files: list[pb.InitializeRequest], problem: str
) -> None:
    failed = await failure(initialize(world, *files))
    assert (failed.code, failed.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    [violation] = failed.details["BadRequest"].field_violations
    assert (violation.field, violation.description) == ("requests", problem)
    listed = await world.stub.ListUploads(pb.ListUploadsRequest(), metadata=ALICE)
    assert not listed.uploads


@pytest.mark.promise("BatchComplete", "INVALID_ARGUMENT")
@pytest.mark.parametrize(
    ("count", "parts", "problem"),
    [
        (0, 0, "must have 1 to 100 entries"),
        (101, 0, "must have 1 to 100 entries"),
        (2, 5001, "must name at most 10,000 parts in all"),
    ],
)
async def test_a_batch_to_complete_has_limits(
    world: World, count: int, parts: int, problem: str
) -> None:
    named = [upload_pb2.Part(part_number=1 + n) for n in range(parts)]
    asked = [pb.CompleteRequest(upload_id="x", parts=named)] * count
    request = pb.BatchCompleteRequest(requests=asked)
    failed = await failure(world.stub.BatchComplete(request, metadata=ALICE))
    [violation] = failed.details["BadRequest"].field_violations
    assert (violation.field, violation.description) == ("requests", problem)


async def test_a_hundred_files_are_one_batch(clock: FakeClock) -> None:
    async with a_memory_world(clock) as world:
        files = [a_file(LARGE if n % 10 == 0 else SMALL, presign_parts=10) for n in range(100)]
        results = await initialize(world, *files)
        assert len({each.id for each in uploads(results)}) == 100
        assert sum(len(each.response.parts) for each in results) == 90 + 10 * 3


# ---- what goes wrong


async def test_an_unexpected_error_of_one_item_is_internal_and_is_logged(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_memory_world(clock) as world:
        world.storage.before("create", failing(KeyError("a bug")))
        results = await initialize(world, a_file(LARGE), a_file(), a_file(LARGE))
        [failed] = failures(results)
        assert (failed.code, failed.reason, failed.message) == (
            "INTERNAL",
            "INTERNAL",
            "internal error",
        )
        assert f"reference {failed.metadata['reference']}" in caplog.text
        assert "a bug" not in str(results)


async def test_a_batch_is_one_line_in_the_log_and_so_is_each_item_that_failed(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_memory_world(clock) as world:
        with caplog.at_level(logging.INFO, "partway_server.rpc"):
            await initialize(world, a_file(), a_file(-1), a_file(-1))
            await initialize(world, a_file())
            world.storage.before("create", failing(StorageUnavailable()))
            await initialize(world, a_file(LARGE), a_file())
        lines = [
            (record.levelname, record.getMessage().partition(" ms")[2], vars(record).get("outcome"))
            for record in caplog.records
            if record.name == "partway_server.rpc.call_outcome"
        ]
        item = " (an item)"
        fault = f"{item}: CreateMultipartUpload other at default/uploads"
        assert lines == [
            ("INFO", item, "InvalidRequest"),
            ("INFO", item, "InvalidRequest"),
            ("INFO", ", 2 of its items failed", "OK"),
            ("INFO", "", "OK"),
            ("INFO", fault, "StorageUnavailable"),
            ("INFO", ", 1 of its items failed", "OK"),
        ]
        # What operators must know of a call is summed up for its items, too.
        [summed] = [r for r in caplog.records if r.name == "partway_server.rpc.batch_runner"]
        assert summed.getMessage().startswith("BatchInitialize: of 2 items failed: 1 Storage")


async def test_what_is_still_completing_when_time_is_up_is_returned_so(clock: FakeClock) -> None:
    async with a_memory_world(clock) as world:
        slow, fast = await world.initialize(LARGE), await world.initialize(SMALL)
        for upload in (slow, fast):
            await world.send(upload)
        gate = Gate()
        world.storage.before("complete", gate)
        results = await complete(world, slow.id, fast.id, timeout=3)
        assert [each.state for each in uploads(results)] == [COMPLETING, COMPLETED]
        gate.open()
        assert [each.state for each in uploads(await complete(world, slow.id, fast.id))] == [
            COMPLETED,
            COMPLETED,
        ]


async def test_what_did_not_begin_in_time_is_to_be_repeated(clock: FakeClock) -> None:
    # The tenant may have two of two turns: the batch has the other one, too.
    async with a_memory_world(clock, max_concurrent_calls=2) as world:
        first, second = [await world.initialize(LARGE) for _ in range(2)]
        for upload in (first, second):
            await world.send(upload)
        gate = Gate()
        world.storage.before("complete", gate)
        results = await complete(world, first.id, second.id, timeout=2)
        assert results[0].response.upload.state == COMPLETING
        [failed] = failures(results)
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "TIMED_OUT")
        assert "RetryInfo" in failed.details
        assert await world.state(second) == "ACTIVE"
        gate.open()


async def test_an_item_that_hangs_keeps_no_results_from_the_caller(clock: FakeClock) -> None:
    async with a_memory_world(clock) as world:
        gate = Gate()
        world.storage.before("create", gate)
        results = await initialize(world, a_file(LARGE), a_file(), timeout=2)
        assert [each.HasField("response") for each in results] == [False, True]
        assert reasons(results) == {"TIMED_OUT": 1}
        gate.open()


async def test_work_that_has_begun_is_finished_without_its_caller(clock: FakeClock) -> None:
    async with a_memory_world(clock) as world:
        gate = Gate()
        world.storage.before("create", *[gate] * 3)
        files = [a_file(LARGE, request_id=str(uuid4())) for _ in range(3)]
        calling = world.stub.BatchInitialize(
            pb.BatchInitializeRequest(requests=files), metadata=ALICE
        )
        await gate.reached.wait()
        calling.cancel()
        gate.open()
        await world.service.tasks.drain(5)
        assert world.storage.calls.count("create") == 3
        opened = uploads(await initialize(world, *files))
        assert {each.state for each in opened} == {ACTIVE}
        assert world.storage.calls.count("create") == 3
