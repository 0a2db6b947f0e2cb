"""Tests the two principals with the rights of deploy/iam, on a store that enforces them."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.cli.main import main
from partway_server.config.settings import SECRET_FILES, Settings, variable
from partway_server.devstack.servers import S3
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.grant import CopySource, Grant
from partway_server.domain.policy import Policy
from partway_server.redis_client.topology import connect
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.storage.s3 import S3Storage
from partway_server.storage.sigv4 import Credentials
from redis.asyncio import Redis

from tests.support.backends import REDIS_PATIENCE
from tests.support.clock import FakeClock
from tests.support.principals import (
    AWS,
    CONTROL,
    SIGNER,
    Principals,
    a_store_with_principals,
    control_actions,
    without,
)
from tests.support.processes import service_environ
from tests.support.storage import FaultyObjects, put_by
from tests.support.stores import Store, open_s3, reader
from tests.support.upload_situations import LAST_EXPIRY_SECONDS
from tests.support.world import ALICE, PART, World, a_world, content

pytestmark = [pytest.mark.redis, pytest.mark.s3]

BUCKET = "uploads"
COMPLETED = upload_pb2.UPLOAD_STATE_COMPLETED

REFUSED_WITHOUT = {
    ("Objects", "s3:CreateMultipartUpload"): {"create"},
    ("Objects", "s3:CompleteMultipartUpload"): {"complete"},
    ("Objects", "s3:AbortMultipartUpload"): {"abort"},
    ("Objects", "s3:ListMultipartUploadParts"): {"list_parts"},
    ("Objects", "s3:UploadPart"): {"copy_part"},
    ("Objects", "s3:GetObject"): {"head", "copy_part", "check"},
    ("Objects", "s3:DeleteObject"): {"delete", "check", "etags_are_md5"},
    ("Bucket", "s3:ListBucket"): {"check"},
    ("Bucket", "s3:ListBucketMultipartUploads"): {"list_multiparts", "unfinished"},
    ("Probes", "s3:PutObject"): {"check", "etags_are_md5"},
}
"""By the right that the control principal lacks: the calls of storage that then fail."""


@pytest.fixture(scope="module")
def principals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Principals]:
    with a_store_with_principals(tmp_path_factory.mktemp("principals"), BUCKET) as principals:
        yield principals


def signer_of(s3: S3) -> Credentials:
    return Credentials(s3.access_key, s3.secret_key)


@contextlib.asynccontextmanager
async def opened(control: S3, signer: S3) -> AsyncIterator[Store]:
    """Open storage over two principals."""
    async with (
        contextlib.aclosing(await open_s3(control, signer=signer_of(signer))) as storage,
        aiohttp.ClientSession() as http,
    ):
        yield Store(storage, BUCKET, put_by(http), _unread)


async def _unread(grant: Grant) -> Any:
    raise AssertionError("nothing reads by this")


@contextlib.asynccontextmanager
async def world_of(control: S3, signer: S3, redis_url: str) -> AsyncIterator[World]:
    """Run a service over two principals."""
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    clock = FakeClock(datetime.now(UTC).replace(microsecond=0))
    async with opened(control, signer) as store:
        assert isinstance(store.storage, S3Storage)
        await store.storage.check("default", BUCKET)
        async with (
            contextlib.aclosing(
                RedisSessionStore(connect(redis_url), clock=clock, patience=REDIS_PATIENCE)
            ) as sessions,
            a_world(
                clock=clock,
                sessions=sessions,
                storage=FaultyObjects(store.storage),
                put=store.put,
                bucket=BUCKET,
                policies=[Policy("via", BUCKET, via_service=True, single_put_max_bytes=0)],
            ) as world,
        ):
            yield world


async def through_the_service(world: World, upload: upload_pb2.Upload) -> None:
    for number in range(1, upload.part_count + 1):
        last = number == upload.part_count
        size = upload.last_part_size_bytes if last else upload.part_size_bytes
        header = pb.UploadPartHeader(upload_id=upload.id, part_number=number)
        body = content(number, size)
        messages = [pb.UploadPartRequest(header=header)]
        messages += [
            pb.UploadPartRequest(chunk=body[at : at + 2**20]) for at in range(0, size, 2**20)
        ]
        await world.stub.UploadPart(iter(messages), metadata=ALICE)


@pytest.mark.parametrize("whose", ["", AWS], ids=["s3.json", "aws"])
async def test_whole_uploads_work_with_exactly_these_rights(
    principals: Principals, redis_url: str, whose: str
) -> None:
    control, signer = (principals.seen_by(name + whose) for name in (CONTROL, SIGNER))
    async with world_of(control, signer, redis_url) as world:
        completed = []
        for size in (1000, 2 * PART + 7):
            upload = await world.initialize(size)
            await world.send(upload)
            completed.append(await world.complete(upload))
        via = await world.initialize(PART + 7, policy="via")
        await through_the_service(world, via)
        completed.append(await world.complete(via))
        sources = [pb.ComposeSource(upload_id=each.id) for each in completed[1:]]
        request = pb.ComposeRequest(file_name="whole.bin", sources=sources, delete_sources=True)
        completed.append((await world.stub.Compose(request, metadata=ALICE)).upload)
        assert [each.state for each in completed] == [COMPLETED] * 4
        aborted = await world.initialize()
        await world.send(aborted, [1])
        await world.abort(aborted)
        expired = await world.initialize()
        world.clock.advance(LAST_EXPIRY_SECONDS)
        await world.service.janitor.sweep()
        assert [await world.state(each) for each in (aborted, expired)] == ["ABORTED"] * 2
        orphan = await world.initialize()
        await world.lose_row(orphan)
        world.clock.advance(2 * LAST_EXPIRY_SECONDS)
        found: list[Any] = []
        await world.service.sweeper.sweep(found.append)
        assert found
    client = reader(principals.root)
    assert not client.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


async def test_urls_are_signed_by_the_signer_and_calls_by_the_control_principal(
    principals: Principals,
) -> None:
    async with opened(principals.seen_by(CONTROL), principals.seen_by(SIGNER)) as store:
        grant = await store.opened(store.grant())
        part = await store.sign(grant)
        assert f"X-Amz-Credential={SIGNER}%2F" in part.url
        assert (await store.put(part.url, b"123456789", part.headers)).status == 200
        # A single PUT is beyond the control principal, and so shows who signed.
        single = replace(store.grant(), single=True)
        part = await store.sign(single)
        assert (await store.put(part.url, b"123456789", part.headers)).status == 200
    control = principals.seen_by(CONTROL)
    async with opened(control, control) as store:
        part = await store.sign(single)
        assert (await store.put(part.url, b"123456789", part.headers)).status == 403


def test_the_signer_may_do_nothing_but_send_parts_and_objects(principals: Principals) -> None:
    root, signer = reader(principals.root), reader(principals.seen_by(SIGNER))
    place = {"Bucket": BUCKET, "Key": "acme/film.mp4"}
    root.put_object(**place, Body=b"x")
    upload = {**place, "UploadId": root.create_multipart_upload(**place)["UploadId"]}
    etag = signer.upload_part(**upload, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    source = {"Bucket": BUCKET, "Key": "acme/film.mp4"}
    refused: dict[str, Callable[[], Any]] = {
        "GET": lambda: signer.get_object(**place),
        "HEAD": lambda: signer.head_object(**place),
        "LIST": lambda: signer.list_objects_v2(Bucket=BUCKET),
        "list uploads": lambda: signer.list_multipart_uploads(Bucket=BUCKET),
        "list parts": lambda: signer.list_parts(**upload),
        "DELETE": lambda: signer.delete_object(**place),
        "Create": lambda: signer.create_multipart_upload(**place),
        "Complete": lambda: signer.complete_multipart_upload(**upload, MultipartUpload=parts),
        "Abort": lambda: signer.abort_multipart_upload(**upload),
        "copy": lambda: signer.upload_part_copy(**upload, PartNumber=2, CopySource=source),
    }
    statuses = {}
    for name, call in refused.items():
        with pytest.raises(ClientError) as raised:
            call()
        statuses[name] = raised.value.response["ResponseMetadata"]["HTTPStatusCode"]
    root.abort_multipart_upload(**upload)
    assert statuses == dict.fromkeys(refused, 403)


def test_every_right_of_the_control_principal_has_its_test() -> None:
    named = {(sid, a) for sid, actions in control_actions(BUCKET).items() for a in actions}
    assert named == REFUSED_WITHOUT.keys()


@pytest.mark.parametrize(("sid", "action"), REFUSED_WITHOUT, ids=lambda word: word)
async def test_the_control_principal_needs_each_of_its_rights(
    principals: Principals, sid: str, action: str
) -> None:
    control = principals.seen_by(without(sid, action))
    assert await refused_calls(principals, control) == REFUSED_WITHOUT[sid, action]


async def test_the_control_principal_lacks_no_right(principals: Principals) -> None:
    assert await refused_calls(principals, principals.seen_by(CONTROL)) == set()


async def refused_calls(principals: Principals, control: S3) -> set[str]:
    """Return which calls of storage fail for this control principal, each tried once."""
    signer = principals.seen_by(SIGNER)
    async with (
        opened(principals.root, principals.root) as root,
        opened(control, signer) as store,
    ):
        done = await root.stored(root.grant())
        head = await root.storage.head(done)
        assert head is not None
        used = await root.opened(root.grant())
        await root.send(used)
        [part] = await root.storage.list_parts(used)
        copied = await root.opened(root.grant())
        other = await root.opened(root.grant())
        storage = store.storage

        async def listed() -> None:
            async for _ in storage.unfinished("test", BUCKET, "acme/"):
                pass

        source = CopySource(BUCKET, done.key, head.size_bytes, head.etag, head.write_token)
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "create": lambda: storage.create(store.grant(), {}),
            "list_parts": lambda: storage.list_parts(used),
            "list_multiparts": lambda: storage.list_multiparts(used),
            "unfinished": listed,
            "complete": lambda: storage.complete(used, [part]),
            "copy_part": lambda: storage.copy_part(copied, 1, source, 0, head.size_bytes),
            "abort": lambda: storage.abort(other),
            "head": lambda: storage.head(done),
            "etags_are_md5": lambda: storage.etags_are_md5(replace(done, single=True)),
            "check": lambda: storage.check("test", BUCKET),
            "delete": lambda: storage.delete(done, head),
        }
        failed = set()
        for name, call in calls.items():
            try:
                await call()
            except (StorageRefused, StorageUnavailable, ValueError):
                failed.add(name)
        for left in (used, copied, other):
            await root.storage.abort(left)
        return failed


def doctor(principals: Principals, redis_url: str, signer: S3, **files: str) -> dict[str, Any]:
    """Return the findings of the doctor by name."""
    environ = service_environ(
        principals.seen_by(CONTROL),
        redis_url,
        s3_signer_access_key=signer.access_key,
        s3_signer_secret_key=signer.secret_key,
    )
    clean = {variable(f.name): None for f in fields(Settings)}
    given = {variable(name): path for name, path in files.items()}
    dropped = {variable(SECRET_FILES[name]): "" for name in files}
    env = {**clean, **environ, **given, **dropped}
    printed = CliRunner(env=env).invoke(main, ["doctor", "--json"]).stdout
    return {each["name"]: each for each in json.loads(printed)["findings"]}


def test_the_doctor_tries_both_principals(principals: Principals, redis_url: str) -> None:
    found = doctor(principals, redis_url, principals.seen_by(SIGNER))
    assert not [each for each in found.values() if each["status"] == "bad"]
    assert found["storage.signer"]["status"] == "ok"
    assert found["storage.public"]["status"] == "ok"
    assert found["storage.clean"]["status"] == "ok"


def test_the_doctor_warns_of_a_signer_that_may_do_more(
    principals: Principals, redis_url: str
) -> None:
    found = doctor(principals, redis_url, principals.root)["storage.signer"]
    assert found["status"] == "warn"
    assert "AbortMultipartUpload, DeleteObject, GetObject, ListBucket" in found["found"]
    assert "deploy/iam" in found["mend"]


def test_the_doctor_says_what_a_signer_that_cannot_sign_prevents(
    principals: Principals, redis_url: str
) -> None:
    found = doctor(principals, redis_url, replace(principals.root, secret_key="wrong"))
    assert found["storage.public"]["status"] == "bad"


def test_the_doctor_names_the_secrets_that_every_user_can_read(
    principals: Principals, redis_url: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(principals.seen_by(CONTROL).secret_key)
    for mode, status in ((0o644, "warn"), (0o600, "ok")):
        secret.chmod(mode)
        files = {"s3_secret_key_file": str(secret)}
        found = doctor(principals, redis_url, principals.seen_by(SIGNER), **files)
        assert found["settings.secret_files"]["status"] == status
        assert found["storage.credentials"]["status"] == "ok"
