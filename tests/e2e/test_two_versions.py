"""The previous version and the present one serve the same uploads, over one Redis and one storage.

So it is during every deployment. What either makes, the other must continue: each test of an upload
runs in both directions.
"""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import grpc
import msgpack
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.devstack.servers import S3, start_valkey
from redis import Redis
from standardwebhooks import Webhook as Verifier

from tests.support.bucket import Bucket, look_into
from tests.support.previous_version import (
    PRESENT,
    PREVIOUS,
    REVISION,
    ROOT,
    VERSIONS,
    Side,
    VersionedService,
    as_caller,
    body,
    both_versions,
    check_out,
    checksum,
    content,
    part_body,
)
from tests.support.processes import until
from tests.support.relay import End, Fault, Relay
from tests.support.storage import Put, put_by
from tests.support.webhooks import SECRET, Endpoint, an_endpoint
from tests.support.wired import COMPLETE, relay_to
from tests.support.world import failure

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]

MIB = 1024 * 1024
PART = 5 * MIB
TWO_PARTS = {"size_bytes": PART + 7, "part_size_bytes": PART}
SMALL = {"size_bytes": 1000}
SHA256 = upload_pb2.CHECKSUM_ALGORITHM_SHA256
CRC64NVME = upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME
WHOLE = checksum(CRC64NVME, content(1, PART) + content(2, 7))

KINDS: dict[str, dict[str, Any]] = {
    "multipart": TWO_PARTS,
    "multipart with SHA-256": {**TWO_PARTS, "checksum_algorithm": SHA256},
    "multipart with one checksum": {
        **TWO_PARTS,
        "checksum_algorithm": CRC64NVME,
        "checksum": WHOLE,
    },
    "single PUT": SMALL,
    "single PUT with SHA-256": {**SMALL, "checksum_algorithm": SHA256},
}

ACTIVE = upload_pb2.UPLOAD_STATE_ACTIVE
COMPLETED = upload_pb2.UPLOAD_STATE_COMPLETED
ABORTED = upload_pb2.UPLOAD_STATE_ABORTED

EVENT_SOURCE = "/uploads/rolling"
WEBHOOK = "orders"

UNHEARD = Fault(request_bytes=0, end=End.SILENCE)
UNANSWERED = Fault(end=End.SILENCE)

