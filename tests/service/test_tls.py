"""Tests the service behind its own TLS: handshakes, rotation, and callers by certificate."""

import asyncio
import logging
import ssl
import warnings
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1 import upload_service_pb2_grpc as rpc
from partway_server.rpc.identity.certificates import peer_names
from partway_server.rpc.tls import ServerCertificate

from examples.certs import Authority
from tests.support.calls import ABOUT_AN_UPLOAD, call
from tests.support.clock import FakeClock
from tests.support.tls import TlsFiles, credentials, serial_of, shown_serial
from tests.support.twins import a_memory_world
from tests.support.world import PART, World, channel_to, failure

ALICE_ID = "spiffe://example.org/acme/alice"
RULE = "spiffe://example.org/{tenant}/{subject}"


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    return TlsFiles.made_in(tmp_path)


@pytest.fixture
def certificate(tls: TlsFiles, clock: FakeClock) -> ServerCertificate:
    return ServerCertificate(tls.files, clock)


@pytest.fixture
async def world(
    tls: TlsFiles, certificate: ServerCertificate, clock: FakeClock
) -> AsyncIterator[World]:
    """Start a service that identifies callers by certificate; its stub is acme's alice."""
    async with a_memory_world(
        clock,
        certificate=certificate,
        credentials=tls.credentials(tls.authority.client(ALICE_ID)),
        identity="mtls",
        mtls_rule=RULE,
    ) as started:
        yield started


