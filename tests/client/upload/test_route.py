"""Tests which route parts take, and what happens to those that go through the service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from partway.v1 import upload_pb2 as pb
from partway_client import (
    FileChanged,
    ServiceUnreachable,
    StorageUnavailable,
    StorageUnreachable,
    TransferFailed,
    UploadAborted,
    UploadClient,
    ViaServiceOff,
)
from partway_client._transport.part_stream import RemoteStatus
from partway_client._upload import route_choice

from tests.client.command import Partway
from tests.client.files import content, size
from tests.client.pacing import Slept, pace
from tests.client.service import Failure, Service, not_active
from tests.client.storage import Fault, Storage, answering, resetting

PART = 64 * 1024
CLOSED = "http://127.0.0.1:1"
WARNINGS = route_choice.__name__


def page(status: int) -> Fault:
    """Answer with an HTML page, as proxies do instead of storage."""

    async def fault(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, text="<html>no</html>", content_type="text/html")

    return fault


def turned(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.name == WARNINGS for record in caplog.records)


async def test_parts_go_straight_to_storage_where_they_can(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.via_service = True
    uploaded = await client.upload_file(movie)
    assert service.count("UploadPart") == 0
    assert uploaded.bytes_via_service == 0


async def test_parts_go_through_the_service_where_storage_cannot_be_reached(
    client: UploadClient,
    service: Service,
    storage: Storage,
    movie: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.via_service = True
    storage.base = CLOSED
    uploaded = await client.upload_file(movie)
    assert storage.bytes_of(uploaded.upload_id) == content(movie)
    assert uploaded.bytes_via_service == uploaded.bytes_sent == size(movie)
    assert (uploaded.parts_sent, service.count("UploadPart")) == (10, 10)
    assert turned(caplog) == 1
    assert "storage cannot be reached from here (no connection to 127.0.0.1:1" in caplog.text


async def test_complete_names_the_entity_tags_of_parts_that_passed(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.via_service, service.etags = True, "md5"
    service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    await client.upload_file(movie, route="service")
    [request] = service.requests("Complete")
    upload = service.only()
    assert [p.etag for p in request.parts] == [service._part(upload, n).etag for n in range(1, 11)]


@pytest.mark.parametrize(
    "fault",
    [page(403), page(502), page(503), page(504), answering(407), answering(511)],
    ids=["403", "502", "503", "504", "407", "511"],
)
async def test_a_proxy_in_the_way_is_gone_around(
    client: UploadClient, service: Service, storage: Storage, movie: Path, fault: Fault
) -> None:
    service.via_service = True
    storage.fail(0, *[fault] * 40)
    uploaded = await client.upload_file(movie)
    assert uploaded.bytes_via_service == size(movie)
    assert storage.bytes_of(uploaded.upload_id) == content(movie)


@pytest.mark.parametrize(
    "fault",
    [answering(503, "SlowDown"), answering(500, "InternalError"), resetting, answering(502)],
    ids=["SlowDown", "InternalError", "reset", "502 without a body"],
)
async def test_what_storage_itself_answers_is_no_reason_to_go_around_it(
    client: UploadClient, service: Service, storage: Storage, movie: Path, fault: Fault
) -> None:
    service.via_service = True
    storage.fail(0, *[fault] * 30)
    uploaded = await client.upload_file(movie)
    assert service.count("UploadPart") == 0
    assert uploaded.bytes_via_service == 0


async def test_storage_that_was_reached_once_is_tried_on(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    service.via_service = True
    # One at a time, so that the first part is in storage before the failures start.
    storage.fail(2, *[page(502)] * 5)
    uploaded = await client.upload_file(movie, concurrency=1)
    assert service.count("UploadPart") == 0
    assert uploaded.parts_retried == 5


async def test_once_is_no_reason(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    service.via_service = True
    storage.fail(1, page(502))
    await client.upload_file(movie, concurrency=1)
    assert service.count("UploadPart") == 0


async def test_where_the_service_passes_nothing_on_that_is_said(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    storage.base = CLOSED
    with pytest.raises(StorageUnreachable) as raised:
        await client.upload_file(movie)
    assert service.count("UploadPart") == 0
    assert str(raised.value).startswith(
        "storage cannot be reached from here (no connection to 127.0.0.1:1"
    )
    assert str(raised.value).endswith(
        ", and the service does not accept parts: ask its operator to set via_service"
    )


async def test_a_resumed_upload_asks_the_service_by_trying(
    client: UploadClient,
    service: Service,
    storage: Storage,
    movie: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    storage.base = CLOSED
    with pytest.raises(StorageUnreachable):
        await client.upload_file(movie)
    # The Upload is known by now, and Status does not return limits.
    with pytest.raises(StorageUnreachable):
        await client.upload_file(movie)
    assert service.count("UploadPart") > 0
    # The warning must not promise what may fail.
    assert "): trying to send the parts through the service" in caplog.text
    assert "sending the parts through the service" not in caplog.text
    service.via_service = True
    uploaded = await client.upload_file(movie)
    assert service.count("Initialize") == 1
    assert uploaded.bytes_via_service == size(movie)


async def test_direct_is_direct_only(
    client: UploadClient,
    service: Service,
    storage: Storage,
    movie: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.via_service = True
    storage.base = CLOSED
    with pytest.raises(TransferFailed) as raised:
        await client.upload_file(movie, route="direct")
    assert not isinstance(raised.value, StorageUnreachable)
    assert service.count("UploadPart") == 0
    # It takes minutes, and warns once, for the first part that fails.
    assert turned(caplog) == 1
    assert (
        "no connection to 127.0.0.1:1: Connection refused): retrying for some minutes"
        in caplog.text
    )


async def test_by_the_service_alone_no_url_is_asked_for(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    service.via_service = True
    uploaded = await client.upload_file(movie, route="service")
    assert storage.puts == []
    assert service.requests("Initialize")[0].presign_parts == 0
    assert service.count("PresignParts") == 0
    assert uploaded.bytes_via_service == size(movie)
    # Initialize, ten parts and Complete.
    assert uploaded.rpcs == 12


async def test_by_the_service_alone_its_refusal_is_the_end(
    client: UploadClient, movie: Path
) -> None:
    with pytest.raises(ViaServiceOff):
        await client.upload_file(movie, route="service")


async def test_a_route_that_there_is_not_is_refused(client: UploadClient, movie: Path) -> None:
    with pytest.raises(ValueError, match="sideways"):
        await client.upload_file(movie, route="sideways")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "failure",
    [
        Failure("UNAVAILABLE", "STORAGE_UNAVAILABLE", retry_seconds=1),
        Failure("RESOURCE_EXHAUSTED", "OVERLOADED", retry_seconds=1),
        Failure("ABORTED", "PART_CHANGED", retry_seconds=1),
        Failure("ABORTED", "UPLOAD_BUSY", retry_seconds=1),
        Failure("UNAVAILABLE"),
    ],
    ids=lambda failure: failure.reason or failure.code,
)
async def test_a_passing_failure_of_the_service_is_tried_again(
    client: UploadClient, service: Service, storage: Storage, movie: Path, failure: Failure
) -> None:
    service.via_service = True
    service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC32C
    service.fail("UploadPart", failure, failure)
    uploaded = await client.upload_file(movie, route="service")
    assert storage.bytes_of(uploaded.upload_id) == content(movie)
    assert uploaded.parts_retried == 2


async def test_a_failure_that_does_not_pass_is_told(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.via_service = True
    service.fail("UploadPart", *[Failure("UNAVAILABLE", "STORAGE_UNAVAILABLE")] * 200)
    with pytest.raises(StorageUnavailable):
        await client.upload_file(movie, route="service")


async def test_an_upload_that_is_over_is_found_out(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.via_service = True
    service.fail("UploadPart", not_active(pb.UPLOAD_STATE_ABORTED, "ABORT_REASON_EXPIRED"))
    with pytest.raises(UploadAborted):
        await client.upload_file(movie, route="service")


async def test_each_part_goes_with_its_checksum(
    client: UploadClient, service: Service, movie: Path
) -> None:
    service.via_service = True
    service.checksum_algorithm = pb.CHECKSUM_ALGORITHM_CRC64NVME
    await client.upload_file(movie, route="service")
    assert all(len(header.checksum) == 8 for header in service.requests("UploadPart"))


async def test_a_file_that_changes_meanwhile_is_noticed(
    client: UploadClient, service: Service, storage: Storage, movie: Path
) -> None:
    service.via_service = True

    def change(upload: str, number: int) -> None:
        movie.write_bytes(b"another")

    storage.on_stored = change
    with pytest.raises(FileChanged):
        await client.upload_file(movie, route="service", concurrency=1)
    assert service.count("UploadPart") == 1


async def test_a_service_that_takes_nothing_is_not_waited_for(
    service: Service, movie: Path, slept: Slept, state_dir: Path
) -> None:
    service.via_service = True
    service.stuck = True
    hasty = pace(slept, stall_seconds=0.2, part_tries=2)
    async with UploadClient(service.address, state_dir=state_dir, pace=hasty) as client:
        with pytest.raises(ServiceUnreachable, match="nothing moved to the service"):
            await client.upload_file(movie, route="service", concurrency=1)


# ---- the status of a stream that the other side ends


async def refuse_in_the_middle(requests: AsyncIterator[bytes], context: Any) -> bytes:
    await anext(aiter(requests))
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the real reason")
    return b""


async def test_the_reason_is_known_of_a_stream_that_ended_while_it_was_written() -> None:
    server = grpc.aio.server()
    method: Any = grpc.stream_unary_rpc_method_handler(refuse_in_the_middle)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Test", {"Stream": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for _ in range(5):
                call: Any = channel.stream_unary("/test.Test/Stream")()
                remote = RemoteStatus(call)
                with pytest.raises((grpc.aio.AioRpcError, asyncio.InvalidStateError)):  # noqa: PT012
                    while True:
                        await call.write(bytes(512 * 1024))
                failure = await remote.failure()
                assert failure is not None
                assert failure.code() is grpc.StatusCode.FAILED_PRECONDITION
                assert failure.details() == "the real reason"
    finally:
        await server.stop(0)


# ---- the command line


@pytest.fixture
def partway(service: Service, state_dir: Path) -> Partway:
    return Partway(service, state_dir)


async def test_the_command_says_once_that_it_goes_through_the_service(
    partway: Partway, service: Service, storage: Storage, movie: Path
) -> None:
    service.via_service = True
    storage.base = CLOSED
    ran = await partway.run("upload", movie)
    assert ran.code == 0, ran.stderr
    assert ran.stderr.count("partway: movie.mp4: storage cannot be reached from here") == 1
    assert "589.8 kB went through the service" in ran.stderr


async def test_the_command_can_be_told_the_way(
    partway: Partway, service: Service, movie: Path
) -> None:
    service.via_service = True
    ran = await partway.run("upload", "--via-service", "--json", movie)
    assert f'"bytes_via_service": {size(movie)}' in ran.stdout
    ran = await partway.run("upload", "--direct-only", "--json", movie)
    assert '"bytes_via_service": 0' in ran.stdout
    ran = await partway.run("upload", "--direct-only", "--via-service", movie)
    assert ran.code == 2 and "exclude each other" in ran.stderr
