"""Tests what the log says of each call, and by what callers and operators find the same call."""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.errors import StorageUnavailable
from partway_server.observability.logging import CallFilter, JsonFormatter, TextFormatter

from tests.support.processes import until
from tests.support.storage import failing
from tests.support.twins import a_memory_world
from tests.support.world import ALICE, PART, World, failure

pytestmark = pytest.mark.parametrize("world", ["memory"], indirect=True)

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Log(logging.Handler):
    """Keeps the lines about calls, as JSON and as text."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(CallFilter())
        self.lines: list[dict[str, Any]] = []
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(JsonFormatter().format(record)))
        self.texts.append(TextFormatter().format(record))

    def of(self, rpc: str) -> list[dict[str, Any]]:
        """Return the lines about calls of that RPC."""
        return [line for line in self.lines if line.get("rpc") == rpc and "outcome" in line]


@pytest.fixture
def log() -> Iterator[Log]:
    log, logger = Log(), logging.getLogger("partway_server")
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    yield log
    logger.removeHandler(log)
    logger.setLevel(level)


def sent(call: Any, **metadata: str) -> Any:
    """Return what to send a call with: as alice, and this."""
    return (*ALICE, *((name.replace("_", "-"), value) for name, value in metadata.items()))


async def test_a_failed_call_says_whose_it_is_about_what_and_why(world: World, log: Log) -> None:
    upload = await world.initialize()
    world.storage.before("list_parts", failing(StorageUnavailable()))
    request = pb.ListPartsRequest(upload_id=upload.id)
    metadata = sent(world, x_request_id="req-1", traceparent=TRACEPARENT)
    failed = await failure(world.stub.ListParts(request, metadata=metadata))
    place = {"operation": "ListParts", "backend": "default", "bucket": "uploads"}
    assert failed.metadata == {"storage_code": "other", **place}
    assert failed.request_id == "req-1"
    [line] = log.of("ListParts")
    peer = line.pop("peer")
    assert peer.startswith("ipv") and line.pop("ms") >= 0
    assert "time" in line and line.pop("time")
    assert line == {
        "level": "info",
        "logger": "partway_server.rpc.call_outcome",
        "message": line["message"],
        "request_id": "req-1",
        "rpc": "ListParts",
        "tenant": "acme",
        "subject": "alice",
        "sid": world.grant(upload).sid,
        "policy": "default",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "outcome": "StorageUnavailable",
        "code": "UNAVAILABLE",
        "reason": "ERROR_REASON_STORAGE_UNAVAILABLE",
        "storage_code": "other",
        **place,
    }
    assert line["message"].endswith(": ListParts other at default/uploads")
    [text] = [each for each in log.texts if "ListParts StorageUnavailable" in each]
    assert f" sid={world.grant(upload).sid} " in text and "request_id=req-1" in text


async def test_an_initialize_that_fails_names_its_upload_and_its_policy(
    world: World, log: Log
) -> None:
    world.storage.before("create", failing(StorageUnavailable()))
    await failure(world.initialize())
    await failure(world.initialize(policy="no such"))
    opened, unknown = log.of("Initialize")
    assert len(opened["sid"]) == 32 and opened["policy"] == "default"
    assert opened["operation"] == "CreateMultipartUpload"
    assert "sid" not in unknown and unknown["policy"] == "no such"


async def test_a_request_id_is_returned_with_every_answer(world: World, log: Log) -> None:
    for given, kept in (
        ("a-B_9.:/+=@", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("two words", False),
        ('quo"te', False),
        ("-flag", False),
    ):
        call = world.stub.GetUsage(pb.GetUsageRequest(), metadata=sent(world, x_request_id=given))
        await call
        returned = (await call.trailing_metadata())["x-request-id"]
        assert (returned == given) is kept, given
        assert log.of("GetUsage")[-1]["request_id"] == returned


async def test_without_an_id_a_call_gets_one(world: World, log: Log) -> None:
    stream = world.stub.PresignParts(
        pb.PresignPartsRequest(upload_id=(await world.initialize()).id), metadata=ALICE
    )
    assert [message async for message in stream]
    returned = (await stream.trailing_metadata())["x-request-id"]
    assert len(returned) == 16 and log.of("PresignParts")[0]["request_id"] == returned
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await world.stub.Status(pb.StatusRequest(upload_id="x"), metadata=ALICE)
    trailers = raised.value.trailing_metadata()
    assert trailers["x-request-id"] == log.of("Status")[0]["request_id"] != returned


async def test_each_item_of_a_batch_that_fails_has_a_line_of_its_own(
    world: World, log: Log
) -> None:
    uploads = [await world.initialize(7) for _ in range(2)]
    await world.abort(uploads[0])
    request = pb.BatchCompleteRequest(
        requests=[pb.CompleteRequest(upload_id=each.id) for each in uploads]
    )
    answer = await world.stub.BatchComplete(request, metadata=ALICE)
    assert [result.HasField("status") for result in answer.results] == [True, True]
    *items, whole = log.of("BatchComplete")
    found = {line["sid"]: line["outcome"] for line in items}
    sids = [world.grant(each).sid for each in uploads]
    assert found == {sids[0]: "UploadNotActive", sids[1]: "PartsMissing"}
    assert whole["failed_items"] == 2 and "sid" not in whole
    assert {line["request_id"] for line in items} == {whole["request_id"]}


async def test_what_callers_choose_stays_on_one_short_line(world: World, log: Log) -> None:
    policy = "evil\n2026-01-01 ERROR forged\x1b[31m\u202e" + "x" * 1000
    await failure(world.initialize(policy=policy))
    [line] = log.of("Initialize")
    assert line["policy"] == policy[:128]
    for text in log.texts:
        assert "\n" not in text and "\x1b" not in text and "\u202e" not in text
        assert len(text) < 1000


async def test_a_call_that_is_cancelled_says_what_it_waited_for(world: World, log: Log) -> None:
    upload = await world.initialize()
    begun, never = asyncio.Event(), asyncio.Event()

    async def hang(*_: object) -> None:
        begun.set()
        await never.wait()

    world.storage.before("list_parts", hang)
    call = world.stub.ListParts(pb.ListPartsRequest(upload_id=upload.id), metadata=ALICE)
    await begun.wait()
    call.cancel()
    await until(lambda: bool(log.of("ListParts")))
    [line] = log.of("ListParts")
    assert (line["outcome"], line["code"], line["operation"]) == (
        "cancelled",
        "CANCELLED",
        "ListParts",
    )
    assert "ListParts at default/uploads: has no answer after" in line["message"]


async def test_the_janitor_names_the_upload_too(world: World, log: Log) -> None:
    upload = await world.initialize()
    world.clock.advance(31 * 24 * 3600)
    await world.service.janitor.sweep()
    [line] = [line for line in log.lines if line["logger"] == "partway_server.cleanup.expiry"]
    assert line["sid"] == world.grant(upload).sid and line["tenant"] == "acme"
    assert "request_id" not in line


@pytest.mark.parametrize("share", [0.0, 0.5])
async def test_good_calls_are_logged_by_upload_and_failed_ones_always(
    world: World, log: Log, share: float
) -> None:
    async with a_memory_world(world.clock, log_good_calls=share) as sampled:
        uploads = [await sampled.initialize(PART) for _ in range(16)]
        for upload in uploads:
            await sampled.state(upload)
            await sampled.state(upload)
        await failure(sampled.complete(uploads[0]))
    logged = [line["sid"] for line in log.of("Status")]
    by_sid = {sid: logged.count(sid) for sid in logged}
    assert set(by_sid.values()) <= {2}
    assert len(by_sid) == 0 if share == 0 else 0 < len(by_sid) < 16
    assert {line["sid"] for line in log.of("Initialize")} == set(by_sid)
    assert len(log.of("Complete")) == 1
