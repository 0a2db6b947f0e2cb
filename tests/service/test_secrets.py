"""Tests that no secret is in any log, at any level, nor in the repr of an object that has one."""

import contextlib
import io
import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from partway.v1 import upload_service_pb2 as pb
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3
from partway_server.domain import errors
from partway_server.domain.errors import SessionsUnavailable, StorageUnavailable
from partway_server.observability import tracing
from partway_server.observability.logging import (
    CallFilter,
    JsonFormatter,
    TextFormatter,
    configure_logging,
)
from partway_server.observability.otel import OtelTracer
from partway_server.storage.base import CompleteUnknown

from tests.support.calls import ABOUT_AN_UPLOAD, WATCHED, call, naming
from tests.support.storage import failing
from tests.support.upload_situations import EXPIRY_SECONDS
from tests.support.world import PART, SEALING_KEY, World, content


class Records(logging.Handler):
    """A handler that keeps all records, as text and as JSON, with tracebacks."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = io.StringIO()
        self.names: set[str] = set()
        self._formats = (TextFormatter(), JsonFormatter())
        self.addFilter(CallFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)
        for form in self._formats:
            self.text.write(form.format(record) + "\n")


@contextlib.contextmanager
def all_that_is_logged() -> Iterator[Records]:
    """Capture all records, with logging configured as at the server's most verbose level."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    known = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    levels = [logger.level for logger in known]
    root.handlers = []
    records = Records()
    try:
        configure_logging(level="debug", as_json=True)
        root.handlers = [records]
        yield records
    finally:
        root.handlers = handlers
        root.setLevel(level)
        for logger, before in zip(known, levels, strict=True):
            logger.setLevel(before)


async def a_whole_life(world: World) -> list[str]:
    """Run uploads with every kind of trouble; return all that must never be shown."""
    secrets: list[str] = []
    for size, checksum in ((1000, 0), (2 * PART + 7, 0), (0, 0)):
        upload = await world.initialize(size, checksum_algorithm=checksum, presign_parts=3)
        grant = world.grant(upload)
        secrets += [upload.id, grant.write_token]
        secrets += [grant.multipart_id] if grant.multipart_id else []
        for name in ("ListParts", "Status", "BatchPresignParts"):
            await call(world.stub, name, ABOUT_AN_UPLOAD[name](upload.id))
        parts = await world.presigned(upload)
        secrets += [part.url for part in parts]
        await world.lose_row(upload)
        for part in parts:
            wrong = await world.put(
                part.url, b"", {**part.headers, "x-amz-meta-partway-token": "x"}
            )
            assert wrong.status != 200 or part.size_bytes == 0
            body = content(part.part_number, part.size_bytes)
            await world.put(part.url, body, part.headers)
        for fault in (CompleteUnknown(), StorageUnavailable(), RuntimeError("a bug")):
            world.storage.after("head", failing(fault))
            with contextlib.suppress(grpc.aio.AioRpcError):
                await world.complete(upload)
            world.clock.advance(31)
        await world.complete(upload)
        with contextlib.suppress(grpc.aio.AioRpcError):
            await world.abort(upload)
    aborted = await world.initialize()
    secrets += [aborted.id]
    await world.abort(aborted)
    orphan = pb.InitializeRequest(size_bytes=PART + 7, part_size_bytes=PART)
    world.storage.after("create", failing(RuntimeError("a bug")))
    with contextlib.suppress(grpc.aio.AioRpcError):
        await call(world.stub, "Initialize", orphan)
    for _ in range(3):
        world.clock.advance(EXPIRY_SECONDS)
        await world.service.janitor.sweep()
    return secrets


async def test_a_whole_life_is_logged_without_a_secret(
    world: World, request: pytest.FixtureRequest
) -> None:
    with all_that_is_logged() as records:
        secrets = await a_whole_life(world)
    text = records.text.getvalue()
    assert {"partway_server.rpc.call_outcome", "partway_server.cleanup.expiry"} <= records.names
    for line in text.splitlines():
        if line.startswith("{"):
            json.loads(line)
    secrets += ["X-Amz-Signature", "x-amz-signature", "X-Amz-Credential", "partway-token"]
    if "s3" in request.node.keywords:
        s3: S3 = request.getfixturevalue("s3")
        secrets += [s3.secret_key]
    leaked = sorted({secret[:60] for secret in secrets if secret and secret in text})
    assert leaked == []


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_a_whole_life_is_traced_without_a_secret(world: World) -> None:
    exporter = InMemorySpanExporter()
    with all_that_is_logged() as records:
        with tracing.installed(OtelTracer(SimpleSpanProcessor(exporter))):
            secrets = await a_whole_life(world)
    spans = exporter.get_finished_spans()
    text = records.text.getvalue() + "\n".join(span.to_json() for span in spans)
    assert {"S3 HeadObject", "redis insert", "presign parts"} <= {span.name for span in spans}
    assert '"trace_id"' in text and "memory://" not in text
    leaked = sorted({secret[:60] for secret in secrets if secret and secret in text})
    assert leaked == []