Pair = tuple[Side, Side]
"""The side that makes an upload, and the other one."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Both versions over one Redis, with a webhook."""

    services: dict[str, VersionedService]
    redis_url: str
    endpoint: Endpoint


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the previous version."""
    return check_out(tmp_path_factory.mktemp("previous-version"))


@pytest.fixture(scope="module")
def bucket(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with look_into(s3, f"two-versions-{uuid4().hex[:12]}") as bucket:
        yield bucket


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    """An endpoint that outlives the event loops of the tests: it runs in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    opened = an_endpoint()
    try:
        yield run(opened.__aenter__())
        run(opened.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def deployment(
    previous: Path,
    s3: S3,
    bucket: Bucket,
    endpoint: Endpoint,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """Both versions, for the tests that do no harm to either."""
    folder = tmp_path_factory.mktemp("two-versions")
    webhooks = folder / "webhooks.toml"
    webhooks.write_text(
        f'[webhook.{WEBHOOK}]\nurl = "{endpoint.url}"\nsecret_env = "SECRET"\n'
        "allow_http = true\nallow_private = true\n"
    )
    settings = {**common(folder, bucket), "webhook_file": webhooks, "event_source": EVENT_SOURCE}
    environ = {"SECRET": "whsec_" + base64.b64encode(SECRET).decode()}
    valkey, redis_url = start_valkey(folder, keep=False)
    with (
        valkey,
        both_versions(previous, folder, s3, redis_url, environ=environ, **settings) as services,
    ):
        yield Deployment(services, redis_url, endpoint)
        assert_no_traceback(services)


def common(folder: Path, bucket: Bucket) -> dict[str, object]:
    """What both versions are set to in every test."""
    policies = folder / "policies.toml"
    policies.write_text('[policy.default]\nvia_service = true\nsingle_put_max_bytes = "1MiB"\n')
    return {
        "bucket": bucket.name,
        "policy_file": policies,
        "identity": "metadata",
        # Short, since others wait for the lease of a process that was killed.
        "lease_seconds": 3,
        "janitor_seconds": 1,
    }


def assert_no_traceback(services: dict[str, VersionedService]) -> None:
    for service in services.values():
        assert "Traceback" not in service.logged()


@pytest.fixture
async def put() -> AsyncIterator[Put]:
    async with aiohttp.ClientSession() as http:
        yield put_by(http)


@pytest.fixture
def tenant() -> str:
    """A caller of the test's own, who sees no uploads of others."""
    return f"tenant-{uuid4().hex[:12]}"


@pytest.fixture(params=VERSIONS)
async def pair(
    request: pytest.FixtureRequest, deployment: Deployment, put: Put, tenant: str
) -> AsyncIterator[Pair]:
    """The version of the parameter, which makes the uploads, and the other, which continues."""
    async with sides(deployment.services, request.param, put, tenant) as pair:
        yield pair


@contextlib.asynccontextmanager
async def sides(
    services: dict[str, VersionedService], first: str, put: Put, tenant: str
) -> AsyncIterator[Pair]:
    [other] = set(VERSIONS) - {first}
    async with (
        as_caller(services[first], put, tenant) as one,
        as_caller(services[other], put, tenant) as two,
    ):
        yield one, two


def sha256(upload: upload_pb2.Upload) -> str:
    return hashlib.sha256(body(upload)).hexdigest()


async def refusal(call: Awaitable[Any]) -> tuple[str, str]:
    found = await failure(call)
    return found.code, found.reason


async def test_each_process_runs_the_code_of_its_version(
    deployment: Deployment, previous: Path
) -> None:
    for name, tree in ((PREVIOUS, previous), (PRESENT, ROOT)):
        found = deployment.services[name].imported_from()
        assert found == [
            tree / "generated" / "partway" / "__init__.py",
            tree / "server" / "partway_server" / "__init__.py",
        ]


def test_a_revision_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match="the previous version, 0000000") as failed:
        check_out(tmp_path, "0" * 40)
    assert "git fetch --unshallow" in str(failed.value)
    assert "PARTWAY_TEST_PREVIOUS" in str(failed.value)
    assert re.fullmatch("[0-9a-f]{7,40}", REVISION)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_upload_goes_back_and_forth(pair: Pair, bucket: Bucket, kind: str) -> None:
    first, other = pair
    upload = await first.initialize(**KINDS[kind])
    assert (await other.status(upload)).upload == upload
    stream = other.watch(upload)
    assert (await stream.read()).upload == upload

    several = upload.part_count > 1
    sent = await other.send(upload) if several else []
    for side, number in zip(itertools.cycle(pair), range(1, upload.part_count + 1), strict=False):
        size = len(part_body(upload, number))
        await side.report(upload, upload_pb2.Part(part_number=number, size_bytes=size))
        await watch_until(stream, lambda seen, n=number: seen.reported.parts_stored == n)
    assert (await other.status(upload)).reported == (await first.status(upload)).reported
    if several:
        held = await first.parts(upload)
        assert await other.parts(upload) == held
        assert [part.etag for part in held] == [part.etag for part in sent]
    else:
        # Not before: one PUT makes the object, and whichever looks first completes the upload.
        await other.send(upload)
    found = await first.status(upload)
    assert found.progress.bytes_stored == upload.size_bytes
    assert await other.status(upload) == found

    finished = await first.complete(upload)
    assert finished.state == COMPLETED
    assert await other.complete(upload) == finished
    assert (await watch_until(stream, lambda seen: seen.upload.state == COMPLETED)) == finished
    assert await other.status(upload) == await first.status(upload)
    assert bucket.sha256(finished.object.key) == sha256(upload)


async def watch_until(stream: Any, seen: Any) -> upload_pb2.Upload:
    """Read the stream up to the message that is wanted; the Upload in it."""
    async with asyncio.timeout(10):
        while not seen(message := await stream.read()):
            assert message, "the stream ended before"
    return message.upload


async def test_a_request_id_opens_one_upload(pair: Pair, bucket: Bucket) -> None:
    first, other = pair
    fields = {**TWO_PARTS, "request_id": str(uuid4()), "fingerprint": "film"}
    upload = await first.initialize(**fields)
    assert await other.initialize(**fields) == upload
    changed = {**fields, "size_bytes": 1}
    expected = ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert await refusal(other.initialize(**changed)) == expected
    assert bucket.unfinished(upload.object.key) == 1

    for _ in range(5):
        fields["request_id"] = str(uuid4())
        one, two = await asyncio.gather(*(side.initialize(**fields) for side in pair))
        assert one == two
    assert len((await first.listed()).uploads) == 6


async def test_an_abort_holds_on_both(pair: Pair, bucket: Bucket) -> None:
    first, other = pair
    upload = await first.initialize(**TWO_PARTS)
    await other.send(upload, 1)
    aborted = await first.abort(upload)
    assert aborted.state == ABORTED
    assert aborted.abort_reason == upload_pb2.ABORT_REASON_REQUESTED
    assert (await other.status(upload)).upload == aborted
    assert await other.abort(upload) == aborted
    assert await refusal(other.complete(upload)) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert bucket.unfinished(upload.object.key) == 0


async def test_completes_on_both_at_the_same_moment_make_one_object(
    pair: Pair, bucket: Bucket
) -> None:
    first, other = pair

    async def race(**fields: Any) -> None:
        upload = await first.initialize(**fields)
        await other.send(upload)
        one, two = await asyncio.gather(*(side.complete(upload) for side in pair))
        assert one.state == COMPLETED
        assert one == two
        assert bucket.sha256(one.object.key) == sha256(upload)

    await asyncio.gather(*(race(**fields) for fields in (TWO_PARTS, SMALL) * 3))
    contents = bucket.client.list_objects_v2(Bucket=bucket.name, Prefix=first.caller[0][1])
    assert contents["KeyCount"] == 6


async def test_parts_pass_through_either(pair: Pair, bucket: Bucket) -> None:
    first, other = pair
    upload = await first.initialize(**TWO_PARTS)
    sent = [await other.send_through(upload, 1), await first.send_through(upload, 2)]
    assert await other.parts(upload) == sent
    assert (await first.status(upload)).reported.parts_stored == 2
    finished = await other.complete(upload)
    assert await first.complete(upload) == finished
    assert bucket.sha256(finished.object.key) == sha256(upload)


async def completed(maker: Side, **fields: Any) -> upload_pb2.Upload:
    upload = await maker.initialize(**fields)
    await maker.send(upload)
    return await maker.complete(upload)


async def test_one_composes_what_the_other_made(pair: Pair, bucket: Bucket) -> None:
    first, other = pair
    sources = [await completed(first, **TWO_PARTS), await completed(first, **SMALL)]
    fields = {"request_id": str(uuid4()), "fingerprint": "whole"}
    made = await other.compose(*sources, **fields)
    assert (made.state, made.source_count) == (COMPLETED, 2)
    assert await first.compose(*sources, **fields) == made
    assert await first.status(made) == await other.status(made)
    assert bucket.body(made.object.key) == b"".join(map(body, sources))
    # Further: of what both made.
    again = await first.compose(sources[0], made)
    assert bucket.body(again.object.key) == body(sources[0]) + b"".join(map(body, sources))


async def test_both_list_the_same_and_continue_each_others_pages(pair: Pair) -> None:
    first, other = pair
    made = [await side.initialize(**SMALL, fingerprint="film") for side in pair * 3]
    await other.abort(made[0])
    whole = list((await first.listed()).uploads)
    assert {upload.id for upload in whole} == {upload.id for upload in made}
    assert list((await other.listed()).uploads) == whole
    for fields in ({"state": ABORTED}, {"fingerprint": "film"}, {"policy": "default"}):
        assert await first.listed(**fields) == await other.listed(**fields)

    paged, token = [], ""
    for side in itertools.cycle(pair):
        page = await side.listed(page_size=2, page_token=token)
        paged += page.uploads
        if not (token := page.next_page_token):
            break
    assert paged == whole

    upload = await first.initialize(**TWO_PARTS)
    await first.send(upload)
    request = pb.ListPartsRequest(upload_id=upload.id, page_size=1)
    page = await first.call("ListParts", request)
    request.page_token = page.next_page_token
    rest = await other.call("ListParts", request)
    assert [*page.parts, *rest.parts] == await other.parts(upload)


async def test_both_store_an_upload_in_the_same_form(deployment: Deployment, put: Put) -> None:
    forms = {}
    with Redis.from_url(deployment.redis_url) as redis:
        for first, last in itertools.product(VERSIONS, repeat=2):
            tenant = f"tenant-{uuid4().hex[:12]}"
            async with (
                as_caller(deployment.services[first], put, tenant) as one,
                as_caller(deployment.services[last], put, tenant) as two,
            ):
                forms[first, last] = [form async for form in forms_of_a_life(redis, one, two)]
    [expected, *others] = forms.values()
    names = {re.sub("{..}", "{NN}", key) for form in expected for key in form}
    assert names == {
        "partway:{NN}:upload:SID",
        "partway:{NN}:own:TENANT:alice",
        "partway:{NN}:due",
        "partway:{NN}:events",
    }
    for other in others:
        assert other == expected


async def forms_of_a_life(redis: Redis, first: Side, last: Side) -> AsyncIterator[dict[str, Any]]:
    """What Redis holds at each step of uploads that the first opens and the last one ends."""
    fields = {"fingerprint": "film", "metadata": {"title": "one"}, "request_id": str(uuid4())}
    sources = []
    for kind in KINDS.values():
        upload = await first.initialize(**kind, **fields)
        fields["request_id"] = str(uuid4())
        yield stored_form(redis, upload)
        await last.report(upload, *await last.send(upload))
        yield stored_form(redis, upload)
        sources.append(await last.complete(upload))
        yield stored_form(redis, upload)
    aborted = await first.initialize(**TWO_PARTS, **fields)
    await last.abort(aborted)
    yield stored_form(redis, aborted)
    fields["request_id"] = str(uuid4())
    composed = await first.compose(*sources[:2], delete_sources=True, **fields)
    assert (await last.complete(composed)).state == COMPLETED
    yield stored_form(redis, composed)


def sid_of(upload: upload_pb2.Upload) -> str:
    """The short id: the default template of keys names it, with a mark behind it."""
    return upload.object.key.split("/")[-2].partition("-")[0]


def stored_form(redis: Redis, upload: upload_pb2.Upload) -> dict[str, Any]:
    """The keys that Redis holds of the upload, by their names without its own, and their form."""
    sid, tenant = sid_of(upload), upload.object.key.split("/")[0]
    shard = f"{int(sid[-2:], 16) % 64:02}"
    form: dict[str, Any] = {}
    for key in redis.scan_iter(f"partway:{{{shard}}}:*"):
        name, kind = key.decode(), redis.type(key).decode()
        if kind == "hash" and sid in name:
            found: Any = {k.decode(): value_form(k, v) for k, v in redis.hgetall(key).items()}
        elif kind == "zset":
            members = [each.decode() for each in redis.zrange(key, 0, -1)]
            found = [re.sub("^[0-9a-f]{10}(?=SID)", "TIME", m.replace(sid, "SID")) for m in members]
            found = [member for member in found if "SID" in member]
        elif kind == "stream":
            entries = [
                fields for _, fields in redis.xrange(key) if fields[b"upload"] == sid.encode()
            ]
            found = [event_form(fields) for fields in entries]
        else:
            continue
        if found:
            name = name.replace(sid, "SID").replace(tenant, "TENANT").replace(shard, "NN")
            form[name] = (kind, redis.pttl(key) > 0, found)
    return form


def value_form(name: bytes, value: bytes) -> Any:
    """What is the same of a stored field in all uploads of a kind: never its whole value."""
    if not value:
        return "empty"
    if name in (b"grant", b"object", b"metadata", b"sources"):
        return packed_form(msgpack.unpackb(value))
    return value.decode() if name in (b"state", b"reason", b"told", b"policy") else "a value"


def packed_form(value: Any) -> Any:
    if isinstance(value, list):
        return [packed_form(each) for each in value]
    if isinstance(value, dict):
        return {key: packed_form(each) for key, each in value.items()}
    return type(value).__name__


def event_form(entry: dict[bytes, bytes]) -> Any:
    event = json.loads(entry[b"event"])
    return sorted(entry), entry[b"type"], list(event), list(event["data"])


@pytest.mark.parametrize("alone", VERSIONS)
async def test_each_event_is_sent_once_whichever_version_sends_it(
    deployment: Deployment, put: Put, tenant: str, alone: str
) -> None:
    services, got = deployment.services, deployment.endpoint.got
    [away] = set(VERSIONS) - {alone}
    async with sides(services, alone, put, tenant) as (first, other):
        before = {name: service.delivered() for name, service in services.items()}
        expected = await eventful(first, other)
        expected += await eventful(other, first)
        await until_sent(got, expected)
        with Redis.from_url(deployment.redis_url) as redis:
            assert_leases_have_one_form(redis)
        for name, service in services.items():
            assert service.delivered() > before[name], name

        assert await asyncio.to_thread(services[away].server.stop) == 0
        expected += await eventful(first, first)
        await until_sent(got, expected)
        await asyncio.to_thread(services[away].start)
        expected += await eventful(other, first)
        await until_sent(got, expected)

    # Of every test that was here before, too.
    with Redis.from_url(deployment.redis_url) as redis:
        streams = list(redis.scan_iter("partway:{*}:events"))
        await until(lambda: all_settled(redis, streams))
        told = Counter(f[b"id"].decode() for key in streams for _, f in redis.xrange(key))
    assert Counter(deployment.endpoint.ids) == told
    assert set(told.values()) == {1}
    for each in got:
        assert Verifier(SECRET).verify(each.body, dict(each.headers))["source"] == EVENT_SOURCE


async def eventful(maker: Side, ender: Side) -> Counter[tuple[str, str]]:
    """Make uploads, so many that both versions have events to send; the events to come of them."""
    made = [await maker.initialize(**SMALL) for _ in range(12)]
    for upload in made[::2]:
        await ender.send(upload)
        await ender.complete(upload)
    for upload in made[1::2]:
        await ender.abort(upload)
    ends = itertools.cycle(("upload.completed", "upload.aborted"))
    pairs = [(sid_of(upload), kind) for upload, kind in zip(made, ends, strict=False)]
    return Counter([*pairs, *((sid, "upload.initialized") for sid, _ in pairs)])


def events_of(got: list[Any], expected: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """How often the endpoint got each event of these uploads."""
    sids = {sid for sid, _ in expected}
    events = [json.loads(each.body) for each in list(got)]
    return Counter((e["subject"], e["type"]) for e in events if e["subject"] in sids)


def assert_leases_have_one_form(redis: Redis) -> None:
    """Both versions lease shards of the webhook, and write the same fields."""
    leases = [redis.hgetall(key) for key in redis.scan_iter(f"partway:{{*}}:lease:{WEBHOOK}")]
    assert len(leases) == 64
    assert len({lease[b"owner"] for lease in leases}) == 2
    assert len({frozenset(lease) for lease in leases}) == 1


def all_settled(redis: Redis, streams: list[bytes]) -> bool:
    groups = [redis.xinfo_groups(key) for key in streams]
    return all(len(g) == 1 and g[0]["pending"] == 0 and not g[0]["lag"] for g in groups)


async def until_sent(got: list[Any], expected: Counter[tuple[str, str]]) -> None:
    try:
        await until(lambda: events_of(got, expected) == expected)
    except TimeoutError:
        assert events_of(got, expected) == expected


@pytest.fixture(params=VERSIONS)
async def fragile(
    request: pytest.FixtureRequest,
    previous: Path,
    tmp_path: Path,
    s3: S3,
    bucket: Bucket,
    put: Put,
    tenant: str,
) -> AsyncIterator["Fragile"]:
    """Both versions over a Redis that is theirs alone, the first with a relay to storage."""
    valkey, redis_url = start_valkey(tmp_path, keep=False)
    with valkey:
        async with relay_to(s3.endpoint) as storage:
            of_one = {request.param: {"s3_endpoint": f"http://{storage.address}"}}
            settings = {**common(tmp_path, bucket), "s3_public_endpoint": s3.endpoint}
            running = both_versions(previous, tmp_path, s3, redis_url, of_one=of_one, **settings)
            # They ask storage at their start, through the relay: so the loop must go on meanwhile.
            services = await asyncio.to_thread(running.__enter__)
            try:
                async with sides(services, request.param, put, tenant) as pair:
                    yield Fragile(*pair, storage, redis_url)
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)
            assert_no_traceback(services)


@dataclass(frozen=True, slots=True)
class Fragile:
    """Two versions that may be harmed. `storage` is the way of the first to storage."""

    first: Side
    other: Side
    storage: Relay
    redis_url: str


async def test_the_other_takes_over_when_one_is_killed(fragile: Fragile, bucket: Bucket) -> None:
    first, other, storage = fragile.first, fragile.other, fragile.storage
    opened = await first.initialize(**TWO_PARTS)
    half = await first.initialize(**TWO_PARTS)
    await first.report(half, *await first.send(half, 1))
    completing, calls = [], []
    for fault in (UNHEARD, UNANSWERED):
        upload = await first.initialize(**TWO_PARTS)
        await first.send(upload)
        storage.on(COMPLETE, fault)
        completing.append(upload)
        calls.append(asyncio.ensure_future(attempt(first, upload)))
        await until(lambda: storage.struck == len(calls))

    await asyncio.to_thread(first.service.kill)
    storage.spare()
    storage.drop()
    for upload in (opened, half):
        missing = await other.send(upload)
        assert [part.part_number for part in missing] == ([1, 2] if upload is opened else [2])
    finished = {u.id: await other.complete(u) for u in (opened, half, *completing)}
    await asyncio.gather(*calls)

    await asyncio.to_thread(first.service.start)
    for upload in (opened, half, *completing):
        done = finished[upload.id]
        assert done.state == COMPLETED
        assert (await first.status(upload)).upload == done
        assert await first.complete(upload) == done
        assert bucket.sha256(done.object.key) == sha256(upload)
        assert bucket.unfinished(done.object.key) == 0


async def attempt(side: Side, upload: upload_pb2.Upload) -> None:
    """Complete it at a service that is about to be killed."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        await side.stub.Complete(pb.CompleteRequest(upload_id=upload.id), metadata=side.caller)


async def test_each_rebuilds_the_ids_of_the_other_when_redis_is_emptied(
    fragile: Fragile, bucket: Bucket
) -> None:
    first, other = fragile.first, fragile.other
    half = await first.initialize(**TWO_PARTS)
    await first.send(half, 1)
    small = await first.initialize(**SMALL)
    done = await completed(first, **TWO_PARTS)
    aborted = await first.abort(await first.initialize(**TWO_PARTS))

    def forget() -> None:
        with Redis.from_url(fragile.redis_url) as redis:
            assert redis.flushall()

    for one, two in ((other, first), (first, other)):
        forget()
        for upload in (half, small):
            found = (await one.status(upload)).upload
            assert (found.state, found.object) == (ACTIVE, upload.object)
        over = ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
        assert await refusal(one.complete(aborted)) == over
        assert (await one.status(aborted)).upload.state == ABORTED
        assert await one.complete(done) == (await one.status(done)).upload
        for upload in (half, small, done, aborted):
            assert (await two.status(upload)).upload == (await one.status(upload)).upload
        assert (await two.status(done)).upload.object == done.object
        assert (await one.listed()).uploads == (await two.listed()).uploads

    assert [part.part_number for part in await other.send(half)] == [2]
    await other.send(small)
    for upload in (half, small):
        finished = await other.complete(upload)
        forget()
        assert await first.complete(upload) == finished
        assert bucket.sha256(finished.object.key) == sha256(upload)
