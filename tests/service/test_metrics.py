"""Tests the metrics of a whole service, read over HTTP as Prometheus reads them."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import grpc
import pytest
from google.protobuf import empty_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain import errors
from partway_server.observability.definitions import Definition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from tests.support.scrapes import scraping
from tests.support.storage import Gate, failing
from tests.support.world import ALICE, PART, World, failure

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class Scraper:
    """Scrapes one service."""

    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self._http = http
        self._url = f"http://127.0.0.1:{port}/metrics"

    async def text(self, accept: str = "text/plain") -> str:
        async with self._http.get(self._url, headers={"Accept": accept}) as answer:
            assert answer.status == 200
            return await answer.text()

    async def value(self, name: str, **labels: str) -> float:
        """Return a sample, 0 where it is absent."""
        for family in text_string_to_metric_families(await self.text()):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return 0.0


@pytest.fixture
async def scrape(world: World) -> AsyncIterator[Scraper]:
    async with scraping(world.service.metrics) as port, aiohttp.ClientSession() as http:
        yield Scraper(http, port)


async def test_an_upload_is_counted_from_initialize_to_complete(
    world: World, scrape: Scraper
) -> None:
    upload = await world.initialize()
    await world.send(upload)
    world.clock.advance(40)
    await world.complete(upload)
    of = {"policy": "default"}
    for event in ("initialized", "completed"):
        assert await scrape.value("partway_uploads_total", event=event, **of) == 1
        assert await scrape.value("partway_upload_bytes_total", event=event, **of) == 2 * PART + 7
    assert await scrape.value("partway_upload_duration_seconds_count", **of) == 1
    assert await scrape.value("partway_upload_duration_seconds_sum", **of) == 40
    assert await scrape.value("partway_parts_presigned_total", **of) == 3
    assert await scrape.value("partway_leases_taken_total", state="completing") == 1
    ok = {"code": "OK", "reason": ""}
    for rpc in ("Initialize", "PresignParts", "Complete"):
        assert await scrape.value("partway_rpcs_total", rpc=rpc, **ok) == 1
        name = "partway_rpc_duration_seconds_count"
        assert await scrape.value(name, rpc=rpc, outcome="ok") == 1
    calls = "partway_storage_call_duration_seconds_count"
    joined = {"backend": "default", "operation": "CompleteMultipartUpload"}
    assert await scrape.value(calls, **joined) == 1
    for operation in ("insert", "finish"):
        name = "partway_redis_call_duration_seconds_count"
        assert await scrape.value(name, operation=operation) >= 1


async def test_each_end_of_an_upload_is_counted_once(world: World, scrape: Scraper) -> None:
    aborted, expired = await world.initialize(), await world.initialize(file_name="other.mp4")
    await world.abort(aborted)
    await world.abort(aborted)
    world.clock.advance(8 * 86_400)
    await world.service.janitor.sweep()
    await world.service.janitor.sweep()
    assert await world.state(expired) == "ABORTED"
    for event, count in {"initialized": 2, "aborted": 1, "expired": 1, "completed": 0}.items():
        found = await scrape.value("partway_uploads_total", event=event, policy="default")
        assert found == count, event


async def test_a_complete_that_is_refused_announces_nothing_again(
    world: World, scrape: Scraper
) -> None:
    upload = await world.initialize()
    assert (await failure(world.complete(upload))).reason == "PARTS_MISSING"
    of = {"policy": "default"}
    assert await scrape.value("partway_uploads_total", event="initialized", **of) == 1
    refused = {"rpc": "Complete", "code": "FAILED_PRECONDITION", "reason": "PARTS_MISSING"}
    assert await scrape.value("partway_rpcs_total", **refused) == 1


async def test_a_record_that_was_lost_is_counted_as_rebuilt_and_not_as_new(
    world: World, scrape: Scraper
) -> None:
    upload = await world.initialize()
    await world.lose_row(upload)
    assert await world.state(upload) == "ACTIVE"
    assert await scrape.value("partway_records_rebuilt_total", state="active") == 1
    of = {"event": "initialized", "policy": "default"}
    assert await scrape.value("partway_uploads_total", **of) == 1


async def test_a_failure_of_storage_is_counted_with_its_operation(
    world: World, scrape: Scraper
) -> None:
    world.storage.before("create", failing(errors.StorageUnavailable(storage_code="SlowDown")))
    assert (await failure(world.initialize())).reason == "STORAGE_UNAVAILABLE"
    failed = {"backend": "default", "operation": "CreateMultipartUpload", "code": "SlowDown"}
    assert await scrape.value("partway_storage_errors_total", **failed) == 1
    ended = {"rpc": "Initialize", "code": "UNAVAILABLE", "reason": "STORAGE_UNAVAILABLE"}
    assert await scrape.value("partway_rpcs_total", **ended) == 1


async def test_a_storage_that_hangs_shows_while_it_hangs(world: World, scrape: Scraper) -> None:
    gate = Gate()
    world.storage.before("create", gate)
    call = asyncio.ensure_future(world.initialize())
    await gate.reached.wait()
    assert await scrape.value("partway_storage_calls_in_flight", backend="default") == 1
    assert await scrape.value("partway_storage_oldest_call_age_seconds", backend="default") > 0
    gate.open()
    await call
    assert await scrape.value("partway_storage_calls_in_flight", backend="default") == 0
    assert await scrape.value("partway_storage_oldest_call_age_seconds", backend="default") == 0


async def test_streams_are_counted_when_they_end_or_their_callers_go(
    world: World, scrape: Scraper
) -> None:
    upload = await world.initialize()
    watching = world.stub.Watch(pb.WatchRequest(upload_id=upload.id), metadata=ALICE)
    await watching.read()
    assert await scrape.value("partway_watches_in_progress") == 1
    first = {"rpc": "Watch", "outcome": "ok"}
    assert await scrape.value("partway_rpc_duration_seconds_count", **first) == 1
    watching.cancel()
    gone = {"rpc": "Watch", "code": "CANCELLED", "reason": ""}
    async with asyncio.timeout(20):
        while not await scrape.value("partway_rpcs_total", **gone):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await world.abort(upload)
    ended = world.stub.Watch(pb.WatchRequest(upload_id=upload.id), metadata=ALICE)
    assert [message async for message in ended]
    whole = {"rpc": "Watch", "code": "OK", "reason": ""}
    assert await scrape.value("partway_rpcs_total", **whole) == 1
    assert await scrape.value("partway_watches_in_progress") == 0


async def test_what_the_janitor_and_the_sweep_do_is_counted(world: World, scrape: Scraper) -> None:
    await world.initialize()
    world.clock.advance(8 * 86_400)
    stop = asyncio.Event()
    running = asyncio.create_task(world.service.janitor.run(60, stop))
    looked = "partway_cleanup_last_success_timestamp_seconds"
    async with asyncio.timeout(20):
        while not await scrape.value(looked, task="janitor"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    stop.set()
    await running
    aborted = {"kind": "upload", "action": "abort", "outcome": "done"}
    assert await scrape.value("partway_cleanup_findings_total", **aborted) == 1
    assert await scrape.value("partway_cleanup_oldest_due_age_seconds") == 0
    assert await scrape.value("partway_cleanup_failures_total", task="janitor") == 0


async def test_hostile_names_and_ids_make_no_series(world: World, scrape: Scraper) -> None:
    upload = await world.initialize()
    await world.state(upload)
    before = series(await scrape.text())
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{world.port}")
    async with channel:
        for method in ("/partway.v1.UploadService/Planted", "/planted.Planted/Planted", "/x"):
            call: Any = channel.unary_unary(method, empty_pb2.Empty.SerializeToString, None)
            with pytest.raises(grpc.aio.AioRpcError):
                await call(empty_pb2.Empty(), metadata=ALICE)
        for number in range(20):
            who = (("partway-tenant", f"planted{number}"), ("partway-subject", f"planted{number}"))
            request = pb.StatusRequest(upload_id=f"planted{number}")
            with pytest.raises(grpc.aio.AioRpcError):
                await world.stub.Status(request, metadata=who)
            request = pb.StatusRequest(upload_id=upload.id)
            with pytest.raises(grpc.aio.AioRpcError):
                await world.stub.Status(request, metadata=who)
    after = await scrape.text()
    assert "planted" not in after.lower()
    added = {line for line in series(after) - before if not line.startswith("python_gc")}
    # Status that was not found, and its duration as an error.
    assert {re.match(r"\w+", line)[0] for line in added} <= {  # type: ignore[index]
        "partway_rpcs_total",
        *(f"partway_rpc_duration_seconds_{part}" for part in ("bucket", "sum", "count")),
    }
    assert sum(line.startswith("partway_rpcs_total") for line in added) <= 2


def series(text: str) -> set[str]:
    """Return the series of a scrape, without their values."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def test_every_metric_is_documented_with_its_type_and_labels(
    world: World, scrape: Scraper
) -> None:
    upload = await world.initialize()
    await world.send(upload)
    await world.complete(upload)
    known: dict[str, Definition] = {
        each.name.removesuffix("_total"): each for each in world.service.metrics.definitions
    }
    for family in text_string_to_metric_families(await scrape.text()):
        documented = known[family.name.removesuffix("_total")]
        assert documented.kind == family.type, family.name
        if family.name.startswith("partway_"):
            for sample in family.samples:
                assert set(sample.labels) - {"le"} == set(documented.labels), sample


async def test_open_metrics_can_be_had(world: World, scrape: Scraper) -> None:
    await world.initialize()
    found = {family.name for family in open_families(await scrape.text(OPEN_METRICS))}
    assert "partway_rpc_duration_seconds" in found