@pytest.mark.parametrize("world", ["memory"], indirect=True)
async def test_a_fault_in_the_middle_of_a_stream_is_logged_without_its_urls(world: World) -> None:
    upload = await world.initialize()
    with all_that_is_logged() as records:
        world.storage.after("presigner", failing(RuntimeError("a bug")))
        with pytest.raises(grpc.aio.AioRpcError):
            await world.presigned(upload, [1, 2, 3])
    text = records.text.getvalue()
    assert "a bug" in text
    assert upload.id not in text and "memory://" not in text


SECRET = "hunter2"


@pytest.mark.parametrize("world", ["memory"], indirect=True)
@pytest.mark.parametrize("name", sorted(WATCHED))
async def test_no_failure_of_a_dependency_is_reported_in_its_words(world: World, name: str) -> None:
    for fault in (RuntimeError(SECRET), StorageUnavailable(), SessionsUnavailable()):
        fault.__cause__ = RuntimeError(SECRET)
        upload = await world.initialize()
        request = WATCHED[name]
        if name in ABOUT_AN_UPLOAD or name == "Watch":
            request = type(request)(upload_id=upload.id)
        if name == "ReportParts":
            request = ABOUT_AN_UPLOAD[name](upload.id)
        if name == "BatchComplete":
            request = naming(name, upload.id)
        with pytest.MonkeyPatch.context() as broken:
            for operation in (
                *("get", "look", "list_uploads", "insert", "claim", "claim_active", "report"),
            ):
                broken.setattr(world.sessions, operation, failing_with(fault))
            for operation in ("create", "list_parts", "head", "complete", "abort", "presigner"):
                broken.setattr(world.storage, operation, failing_with(fault))
            sent = await _sent_of_failure(call(world.stub, name, request))
        assert SECRET not in " ".join(map(str, sent))


async def _sent_of_failure(calling: Awaitable[Any]) -> tuple[Any, ...]:
    """Return all that a caller gets of a call that fails, or of a batch whose only item does."""
    try:
        answer = await calling
    except grpc.aio.AioRpcError as error:
        return error.details(), error.debug_error_string(), *error.trailing_metadata()
    [result] = answer.results
    assert result.HasField("status")
    return (answer,)


def failing_with(fault: Exception) -> Callable[..., Any]:
    """Return a method that fails, whatever it is called with."""

    async def method(*arguments: Any, **named: Any) -> Any:
        raise fault

    return method


async def test_no_repr_of_a_store_shows_what_it_holds(
    world: World, request: pytest.FixtureRequest
) -> None:
    upload = await world.initialize()
    secrets = [upload.id]
    if "s3" in request.node.keywords:
        s3: S3 = request.getfixturevalue("s3")
        secrets += [s3.secret_key]
    presigner = await world.storage.presigner(
        world.grant(upload),
        world.grant(upload).expire_time - world.grant(upload).create_time,
        world.clock.now(),
    )
    parts = list(presigner.sign([1], {}))
    secrets += [parts[0].url]
    inner: Any = world.storage._storage
    for held in (world, world.sessions, world.storage, inner, world.service, presigner, parts):
        shown = f"{held!r} {held}"
        assert not [secret for secret in secrets if secret in shown]
        assert "Signature" not in shown


def test_the_repr_of_settings_shows_no_secret() -> None:
    secrets: dict[str, Any] = {
        "s3_secret_key": "wJalrXUtnFEMI",
        "s3_session_token": "FwoGZXIvYXdz",
        "sealing_keys": SEALING_KEY.hex(),
        "redis_url": "redis://user:hunter2@localhost/0?password=hunter2",
    }
    settings = Settings(**secrets)
    shown = f"{settings!r} {settings}"
    for secret in ("wJalr", "FwoGZ", SEALING_KEY.hex(), "hunter2"):
        assert secret not in shown


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidRequest([errors.FieldViolation("a", "b")]),
        errors.UndecodableRequest("the request cannot be decoded"),
        errors.UploadNotFound(),
        errors.UploadNotActive("0" * 32, "active", "lost"),
        errors.PartsMissing("0" * 32, [(1, 2)]),
        errors.PartsMismatch("0" * 32, [(1, "size differs")]),
        errors.StorageRefused("HeadObject", "AccessDenied"),
        errors.StorageUnavailable(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_error_carries_a_grant(error: errors.UploadError) -> None:
    shown = f"{error!r} {error} {traceback.format_exception(error)} {vars(error)}"
    assert "Grant" not in shown and "write_token" not in shown
