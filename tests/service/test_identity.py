"""Tests who is let in by a real server, with each method, and what its scopes allow."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp.abc import AbstractResolver
from google.protobuf import message_factory
from partway.v1 import upload_service_pb2 as pb
from partway_server.config.settings import Settings, SettingsError
from partway_server.domain.principal import Scope
from partway_server.rpc.identity.build import build_identity
from partway_server.rpc.identity.jwks import FetchFailed, RemoteKeys
from partway_server.rpc.identity.jwks_fetch import JwksFetcher
from partway_server.rpc.permissions import PERMISSIONS

from tests.support.calls import METHODS, call
from tests.support.clock import FakeClock
from tests.support.issuer import (
    AUDIENCE,
    ISSUER,
    NOW,
    JwksEndpoint,
    a_jwks_endpoint,
    bearer,
    jwks,
    signing_key,
    token,
)
from tests.support.server_certificate import NAME, certificate
from tests.support.twins import a_memory_world
from tests.support.webhooks import Names
from tests.support.world import ALICE, Failure, World, failure, failure_of

KEY, NEW = signing_key("rsa"), signing_key("new")
REFUSALS = (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED)
UPLOAD = pb.InitializeRequest(file_name="a.bin", size_bytes=1)


@contextlib.asynccontextmanager
async def a_world_of_tokens(
    clock: FakeClock, methods: str = "jwt", **settings: Any
) -> AsyncIterator[tuple[World, JwksEndpoint]]:
    """Start a service that fetches the keys of its issuer from a real web server."""
    async with a_jwks_endpoint(jwks(KEY)) as endpoint:
        given = {
            "identity": methods,
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
            "jwt_jwks_url": endpoint.url,
            "jwt_jwks_allow_private": True,
            **settings,
        }
        async with a_memory_world(clock, **given) as world:
            yield world, endpoint


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def world(clock: FakeClock) -> AsyncIterator[World]:
    async with a_world_of_tokens(clock) as (started, _):
        yield started


async def refused(world: World, metadata: Any) -> Failure:
    failed = await failure(world.stub.Initialize(UPLOAD, metadata=metadata))
    assert world.storage.calls == []
    return failed


async def test_a_token_is_its_tenant_and_subject(world: World) -> None:
    answer = await world.stub.Initialize(UPLOAD, metadata=bearer(token(KEY)))
    caller = world.grant(answer.upload).caller
    assert (caller.tenant, caller.subject) == ("acme", "alice")
    status = pb.StatusRequest(upload_id=answer.upload.id)
    await world.stub.Status(status, metadata=bearer(token(KEY, exp=NOW + 60)))
    for other in (token(KEY, tenant="evil"), token(KEY, sub="bob")):
        failed = await failure(world.stub.Status(status, metadata=bearer(other)))
        assert failed.reason == "UPLOAD_NOT_FOUND"


@pytest.mark.parametrize(
    "metadata",
    [
        bearer("x.y.z"),
        bearer(token(KEY, aud="billing")),
        bearer(token(KEY)) + bearer(token(KEY)),
        bearer(token(KEY, exp=NOW - 60)) + ALICE,
    ],
)
async def test_a_bad_token_is_refused_without_a_reason(world: World, metadata: Any) -> None:
    failed = await refused(world, metadata)
    assert (failed.code, failed.reason) == ("UNAUTHENTICATED", "CREDENTIALS_REJECTED")
    assert failed.metadata == {} and set(failed.details) == {"ErrorInfo"}
    assert failed.message == "the credentials are not accepted"


@pytest.mark.parametrize("metadata", [(), ALICE, (("authorization", "Basic YTpi"),)])
async def test_a_call_without_a_token_learns_that_it_needs_one(world: World, metadata: Any) -> None:
    failed = await refused(world, metadata)
    assert (failed.code, failed.reason) == ("UNAUTHENTICATED", "CALLER_UNKNOWN")
    assert failed.metadata == {"key": "authorization"}


def request_of(name: str) -> Any:
    """Return an empty request of an RPC, or a stream of one."""
    method = METHODS[name]
    empty = message_factory.GetMessageClass(method.input_type)()
    return iter([empty]) if method.client_streaming else empty


async def ended(world: World, name: str, metadata: Any) -> grpc.aio.AioRpcError | None:
    """Call an RPC with an empty request, and return the error that it ends in, if any."""
    try:
        if METHODS[name].client_streaming:
            await getattr(world.stub, name)(request_of(name), metadata=metadata)
        else:
            await call(world.stub, name, request_of(name), metadata)
    except grpc.aio.AioRpcError as error:
        return error
    return None


def test_every_rpc_has_a_permission() -> None:
    assert set(PERMISSIONS) == set(METHODS)


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_an_rpc_needs_its_scope(world: World, name: str) -> None:
    needed = PERMISSIONS[name].scope
    others = " ".join(set(Scope) - {needed, Scope.ADMIN})
    for scope in (others, "", None, "openid"):
        error = await ended(world, name, bearer(token(KEY, scope=scope)))
        assert error is not None
        failed = failure_of(error)
        assert (failed.code, failed.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")
        assert failed.metadata == {"needed": needed}
    assert world.storage.calls == []


@pytest.mark.parametrize("name", sorted(METHODS))
async def test_the_scope_alone_is_enough_and_so_is_admin(world: World, name: str) -> None:
    for scope in (PERMISSIONS[name].scope, Scope.ADMIN):
        error = await ended(world, name, bearer(token(KEY, scope=scope)))
        assert error is None or error.code() not in REFUSALS


async def test_a_token_without_scopes_has_the_default_ones(clock: FakeClock) -> None:
    async with a_world_of_tokens(clock, jwt_default_scopes="upload read") as (world, _):
        metadata = bearer(token(KEY, scope=None))
        await world.stub.Initialize(UPLOAD, metadata=metadata)
        failed = await failure(world.stub.Compose(pb.ComposeRequest(), metadata=metadata))
        assert failed.metadata == {"needed": "compose"}


async def test_a_hundred_callers_at_the_start_cause_one_fetch(clock: FakeClock) -> None:
    async with a_world_of_tokens(clock) as (world, endpoint):
        endpoint.gate.clear()
        calls = [
            asyncio.create_task(
                call(world.stub, "Initialize", UPLOAD, bearer(token(KEY, sub=f"u{n}")))
            )
            for n in range(100)
        ]
        await endpoint.asked.get()
        endpoint.gate.set()
        assert len(await asyncio.gather(*calls)) == 100
        assert endpoint.requests == 1


async def test_an_outage_of_the_issuer_stops_nobody_whose_key_is_known(clock: FakeClock) -> None:
    async with a_world_of_tokens(clock) as (world, endpoint):
        await world.stub.Initialize(UPLOAD, metadata=bearer(token(KEY)))
        endpoint.status = 500
        clock.advance(3600)
        fresh = bearer(token(KEY, exp=NOW + 7200))
        await world.stub.Initialize(UPLOAD, metadata=fresh)
        while await endpoint.asked.get() < 2:
            pass
        await world.stub.Initialize(UPLOAD, metadata=fresh)


async def test_without_any_keys_callers_are_to_try_again(clock: FakeClock) -> None:
    async with a_world_of_tokens(clock) as (world, endpoint):
        endpoint.status = 503
        failed = await refused(world, bearer(token(KEY)))
        assert (failed.code, failed.reason) == ("UNAVAILABLE", "TIMED_OUT")
        assert "RetryInfo" in failed.details
        endpoint.status = 200
        clock.advance(10)
        await world.stub.Initialize(UPLOAD, metadata=bearer(token(KEY)))


async def test_a_key_that_the_issuer_adds_is_used_and_one_that_it_withdraws_is_not(
    clock: FakeClock,
) -> None:
    async with a_world_of_tokens(clock) as (world, endpoint):
        old, new = bearer(token(KEY)), bearer(token(NEW))
        await world.stub.Initialize(UPLOAD, metadata=old)
        endpoint.body = jwks(NEW)
        clock.advance(10)
        await world.stub.Initialize(UPLOAD, metadata=new)
        failed = await failure(world.stub.Initialize(UPLOAD, metadata=old))
        assert failed.reason == "CREDENTIALS_REJECTED"


@pytest.mark.parametrize(
    ("trusted", "metadata", "reason"),
    [
        ("127.0.0.0/8,::1/128", ALICE, ""),
        ("127.0.0.0/8,::1/128", (), "CALLER_UNKNOWN"),
        ("10.0.0.0/8", ALICE, "CREDENTIALS_REJECTED"),
        ("10.0.0.0/8", (("partway-subject", "alice"),), "CREDENTIALS_REJECTED"),
        ("10.0.0.0/8", (), "CALLER_UNKNOWN"),
    ],
)
async def test_metadata_is_believed_only_of_peers_that_are_named(
    clock: FakeClock, trusted: str, metadata: Any, reason: str
) -> None:
    async with a_memory_world(clock, trusted_peers=trusted) as world:
        if not reason:
            await world.stub.Initialize(UPLOAD, metadata=metadata)
            return
        failed = await refused(world, metadata)
        assert (failed.code, failed.reason) == ("UNAUTHENTICATED", reason)
        assert failed.metadata == ({"key": "partway-tenant"} if reason == "CALLER_UNKNOWN" else {})


async def test_with_two_methods_a_token_comes_first_and_metadata_never_saves_a_bad_one(
    clock: FakeClock,
) -> None:
    async with a_world_of_tokens(clock, "metadata,jwt") as (world, _):
        eve = (("partway-tenant", "evil"), ("partway-subject", "eve"))
        both = await world.stub.Initialize(UPLOAD, metadata=bearer(token(KEY)) + eve)
        assert world.grant(both.upload).caller.tenant == "acme"
        named = await world.stub.Initialize(UPLOAD, metadata=eve)
        assert world.grant(named.upload).caller.tenant == "evil"
        bad = await failure(world.stub.Initialize(UPLOAD, metadata=bearer("x.y.z") + eve))
        assert bad.reason == "CREDENTIALS_REJECTED"


async def test_a_peer_on_a_unix_socket_counts_as_loopback(clock: FakeClock, tmp_path: Path) -> None:
    identity = build_identity(Settings(identity="metadata"), clock)
    seen = []

    async def who(request: bytes, context: Any) -> bytes:
        seen.append((context.peer(), await identity.principal(context)))
        return b""

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Who": grpc.unary_unary_rpc_method_handler(who)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.T", handlers),))
    server.add_insecure_port(f"unix:{tmp_path}/s")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/s") as channel:
            ask: Any = channel.unary_unary("/t.T/Who")
            await ask(b"", metadata=ALICE)
    finally:
        await server.stop(0)
    [(peer, principal)] = seen
    assert peer.startswith("unix:")
    assert principal.caller.tenant == "acme"


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        *(("127.0.0.1", ()), ("[::1]", ()), ("localhost", ("127.0.0.1",)), ("0.0.0.0", ())),
        ("169.254.169.254", ()),
        ("[::ffff:127.0.0.1]", ()),
        ("issuer.example", ("10.0.0.7",)),
        ("issuer.example", ("8.8.8.8", "169.254.169.254")),
        ("issuer.example", ("fd00::1",)),
        ("issuer.example", ("64:ff9b::a9fe:a9fe",)),
    ],
)
async def test_the_url_of_a_jwks_leads_to_no_private_address(
    host: str, addresses: tuple[str, ...]
) -> None:
    async with a_jwks_endpoint(jwks(KEY)) as endpoint:
        port = endpoint.url.rpartition(":")[2].partition("/")[0]
        resolver: AbstractResolver = Names(addresses)
        fetch = JwksFetcher(
            f"https://{host}:{port}/jwks.json", allow_private=False, resolver=resolver
        )
        with pytest.raises(FetchFailed, match="PARTWAY_JWT_JWKS_ALLOW_PRIVATE"):
            await fetch()
        assert endpoint.requests == 0


async def test_no_redirect_is_followed(clock: FakeClock) -> None:
    async with a_jwks_endpoint(jwks(KEY)) as target, a_jwks_endpoint() as endpoint:
        for status in (301, 302, 303, 307, 308):
            endpoint.status, endpoint.headers = status, {"location": target.url}
            with pytest.raises(FetchFailed, match=f"HTTP {status}"):
                await JwksFetcher(endpoint.url, allow_private=True)()
        assert target.requests == 0


async def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    async with a_jwks_endpoint(b" " * (256 * 1024 + 1)) as endpoint:
        fetch = JwksFetcher(endpoint.url, allow_private=True)
        with pytest.raises(FetchFailed, match="larger than 262144 bytes"):
            await fetch()
        endpoint.body = jwks(KEY) + b" " * (256 * 1024 - len(jwks(KEY)))
        assert await fetch() == endpoint.body


async def test_a_compressed_body_is_not_unpacked(clock: FakeClock) -> None:
    async with a_jwks_endpoint(b"\x1f\x8b bomb") as endpoint:
        endpoint.headers = {"content-encoding": "gzip"}
        keys = RemoteKeys(JwksFetcher(endpoint.url, allow_private=True), clock)
        assert await keys.reload() is False


async def test_an_issuer_that_cannot_be_reached_is_described_without_its_url() -> None:
    async with a_jwks_endpoint() as endpoint:
        gone = endpoint.url
    for url, why in ((gone, "no connection"), (gone.replace("http:", "https:"), "no connection")):
        with pytest.raises(FetchFailed) as raised:
            await JwksFetcher(url, allow_private=True)()
        assert str(raised.value) == why


async def test_a_jwks_is_fetched_over_tls_that_is_verified(tmp_path: Path) -> None:
    server, client = certificate(tmp_path)
    async with a_jwks_endpoint(jwks(KEY), tls=server) as endpoint:
        url = endpoint.url.replace("127.0.0.1", NAME)
        names = [("127.0.0.1",), ("127.0.0.1",)]
        fetch = JwksFetcher(url, allow_private=True, resolver=Names(*names), tls=client)
        assert await fetch() == jwks(KEY)
        for tls, host in ((True, NAME), (client, "other.example")):
            other = url.replace(NAME, host)
            fetch = JwksFetcher(other, allow_private=True, resolver=Names(*names), tls=tls)
            with pytest.raises(FetchFailed, match="TLS failed"):
                await fetch()
        assert endpoint.requests == 1


async def test_plain_text_where_tls_is_expected_is_no_jwks() -> None:
    async with a_jwks_endpoint(jwks(KEY)) as endpoint:
        fetch = JwksFetcher(endpoint.url.replace("http:", "https:"), allow_private=True)
        with pytest.raises(FetchFailed, match="TLS failed"):
            await fetch()


def test_a_jwks_file_that_cannot_be_used_refuses_the_start(
    clock: FakeClock, tmp_path: Path
) -> None:
    settings = Settings(identity="jwt", jwt_jwks_file=str(tmp_path / "none.json"))
    with pytest.raises(SettingsError, match=r"PARTWAY_JWT_JWKS_FILE: .*No such file"):
        build_identity(settings, clock)
