"""Tests that no RPC acts on an Upload that its caller has no right to: every RPC x every way.

The RPCs come from the descriptor, so that a new one is tested without a line of its own. Each way
has one answer, whatever the RPC, and costs no call to storage; none to Redis either, unless that
answer depends on the session record.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.grant import Grant
from partway_server.domain.policy import Policy
from partway_server.domain.principal import UploadAction, UploadToken
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.domain.upload_token_cipher import UploadTokenCipher
from partway_server.rpc.permissions import PERMISSIONS
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.memory import MemoryStorage
from partway_server.storage.router import StorageRouter

from tests.support.calls import METHODS, NAMING, call, naming
from tests.support.clock import FakeClock
from tests.support.counted_sessions import counted
from tests.support.storage import FaultyObjects, put_into
from tests.support.world import ALICE, BOB, EVE, PART, SEALING_KEY, World, a_world, failure

ALL_ACTIONS = frozenset(UploadAction)
BY_TOKEN = [name for name in NAMING if PERMISSIONS[name].action is not None]
DROPPED_KEY = bytes(reversed(SEALING_KEY))
LONG = 400 * 24 * 3600

SAME_TENANT = {"Compose"}
"""The RPCs to which an Upload of any subject of the tenant may be named."""


@dataclass
class Seams:
    """A service that passes parts through, with the calls made to its two stores."""

    world: World
    session_calls: list[str]
    upload: upload_pb2.Upload
    grant: Grant

    def token(self, **changes: Any) -> UploadToken:
        token = UploadToken(
            self.grant.caller,
            self.grant.sid,
            self.grant.write_token,
            ALL_ACTIONS,
            self.grant.expire_time,
        )
        return replace(token, **changes)


@pytest.fixture
async def seams(clock: FakeClock) -> AsyncIterator[Seams]:
    async with a_service(clock) as made:
        yield made


@contextlib.asynccontextmanager
async def a_service(clock: FakeClock) -> AsyncIterator[Seams]:
    near, (sessions, calls) = MemoryStorage(clock=clock), counted(MemorySessionStore(clock))
    async with a_world(
        clock=clock,
        sessions=sessions,
        storage=FaultyObjects(StorageRouter({"default": near})),
        put=put_into(near),
        policies=[Policy("default", "uploads", via_service=True)],
    ) as world:
        upload = await world.initialize(PART + 7)
        await world.send(upload)
        yield Seams(world, calls, upload, world.grant(upload))


def by_token(token: UploadToken, key: bytes = SEALING_KEY) -> Any:
    return (("authorization", f"Partway {UploadTokenCipher([key]).encrypt(token)}"),)


def with_changes(seams: Seams, key: bytes = SEALING_KEY, **changes: Any) -> str:
    return UploadIdCipher([key]).encrypt(replace(seams.grant, **changes))


def tampered(upload_id: str) -> str:
    middle = len(upload_id) // 2
    return upload_id[:middle] + ("A" if upload_id[middle] != "A" else "B") + upload_id[middle + 1 :]


Attempt = tuple[str, Any]
"""The upload_id to name, and the metadata to call with."""


async def of_another(seams: Seams) -> Attempt:
    other = await seams.world.initialize(PART + 7)
    grant = seams.world.grant(other)
    return seams.upload.id, by_token(seams.token(sid=grant.sid, write_token=grant.write_token))


async def of_another_tenant(seams: Seams) -> Attempt:
    """Use what a caller of another tenant made for an Upload of its own."""
    request = naming("CreateUploadToken", await an_id_of(seams.world, EVE))
    made = await call(seams.world.stub, "CreateUploadToken", request, EVE)
    return seams.upload.id, (("authorization", f"Partway {made.upload_token.token}"),)


async def an_id_of(world: World, caller: Any) -> str:
    answer = await world.stub.Initialize(pb.InitializeRequest(size_bytes=1), metadata=caller)
    return str(answer.upload.id)


NOT_FOUND: dict[str, Callable[[Seams], Awaitable[Attempt] | Attempt]] = {
    "other tenant": lambda seams: (seams.upload.id, EVE),
    "other subject": lambda seams: (seams.upload.id, BOB),
    "tampered": lambda seams: (tampered(seams.upload.id), ALICE),
    "dropped key": lambda seams: (with_changes(seams, DROPPED_KEY), ALICE),
    "token of another upload": of_another,
    "token of another tenant": of_another_tenant,
    "token of the sid's former upload": lambda seams: (
        seams.upload.id,
        by_token(seams.token(write_token="0" * 32)),
    ),
    "token, tampered id": lambda seams: (tampered(seams.upload.id), by_token(seams.token())),
    "token and the tenant's name": lambda seams: (
        with_changes(seams, sid="1" * 32),
        (*ALICE, *by_token(seams.token())),
    ),
}


async def refused(seams: Seams, name: str, attempt: Attempt) -> Any:
    """Return the failure of a call that must cost nothing."""
    upload_id, metadata = attempt
    seams.session_calls.clear()
    seams.world.storage.calls.clear()
    failed = await failure(call(seams.world.stub, name, naming(name, upload_id), metadata))
    assert seams.world.storage.calls == []
    return failed


@pytest.mark.parametrize("name", NAMING)
@pytest.mark.parametrize("way", NOT_FOUND)
async def test_what_is_not_the_callers_is_not_found(seams: Seams, name: str, way: str) -> None:
    if way == "other subject" and name in SAME_TENANT:
        pytest.skip("the tenant is enough")
    if way.startswith("token") and name not in BY_TOKEN:
        pytest.skip("no token allows it: see the next tests")
    made = NOT_FOUND[way](seams)
    failed = await refused(seams, name, made if isinstance(made, tuple) else await made)
    assert (failed.code, failed.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
    assert (failed.message, failed.metadata) == ("upload not found", {})
    assert set(failed.details) == {"ErrorInfo", "ResourceInfo"}
    assert failed.details["ResourceInfo"] == error_details_pb2.ResourceInfo(
        resource_type="partway.v1.Upload",
        description="does not exist or belongs to another caller",
    )
    assert seams.session_calls == []
    assert await seams.world.state(seams.upload) == "ACTIVE"


@pytest.mark.parametrize("name", METHODS)
async def test_a_token_without_the_action_is_refused(seams: Seams, name: str) -> None:
    action = PERMISSIONS[name].action
    actions = ALL_ACTIONS - {action} if action else ALL_ACTIONS
    metadata = by_token(seams.token(actions=actions))
    failed = await refused(seams, name, (seams.upload.id, metadata))
    needed = f"UPLOAD_ACTION_{action.upper()}" if action else PERMISSIONS[name].scope
    assert (failed.code, failed.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
    assert failed.message == f"the credentials do not allow this; needed is {needed}"
    assert failed.metadata == {"needed": needed}
    assert seams.session_calls == []


@pytest.mark.parametrize("name", METHODS)
async def test_a_token_after_its_end_is_refused(seams: Seams, name: str) -> None:
    ended = seams.world.clock.now()
    metadata = by_token(seams.token(expire_time=ended))
    failed = await refused(seams, name, (seams.upload.id, metadata))
    assert (failed.code, failed.reason) == ("UNAUTHENTICATED", "UPLOAD_TOKEN_EXPIRED")
    assert failed.message == "the upload token has expired; get another from whoever made it"
    assert failed.metadata == {}
    assert seams.session_calls == []


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("way", ["dropped key", "tampered", "an upload_id", "twice"])
async def test_credentials_that_are_no_token_of_ours_are_rejected(
    seams: Seams, name: str, way: str
) -> None:
    [(key, value)] = good = by_token(seams.token())
    metadata = {
        "dropped key": by_token(seams.token(), DROPPED_KEY),
        "tampered": ((key, tampered(value)),),
        "an upload_id": ((key, f"Partway {seams.upload.id}"),),
        "twice": (*good, *good),
    }[way]
    # Valid names beside it change nothing: it is never taken for a call without a token.
    failed = await refused(seams, name, (seams.upload.id, (*ALICE, *metadata)))
    assert (failed.code, failed.reason) == ("UNAUTHENTICATED", "CREDENTIALS_REJECTED")
    assert (failed.message, failed.metadata) == ("the credentials are not accepted", {})
    assert seams.session_calls == []


REBUILT = {"Complete", "BatchComplete", "Abort", "Status", "Watch", "Compose"}
"""The RPCs that storage alone can answer about an ended Upload without a session record."""


@pytest.mark.parametrize("who", ["caller", "token"])
@pytest.mark.parametrize("name", [name for name in NAMING if name not in REBUILT])
async def test_an_expired_id_without_a_record_is_refused(seams: Seams, name: str, who: str) -> None:
    if who == "token" and name not in BY_TOKEN:
        pytest.skip("no token allows it")
    await seams.world.lose_row(seams.upload)
    seams.world.clock.advance(LONG)
    # A token ends with its Upload; this one could not have been made.
    later = seams.world.clock.now() + timedelta(hours=1)
    metadata = ALICE if who == "caller" else by_token(seams.token(expire_time=later))
    failed = await refused(seams, name, (seams.upload.id, metadata))
    assert (failed.code, failed.reason) == ("FAILED_PRECONDITION", "UPLOAD_NOT_ACTIVE")
    assert failed.metadata["abort_reason"] == "ABORT_REASON_EXPIRED"
    assert seams.session_calls == ["get"]


# Watch would go on: the Upload is ACTIVE until the janitor comes.
@pytest.mark.parametrize("name", sorted(REBUILT - {"Watch"}))
async def test_an_expired_id_without_a_record_opens_and_signs_nothing(
    seams: Seams, name: str
) -> None:
    await seams.world.lose_row(seams.upload)
    seams.world.clock.advance(LONG)
    seams.world.storage.calls.clear()
    with contextlib.suppress(grpc.aio.AioRpcError):  # Some are answered: how it ended.
        await call(seams.world.stub, name, naming(name, seams.upload.id), ALICE)
    assert not {"create", "presigner", "put_part", "copy_part"} & set(seams.world.storage.calls)


@pytest.mark.parametrize("name", NAMING)
async def test_an_id_of_another_backend_never_reaches_this_one(seams: Seams, name: str) -> None:
    """Such an id is genuine: another replica has the backend, or an operator removed it."""
    elsewhere = with_changes(seams, backend="elsewhere", sid="2" * 32, write_token="3" * 32)
    failed = await failure(call(seams.world.stub, name, naming(name, elsewhere), ALICE))
    if name == "Compose":
        assert failed.code == "FAILED_PRECONDITION"
    else:
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "STORAGE_UNAVAILABLE")
        assert "backend 'elsewhere' is not configured" in failed.message


def test_every_rpc_that_names_parts_is_known() -> None:
    """A new one must hold to the part range of a token: test_upload_token has the others."""

    def names_parts(message: Any) -> bool:
        return any(
            field.name == "part_number"
            or (field.message_type is not None and field.message_type.name == "PartRange")
            or (field.message_type is not None and names_parts(field.message_type))
            for field in message.fields
        )

    limited = {"PresignParts", "BatchPresignParts", "ReportParts", "UploadPart", "PutPart"}
    named = {name for name in BY_TOKEN if names_parts(METHODS[name].input_type)}
    # Complete joins all parts, whoever sent them.
    assert named == limited | {"Complete"}


def test_every_rpc_about_an_upload_is_in_the_matrix() -> None:
    assert {"UploadPart", "PutPart", "Watch", "Compose", "CreateUploadToken"} <= set(NAMING)
    assert {name for name in METHODS if name not in NAMING} == {
        "Initialize",
        "BatchInitialize",
        "ListUploads",
        "GetUsage",
        "GetCapabilities",
    }
    # An RPC that a token allows must name the Upload, or the token could not be bound to it.
    assert {name for name, each in PERMISSIONS.items() if each.action} == set(BY_TOKEN)
