"""Tests what a backend does for its users, by the library's client for backends."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from partway.v1 import upload_pb2
from partway_client import PermissionDenied, State, UploadClient, UploadNotFound
from partway_client.server import (
    BackendClient,
    UserUploads,
    WebhookRejected,
    verify_webhook,
)
from standardwebhooks import Webhook

from tests.support.world import World

OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
async def backend(world: World) -> AsyncIterator[BackendClient]:
    async with BackendClient(f"127.0.0.1:{world.port}") as opened:
        yield opened


@pytest.fixture
def alice(backend: BackendClient) -> UserUploads:
    return backend.user("acme", "alice")


def page(world: World, folder: Path, token: str) -> UploadClient:
    """Return what a user's page is: it has a token and nothing else."""
    return UploadClient(f"127.0.0.1:{world.port}", token=token, state_dir=folder)


async def test_a_user_calls_with_the_token_alone(
    world: World, alice: UserUploads, tmp_path: Path
) -> None:
    opened = await alice.open_upload("film.bin", size_bytes=10, metadata={"room": "7"})
    assert opened.upload.state is State.ACTIVE
    assert opened.token not in repr(opened)
    async with page(world, tmp_path, opened.token) as user:
        found = await user.status(opened.upload.upload_id)
        assert found.key == opened.upload.key
    aborted = await alice.abort(opened.upload.upload_id)
    assert aborted.state is State.ABORTED


async def test_a_backend_completes_what_its_user_sent(world: World, alice: UserUploads) -> None:
    allowed = ("presign", "status")
    opened = await alice.open_upload("film.bin", size_bytes=10, checksum="none", actions=allowed)
    await world.send(upload_pb2.Upload(id=opened.upload.upload_id))
    done = await alice.complete(opened.upload.upload_id)
    assert done.state is State.COMPLETED
    assert (await alice.status(opened.upload.upload_id)).etag == done.etag


async def test_a_token_allows_what_was_asked_for_and_no_more(
    world: World, alice: UserUploads, tmp_path: Path
) -> None:
    opened = await alice.open_upload("film.bin", size_bytes=10, actions=("status",))
    upload_id = opened.upload.upload_id
    async with page(world, tmp_path, opened.token) as user:
        assert (await user.status(upload_id)).state is State.ACTIVE
        with pytest.raises(PermissionDenied):
            await user.abort(upload_id)
    later = await alice.new_token(upload_id, actions=("status", "abort"), token_seconds=60)
    assert later.expire_time <= world.clock.now() + timedelta(seconds=61)
    async with page(world, tmp_path, later.token) as user:
        assert (await user.abort(upload_id)).state is State.ABORTED


async def test_another_user_of_the_backend_has_no_such_upload(
    backend: BackendClient, alice: UserUploads
) -> None:
    opened = await alice.open_upload("film.bin", size_bytes=10)
    with pytest.raises(UploadNotFound):
        await backend.user("other", "alice").status(opened.upload.upload_id)


async def test_a_repeated_request_opens_one_upload(alice: UserUploads) -> None:
    request_id = "0f7b1c1c-4b39-4b5e-9d0c-3f2a6c0e8d11"
    first = await alice.open_upload("film.bin", size_bytes=10, request_id=request_id)
    again = await alice.open_upload("film.bin", size_bytes=10, request_id=request_id)
    assert again.upload.key == first.upload.key


async def test_what_is_wrong_is_said_before_a_call(backend: BackendClient) -> None:
    alice = backend.user("acme", "alice")
    with pytest.raises(ValueError, match="'fly' is no action of an upload token"):
        await alice.open_upload("film.bin", size_bytes=10, actions=("fly",))
    with pytest.raises(ValueError, match="must be printable ASCII"):
        backend.user("acme", "aliçe")
    with pytest.raises(RuntimeError, match="async with"):
        BackendClient("127.0.0.1:1").user()


EVENT = {
    "id": "5f0c",
    "type": "upload.completed",
    "time": "2026-03-01T10:00:00Z",
    "data": {"key": "acme/film.bin", "size_bytes": 10},
}


def signed(body: bytes, secret: str, at: datetime | None = None) -> dict[str, str]:
    now = at or datetime.now(UTC)
    return {
        "Webhook-Id": "5f0c",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("5f0c", now, body.decode()),
    }


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_a_webhook_that_one_of_the_secrets_signed_is_an_event(secret: str) -> None:
    body = json.dumps(EVENT).encode()
    event = verify_webhook(body, signed(body, secret), OLD, NEW)
    assert (event.id, event.type) == ("5f0c", "upload.completed")
    assert event.time == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert event.data["key"] == "acme/film.bin"


def test_a_webhook_that_is_not_ours_is_rejected() -> None:
    body = json.dumps(EVENT).encode()
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    for sent, headers in (
        (body, {}),
        (body, signed(body, NEW)),
        (body + b" ", signed(body, OLD)),
        (body, signed(body, OLD, long_ago)),
    ):
        with pytest.raises(WebhookRejected, match="no secret has signed it, or it is too old"):
            verify_webhook(sent, headers, OLD)
    with pytest.raises(ValueError, match="name the secret"):
        verify_webhook(body, signed(body, OLD))


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"id": "1", "time": "soon"}'])
def test_a_body_that_is_no_event_is_rejected(body: bytes) -> None:
    with pytest.raises(WebhookRejected, match="not an event"):
        verify_webhook(body, signed(body, OLD), OLD)
