"""Tests calls to the service: which are repeated, for how long, and how errors are mapped."""

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from partway.v1 import error_reason_pb2
from partway.v1 import upload_pb2 as pb
from partway_client import (
    CallFailed,
    Capabilities,
    Checksum,
    InvalidRequest,
    LimitUsage,
    Overloaded,
    PolicyCapabilities,
    QuotaExceeded,
    ServiceError,
    ServiceUnreachable,
    State,
    UploadBusy,
    UploadClient,
    UploadNotActive,
    UploadNotFound,
)
from partway_client._transport.retry_policy import RetryPolicy
from partway_client.errors import BY_REASON

from tests.client.pacing import Slept, pace
from tests.client.service import Failure, Service

BUSY = Failure("ABORTED", "UPLOAD_BUSY", retry_seconds=1.0)
OVERLOADED = Failure("RESOURCE_EXHAUSTED", "OVERLOADED", retry_seconds=1.0)
RATE = Failure("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", retry_seconds=0.5)
UNAVAILABLE = Failure("UNAVAILABLE", "SESSIONS_UNAVAILABLE", retry_seconds=1.0)
REASONS = [
    name.removeprefix("ERROR_REASON_")
    for name in error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name
    if not name.endswith("_UNSPECIFIED")
]


def test_every_reason_has_an_exception() -> None:
    assert sorted(BY_REASON) == sorted(REASONS)


@pytest.mark.parametrize("reason", REASONS)
async def test_a_reason_becomes_its_exception(
    client: UploadClient, service: Service, reason: str
) -> None:
    service.fail("Status", *[Failure("FAILED_PRECONDITION", reason, {"a": "b"})] * 30)

    with pytest.raises(BY_REASON[reason], match="as arranged") as caught:
        await client.status("any")

    assert isinstance(caught.value, ServiceError)
    assert caught.value.metadata == {"a": "b"}


@pytest.mark.parametrize("failure", [BUSY, OVERLOADED, RATE, UNAVAILABLE, Failure("UNAVAILABLE")])
@pytest.mark.parametrize("rpc", ["Initialize", "PresignParts", "Complete"])
async def test_what_may_pass_is_repeated(
    client: UploadClient, service: Service, tmp_path: Path, rpc: str, failure: Failure
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(20 * 64 * 1024))
    service.fail(rpc, failure, failure)

    uploaded = await client.upload_file(path)

    assert service.count(rpc) == 3
    assert uploaded.rpcs == 5


@pytest.mark.parametrize("seconds", [None, 20_000.0])
async def test_a_limit_that_no_wait_helps_is_reported_at_once(
    client: UploadClient, service: Service, movie: Path, seconds: float | None
) -> None:
    service.fail(
        "Initialize",
        Failure("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", {"limit": "x"}, retry_seconds=seconds),
    )

    with pytest.raises(QuotaExceeded) as caught:
        await client.upload_file(movie)

    assert service.count("Initialize") == 1
    assert caught.value.metadata["limit"] == "x"
    assert caught.value.retry_seconds == seconds


async def test_usage_has_what_is_used_and_of_how_much(client: UploadClient) -> None:
    usage = await client.usage()

    assert usage.tenant == (
        LimitUsage("open_uploads", 12, 10_000),
        LimitUsage("open_bytes", 5_000_000_000, None),
    )
    assert usage.subject == (
        LimitUsage("open_uploads", 1, None),
        LimitUsage("open_bytes", 0, 7_000_000),
    )


async def test_capabilities_are_what_each_policy_allows(client: UploadClient) -> None:
    found = await client.capabilities()

    assert found == Capabilities(
        version="1.2.3",
        policies=(
            PolicyCapabilities(
                name="photos",
                min_size_bytes=1,
                max_size_bytes=5_000_000,
                content_types=("image/*",),
                extensions={"jpg": ("image/jpeg",)},
                required_metadata=("album",),
                checksums=(Checksum.SHA256, Checksum.NONE),
                default_checksum=Checksum.NONE,
                min_part_size_bytes=1_000,
                default_part_size_bytes=2_000,
                max_part_size_bytes=3_000,
                single_put_max_bytes=1_000,
                upload_seconds=24 * 3600,
                max_upload_seconds=36 * 3600,
                url_seconds=900,
                max_url_seconds=905,
                via_service=False,
            ),
        ),
        max_batch_uploads=100,
        max_batch_parts=1_000,
        max_compose_sources=32,
    )


async def test_an_extended_upload_has_another_id(client: UploadClient, service: Service) -> None:
    upload = pb.Upload(
        id="first",
        state=pb.UPLOAD_STATE_ACTIVE,
        checksum_algorithm=pb.CHECKSUM_ALGORITHM_NONE,
        part_count=1,
        size_bytes=1,
        part_size_bytes=1,
    )
    service.uploads[upload.id] = upload
    deadline = datetime(2099, 1, 1, tzinfo=UTC)

    extended = await client.extend(upload.id, deadline)

    assert extended.expire_time == deadline
    assert extended.upload_id != upload.id
    assert (await client.status(extended.upload_id)).expire_time == deadline