async def status_code(world: World, secure: grpc.ChannelCredentials | None) -> grpc.StatusCode:
    """Return the status of a ListUploads with these credentials."""
    async with channel_to(world.port, secure) as channel:
        try:
            await rpc.UploadServiceStub(channel).ListUploads(pb.ListUploadsRequest(), timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


async def listed_by(world: World, secure: grpc.ChannelCredentials) -> list[str]:
    """Return the IDs that ListUploads returns with these credentials."""
    async with channel_to(world.port, secure) as channel:
        stub = rpc.UploadServiceStub(channel)
        return [each.id for each in (await stub.ListUploads(pb.ListUploadsRequest())).uploads]


async def test_a_caller_is_who_its_certificate_says(world: World) -> None:
    upload = await world.initialize(PART + 7)
    caller = world.grant(upload).caller
    assert (caller.tenant, caller.subject) == ("acme", "alice")
    await world.send(upload)
    await world.complete(upload)
    assert await world.state(upload) == "COMPLETED"


async def test_metadata_does_not_change_who_a_certificate_names(
    world: World, tls: TlsFiles
) -> None:
    upload = await world.initialize()
    evil = tls.credentials(tls.authority.client("spiffe://example.org/evil/alice"))
    claimed = (("partway-tenant", "acme"), ("partway-subject", "alice"))
    async with channel_to(world.port, evil) as channel:
        stub = rpc.UploadServiceStub(channel)
        found = await failure(
            call(stub, "Status", pb.StatusRequest(upload_id=upload.id), metadata=claimed)
        )
    assert found.reason == "UPLOAD_NOT_FOUND"


@pytest.mark.parametrize("other", ["acme/bob", "evil/alice"])
async def test_an_upload_does_not_exist_for_the_certificate_of_another(
    world: World, tls: TlsFiles, other: str
) -> None:
    upload = await world.initialize(PART + 7)
    secure = tls.credentials(tls.authority.client(f"spiffe://example.org/{other}"))
    assert await listed_by(world, secure) == []
    async with channel_to(world.port, secure) as channel:
        stub = rpc.UploadServiceStub(channel)
        world.storage.calls.clear()
        for name, request in ABOUT_AN_UPLOAD.items():
            found = await failure(call(stub, name, request(upload.id), metadata=()))
            assert (found.code, found.reason) == ("NOT_FOUND", "UPLOAD_NOT_FOUND")
    assert world.storage.calls == []
    assert await world.state(upload) == "ACTIVE"


async def test_without_a_certificate_of_the_ca_there_is_no_connection(
    world: World, tls: TlsFiles
) -> None:
    stranger = Authority.new("another CA").client(ALICE_ID)
    expired = tls.authority.client(ALICE_ID, lifetime=timedelta(seconds=-1))
    server_only = tls.authority.issue(
        [],
        [x509.UniformResourceIdentifier(ALICE_ID)],
        usage=[ExtendedKeyUsageOID.SERVER_AUTH],
    )
    for pair in (None, stranger, expired, server_only):
        assert await status_code(world, tls.credentials(pair)) is grpc.StatusCode.UNAVAILABLE
    assert await status_code(world, None) is grpc.StatusCode.UNAVAILABLE
    assert await status_code(world, tls.credentials(tls.authority.client(ALICE_ID))) is (
        grpc.StatusCode.OK
    )


async def test_a_caller_refuses_a_server_of_another_ca(world: World, tls: TlsFiles) -> None:
    pair = tls.authority.client(ALICE_ID)
    secure = credentials(Authority.new("another CA"), pair)
    assert await status_code(world, secure) is grpc.StatusCode.UNAVAILABLE


async def test_only_tls_1_2_and_newer_is_spoken(
    tmp_path: Path, tls: TlsFiles, clock: FakeClock
) -> None:
    plain = TlsFiles.made_in(tmp_path, client_ca=False)
    certificate = ServerCertificate(plain.files, clock)
    async with a_memory_world(
        clock, certificate=certificate, credentials=plain.credentials()
    ) as world:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert await shown_serial(world.port, version)
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
                with pytest.raises(OSError, match=r"EOF|reset|alert"):
                    await shown_serial(world.port, version)


def _subject(**names: str) -> list[x509.NameAttribute[str]]:
    kinds = {"O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME}
    return [x509.NameAttribute(kinds[kind], value) for kind, value in names.items()]


def _uris(*uris: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(uri) for uri in uris]


HOSTILE: dict[str, tuple[list[x509.NameAttribute[str]], list[x509.GeneralName]]] = {
    "no name at all": (_subject(CN="alice"), []),
    "another trust domain": ([], _uris("spiffe://evil.example/acme/alice")),
    "two SPIFFE IDs": ([], _uris(ALICE_ID, "spiffe://example.org/evil/eve")),
    "a name that only looks like it": ([], [x509.DNSName(ALICE_ID)]),
    "a tenant that is no tenant": ([], _uris("spiffe://example.org/.acme/alice")),
    "a subject that is too long": ([], _uris(f"spiffe://example.org/acme/{'a' * 129}")),
    "an escape": ([], _uris("spiffe://example.org/acme/al%00ice")),
}


@pytest.mark.parametrize("names", HOSTILE.values(), ids=HOSTILE)
async def test_a_certificate_that_names_no_caller_is_rejected(
    world: World, tls: TlsFiles, caplog: pytest.LogCaptureFixture, names: Any
) -> None:
    secure = tls.credentials(tls.authority.issue(*names))
    async with channel_to(world.port, secure) as channel:
        stub = rpc.UploadServiceStub(channel)
        for _ in range(3):
            found = await failure(call(stub, "ListUploads", pb.ListUploadsRequest(), metadata=()))
            assert (found.code, found.reason) == ("UNAUTHENTICATED", "CREDENTIALS_REJECTED")
            assert (found.message, found.metadata) == ("the credentials are not accepted", {})
    assert sum("PARTWAY_MTLS_RULE" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("name", ["alice\0evil", "al\u0131ce", "alice\n"])
async def test_a_common_name_is_read_to_its_end(
    tls: TlsFiles, certificate: ServerCertificate, clock: FakeClock, name: str
) -> None:
    """gRPC's own field of a common name ends at a NUL."""
    rule = "subject:O={tenant},CN={subject}"
    good, bad = (tls.authority.issue(_subject(O="acme", CN=cn), []) for cn in ("alice", name))
    async with a_memory_world(
        clock,
        certificate=certificate,
        credentials=tls.credentials(good),
        identity="mtls",
        mtls_rule=rule,
    ) as world:
        assert world.grant(await world.initialize()).caller.subject == "alice"
        assert await status_code(world, tls.credentials(bad)) is grpc.StatusCode.UNAUTHENTICATED


async def test_a_certificate_that_expires_on_its_connection_is_rejected(
    world: World, clock: FakeClock
) -> None:
    assert (await world.stub.ListUploads(pb.ListUploadsRequest())).uploads == []
    clock.advance(timedelta(days=91).total_seconds())
    found = await failure(call(world.stub, "ListUploads", pb.ListUploadsRequest(), metadata=()))
    assert found.reason == "CREDENTIALS_REJECTED"


async def test_a_new_certificate_is_used_from_the_next_handshake_on(
    world: World, tls: TlsFiles
) -> None:
    """Rotate five times under calls, a Watch and a stream of URLs, none of which is dropped."""
    upload = await world.initialize(20 * PART)
    watch = aiter(world.stub.Watch(pb.WatchRequest(upload_id=upload.id)))
    assert (await anext(watch)).upload.id == upload.id
    stop = asyncio.Event()

    async def call_on() -> int:
        calls = 0
        while not stop.is_set():
            assert await world.state(upload) == "ACTIVE"
            assert len(await world.presigned(upload)) == 20
            calls += 1
        return calls

    caller = asyncio.create_task(call_on())
    newcomer = tls.credentials(tls.authority.client(ALICE_ID))
    for _ in range(5):
        pair = tls.rotate()
        assert await shown_serial(world.port) == serial_of(pair)
        assert await listed_by(world, newcomer) == [upload.id]
    stop.set()
    assert await caller > 0
    await world.abort(upload)
    # The same stream goes on to its end.
    seen = [message.upload async for message in watch]
    assert (seen[-1].id, seen[-1].state) == (upload.id, upload_pb2.UPLOAD_STATE_ABORTED)


@pytest.mark.parametrize("damage", ["another key", "half a certificate", "no key", "a missing key"])
async def test_files_that_cannot_be_used_change_nothing(
    world: World,
    tls: TlsFiles,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    before = await shown_serial(world.port)
    pair = tls.authority.server("localhost", "127.0.0.1")
    if damage == "another key":
        tls.files.key.write_bytes(pair.key)
    elif damage == "half a certificate":
        tls.files.certificate.write_bytes(pair.certificate[: len(pair.certificate) // 2])
    elif damage == "no key":
        tls.files.key.write_bytes(b"")
    else:
        tls.files.key.unlink()
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert await shown_serial(world.port) == before
    assert await world.initialize()
    [line] = [line for line in caplog.messages if "previous certificate" in line]
    assert line.startswith("PARTWAY_TLS_")
    # No line of a key is in the log.
    assert not any(row in caplog.text for row in pair.key.decode().splitlines()[1:-1])
    rotated = tls.rotate()
    assert await shown_serial(world.port) == serial_of(rotated)


async def test_a_new_ca_of_callers_is_used_from_the_next_handshake_on(
    world: World, tls: TlsFiles
) -> None:
    other = Authority.new("the next CA")
    old, new = tls.authority.client(ALICE_ID), other.client(ALICE_ID)
    assert tls.files.client_ca is not None
    assert await status_code(world, tls.credentials(new)) is grpc.StatusCode.UNAVAILABLE
    tls.files.client_ca.write_bytes(other.pem)
    assert await status_code(world, tls.credentials(new)) is grpc.StatusCode.OK
    assert await status_code(world, tls.credentials(old)) is grpc.StatusCode.UNAVAILABLE


GATEWAY = "spiffe://example.org/gateway/eu"
CLAIM = (("partway-tenant", "globex"), ("partway-subject", "carol"))


@pytest.mark.parametrize(
    ("spiffe_id", "metadata", "expected"),
    [
        (GATEWAY, CLAIM, ("globex", "carol")),
        (ALICE_ID, (), ("acme", "alice")),
        (ALICE_ID, CLAIM, "CREDENTIALS_REJECTED"),
        ("spiffe://example.org/gateway/eu/x", CLAIM, "CREDENTIALS_REJECTED"),
        ("spiffe://other.example/gateway/eu", CLAIM, "CREDENTIALS_REJECTED"),
        # Its metadata would say for whom it calls; by itself it is no one.
        ("spiffe://example.org/gateway", (), "CREDENTIALS_REJECTED"),
    ],
)
async def test_metadata_is_believed_from_a_certificate_that_is_named(
    tls: TlsFiles,
    certificate: ServerCertificate,
    clock: FakeClock,
    spiffe_id: str,
    metadata: Any,
    expected: Any,
) -> None:
    async with a_memory_world(
        clock,
        certificate=certificate,
        credentials=tls.credentials(tls.authority.client(spiffe_id)),
        identity="metadata,mtls",
        mtls_rule=RULE,
        trusted_peers="",
        trusted_certificates="dns:gateway.internal, spiffe://example.org/gateway/*",
    ) as world:
        calling = call(world.stub, "Initialize", pb.InitializeRequest(size_bytes=1), metadata)
        if isinstance(expected, str):
            assert (await failure(calling)).reason == expected
        else:
            caller = world.grant((await calling).upload).caller
            assert (caller.tenant, caller.subject) == expected


async def test_a_client_certificate_has_the_scopes_of_the_settings(
    tls: TlsFiles, certificate: ServerCertificate, clock: FakeClock
) -> None:
    async with a_memory_world(
        clock,
        certificate=certificate,
        credentials=tls.credentials(tls.authority.client(ALICE_ID)),
        identity="mtls",
        mtls_rule=RULE,
        mtls_scopes="read",
    ) as world:
        assert (await world.stub.ListUploads(pb.ListUploadsRequest())).uploads == []
        found = await failure(world.initialize())
        assert (found.code, found.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


async def test_the_names_of_a_peer_are_those_of_its_certificate(
    tls: TlsFiles, certificate: ServerCertificate
) -> None:
    pair = tls.authority.issue(
        _subject(O="acme", CN="gateway"), [*_uris("spiffe://x/gw"), x509.DNSName("GW.internal")]
    )
    assert await _names_seen(certificate, tls.credentials(pair)) == (
        "spiffe://x/gw",
        "dns:gw.internal",
        "subject:O=acme",
        "subject:CN=gateway",
    )
    assert await _names_seen(None, None) == ()


async def _names_seen(
    certificate: ServerCertificate | None, secure: grpc.ChannelCredentials | None
) -> Any:
    """Return the `peer_names` of a call to a server of its own."""
    seen: list[Any] = []

    async def handle(request: bytes, context: Any) -> bytes:
        seen.append(peer_names(context))
        return b""

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"call": grpc.unary_unary_rpc_method_handler(handle)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", certificate.credentials())
    await server.start()
    try:
        async with channel_to(port, secure) as channel:
            method: Any = channel.unary_unary("/test/call")
            await method(b"")
    finally:
        await server.stop(0)
    return seen[0]