async def test_the_wait_is_what_the_service_asks_for_and_jitter_on_top(
    client: UploadClient, service: Service, slept: Slept, movie: Path
) -> None:
    service.fail("Initialize", *[Failure("UNAVAILABLE", "TIMED_OUT", retry_seconds=3.0)] * 2)

    await client.upload_file(movie)

    assert slept.seconds == [3.25, 3.5]


async def test_a_service_that_never_answered_is_given_up_sooner(
    client: UploadClient, service: Service
) -> None:
    service.fail("Status", *[Failure("UNAVAILABLE")] * 30)

    with pytest.raises(ServiceUnreachable, match="check the address"):
        await client.status("any")

    assert service.count("Status") == 4


async def test_repeating_has_an_end(client: UploadClient, service: Service) -> None:
    service.fail("Status", *[OVERLOADED] * 30)

    with pytest.raises(Overloaded):
        await client.status("any")

    assert service.count("Status") == 24


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (Failure("NOT_FOUND", "UPLOAD_NOT_FOUND"), UploadNotFound),
        (Failure("INVALID_ARGUMENT", "INVALID_REQUEST"), InvalidRequest),
        (Failure("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE"), UploadNotActive),
        (Failure("UNIMPLEMENTED"), CallFailed),
        (Failure("ABORTED"), CallFailed),
    ],
)
async def test_what_stays_wrong_is_not_repeated(
    client: UploadClient, service: Service, failure: Failure, expected: type[Exception]
) -> None:
    service.fail("Abort", failure)

    with pytest.raises(expected):
        await client.abort("any")

    assert service.count("Abort") == 1


async def test_a_stream_that_is_cut_is_read_again(
    client: UploadClient, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(20 * 64 * 1024))
    service.cut_streams = 2

    await client.upload_file(path)

    assert service.count("PresignParts") == 3


async def test_every_call_has_a_deadline(
    client: UploadClient, service: Service, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(20 * 64 * 1024))

    uploaded = await client.upload_file(path)
    await client.status(uploaded.upload_id)
    await client.list_uploads()

    assert len(service.deadlines) == 5
    assert all(seconds < 61 for seconds in service.deadlines)


async def test_the_callers_metadata_goes_with_every_call(
    service: Service, slept: Slept, state_dir: Path, movie: Path
) -> None:
    async with UploadClient(
        service.address,
        call_metadata={"Partway-Tenant": "acme"},
        state_dir=state_dir,
        pace=pace(slept),
    ) as client:
        await client.upload_file(movie)

    assert [metadata["partway-tenant"] for metadata in service.metadata] == ["acme", "acme"]


async def test_a_client_that_is_not_open_says_so(service: Service) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await UploadClient(service.address).status("any")


async def test_status_tells_the_upload_and_its_progress(
    client: UploadClient, service: Service, movie: Path
) -> None:
    uploaded = await client.upload_file(movie)

    plain = await client.status(uploaded.upload_id)
    asked = await client.status(uploaded.upload_id, progress=True)

    assert (plain.state, plain.uri, plain.progress) == (State.COMPLETED, uploaded.uri, None)
    assert asked.progress is not None
    assert (asked.progress.parts_stored, asked.progress.missing) == (10, ())


async def test_all_pages_of_uploads_are_listed_up_to_the_limit(
    client: UploadClient, movie: Path
) -> None:
    names = [f"{n}.mp4" for n in range(5)]
    for name in names:
        await client.upload_file(movie, name=name, policy=name[0])

    everything = await client.list_uploads()
    some = await client.list_uploads(limit=3)
    active = await client.list_uploads(state=State.ACTIVE)
    same = await client.list_uploads(fingerprint=everything[0].fingerprint)

    assert [upload.key.removeprefix("files/") for upload in everything] == names[::-1]
    assert some == everything[:3]
    assert active == []
    assert same == everything[:1]


async def test_no_repr_shows_an_upload_id(client: UploadClient, movie: Path) -> None:
    uploaded = await client.upload_file(movie)

    assert uploaded.upload_id not in repr(uploaded)
    assert uploaded.upload_id not in repr(await client.status(uploaded.upload_id))


async def test_busy_for_good_is_told(client: UploadClient, service: Service) -> None:
    service.fail("Abort", *[BUSY] * 30)

    with pytest.raises(UploadBusy):
        await client.abort("any")


async def test_a_service_that_stays_away_is_said_once_until_it_answers(
    service: Service, slept: Slept, state_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ticks = itertools.count(0, 2)
    policy = pace(slept, monotonic=lambda: float(next(ticks)))
    async with UploadClient(service.address, state_dir=state_dir, pace=policy) as client:
        service.fail("GetUsage", *[UNAVAILABLE] * 6)
        await client.usage()
        assert [record.getMessage() for record in caplog.records] == [
            "waiting for the service, and trying again: as arranged"
        ]
        caplog.clear()
        service.fail("GetUsage", *[UNAVAILABLE] * 2)
        await client.usage()
        # A short one is no news.
        assert not caplog.records


def test_retries_bound_parts_and_calls() -> None:
    never, many = (RetryPolicy().with_retries(retries) for retries in (0, 50))

    assert (never.part_tries, never.call_tries, never.first_call_tries) == (1, 1, 1)
    assert (many.part_tries, many.call_tries, many.first_call_tries) == (51, 51, 51)
    with pytest.raises(ValueError, match="retries must be at least 0"):
        UploadClient(retries=-1)
