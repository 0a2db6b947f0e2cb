"""Runs the previous version of the service, out of git, beside the present one.

Both are `partway-server serve` in processes of their own, over the same Redis, storage and keys.
Tests call them only as users do, so that they hold however either version is laid out inside.
"""

import asyncio
import contextlib
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anycrc
import grpc
import pytest
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3
from partway_server.runtime.subprocesses import free_port

from tests.support.processes import Service
from tests.support.storage import Put
from tests.support.world import content

REVISION = "81b1633"
"""The version that runs in production while the present one is rolled out."""

OVERRIDE = "PARTWAY_TEST_PREVIOUS"
"""The environment variable that names another revision."""

PREVIOUS, PRESENT = "previous", "present"
VERSIONS = (PREVIOUS, PRESENT)

ROOT = Path(__file__).parents[2]
_IMPORTED = ("server", "generated")
"""The folders of a tree that a service imports from."""

_CALL_SECONDS = 20.0
_RETRY_SECONDS = 0.1
_CHUNK = 1024 * 1024

_CRC64NVME = anycrc.Model("CRC64-NVME")


def check_out(folder: Path, revision: str = "") -> Path:
    """Write the previous version's code into the folder, and return the folder.

    Fails the test if the repository does not have the revision.
    """
    revision = revision or os.environ.get(OVERRIDE) or REVISION
    _git(revision, "rev-parse", "--verify", f"{revision}^{{commit}}")
    archive = _git(revision, "archive", "--format=tar", revision, *_IMPORTED)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def _git(revision: str, *arguments: str) -> bytes:
    try:
        ran = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=True)
    except FileNotFoundError:
        why = "git is not installed"
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip()
    else:
        return ran.stdout
    pytest.fail(
        f"cannot read the previous version, {revision}, from {ROOT}: {why}. A shallow clone lacks"
        f" it: run `git fetch --unshallow`, or set {OVERRIDE} to a revision that is there.",
        pytrace=False,
    )


class VersionedService(Service):
    """A service that runs from the code in `tree`, with `environ` on top of its settings."""

    def __init__(
        self,
        tree: Path,
        folder: Path,
        s3: S3,
        redis_url: str,
        environ: Mapping[str, str],
        **settings: object,
    ) -> None:
        self.metrics = f"127.0.0.1:{free_port()}"
        super().__init__(folder, s3, redis_url, metrics_address=self.metrics, **settings)
        # Ahead of the installed packages, which are links to the present tree.
        path = os.pathsep.join(str(tree / name) for name in _IMPORTED)
        self._environ = {**self._environ, **environ, "PYTHONPATH": path}

    def imported_from(self) -> list[Path]:
        """Return where a process with the environment of this one finds our two packages.

        Both have an `__init__.py`, so that all their modules come from there.
        """
        code = "import partway.v1, partway_server; print(partway.__file__, partway_server.__file__)"
        ran = subprocess.run(
            [sys.executable, "-c", code], env=self._environ, capture_output=True, check=True
        )
        return [Path(word) for word in ran.stdout.decode().split()]

    def delivered(self) -> int:
        """Return how many events its present process has delivered to webhooks."""
        with urllib.request.urlopen(f"http://{self.metrics}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        counted = r'^partway_webhook_deliveries_total\{.*outcome="delivered".*\} (\S+)$'
        return sum(int(float(count)) for count in re.findall(counted, text, re.MULTILINE))


@contextlib.contextmanager
def both_versions(
    previous: Path,
    folder: Path,
    s3: S3,
    redis_url: str,
    *,
    environ: Mapping[str, str] | None = None,
    of_one: Mapping[str, Mapping[str, object]] | None = None,
    **settings: object,
) -> Iterator[dict[str, VersionedService]]:
    """Run both versions with the same settings, but for those `of_one` of them; by name."""
    with contextlib.ExitStack() as running:
        services = {}
        for name, tree in ((PREVIOUS, previous), (PRESENT, ROOT)):
            logs = folder / name
            logs.mkdir(parents=True)
            given = {**settings, **(of_one or {}).get(name, {})}
            service = VersionedService(tree, logs, s3, redis_url, environ or {}, **given)
            services[name] = running.enter_context(service)
        with ThreadPoolExecutor() as threads:
            list(threads.map(VersionedService.start, services.values()))
        yield services


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two versions, as one caller uses it. Calls are repeated where they may be."""

    service: VersionedService
    stub: UploadServiceStub
    caller: tuple[tuple[str, str], ...]
    put: Put

    async def call(self, name: str, request: Any) -> Any:
        """Call the RPC, again for as long as it answers that this may help."""

        async def once() -> Any:
            return await getattr(self.stub, name)(
                request, metadata=self.caller, timeout=_CALL_SECONDS
            )

        return await insist(once)

    async def initialize(self, **fields: Any) -> upload_pb2.Upload:
        request = pb.InitializeRequest(**{"file_name": "film.mp4", **fields})
        return (await self.call("Initialize", request)).upload

    async def send(self, upload: upload_pb2.Upload, *numbers: int) -> list[upload_pb2.Part]:
        """Send the parts of these numbers, by default those that storage lacks, and return them.

        Where parts have checksums, the default is all of them.
        """
        algorithm = upload.checksum_algorithm
        if algorithm and not numbers:
            numbers = tuple(range(1, upload.part_count + 1))
        request = pb.PresignPartsRequest(
            upload_id=upload.id,
            ranges=[upload_pb2.PartRange(first=number, last=number) for number in numbers],
            checksums=[
                pb.PartChecksum(part_number=n, checksum=checksum(algorithm, part_body(upload, n)))
                for n in (numbers if algorithm else ())
            ],
        )
        stream = self.stub.PresignParts(request, metadata=self.caller, timeout=_CALL_SECONDS)
        sent = []
        for part in [part async for message in stream for part in message.parts]:
            number, size = part.part_number, part.size_bytes
            reply = await self.put(part.url, part_body(upload, number), part.headers)
            assert reply.status == 200, reply
            sent.append(upload_pb2.Part(part_number=number, size_bytes=size, etag=reply.etag))
        return sent

    async def send_through(self, upload: upload_pb2.Upload, number: int) -> upload_pb2.Part:
        """Send a part through the service."""
        data = part_body(upload, number)
        header = pb.UploadPartHeader(upload_id=upload.id, part_number=number)

        async def messages() -> AsyncIterator[pb.UploadPartRequest]:
            yield pb.UploadPartRequest(header=header)
            for start in range(0, len(data), _CHUNK):
                yield pb.UploadPartRequest(chunk=data[start : start + _CHUNK])

        call = self.stub.UploadPart(messages(), metadata=self.caller, timeout=_CALL_SECONDS)
        return (await call).part

    async def report(self, upload: upload_pb2.Upload, *parts: upload_pb2.Part) -> None:
        request = pb.ReportPartsRequest(upload_id=upload.id, parts=parts)
        for result in (await self.call("ReportParts", request)).results:
            assert not result.HasField("status"), result

    async def parts(self, upload: upload_pb2.Upload) -> list[upload_pb2.Part]:
        request = pb.ListPartsRequest(upload_id=upload.id)
        return list((await self.call("ListParts", request)).parts)

    async def status(self, upload: upload_pb2.Upload) -> pb.StatusResponse:
        request = pb.StatusRequest(upload_id=upload.id, view=pb.STATUS_VIEW_PROGRESS)
        return await self.call("Status", request)

    def watch(self, upload: upload_pb2.Upload) -> Any:
        request = pb.WatchRequest(upload_id=upload.id)
        return self.stub.Watch(request, metadata=self.caller, timeout=_CALL_SECONDS)

    async def complete(self, upload: upload_pb2.Upload) -> upload_pb2.Upload:
        """Complete it, and wait until storage has joined the parts."""
        async with asyncio.timeout(_CALL_SECONDS):
            while True:
                request = pb.CompleteRequest(upload_id=upload.id)
                done = (await self.call("Complete", request)).upload
                if done.state != upload_pb2.UPLOAD_STATE_COMPLETING:
                    return done
                await asyncio.sleep(_RETRY_SECONDS)

    async def abort(self, upload: upload_pb2.Upload) -> upload_pb2.Upload:
        return (await self.call("Abort", pb.AbortRequest(upload_id=upload.id))).upload

    async def compose(self, *sources: upload_pb2.Upload, **fields: Any) -> upload_pb2.Upload:
        named = [pb.ComposeSource(upload_id=source.id) for source in sources]
        request = pb.ComposeRequest(**{"file_name": "whole.mp4", "sources": named, **fields})
        made = (await self.call("Compose", request)).upload
        return (
            made if made.state == upload_pb2.UPLOAD_STATE_COMPLETED else await self.complete(made)
        )

    async def listed(self, **fields: Any) -> pb.ListUploadsResponse:
        return await self.call("ListUploads", pb.ListUploadsRequest(**fields))


@contextlib.asynccontextmanager
async def as_caller(
    service: VersionedService, put: Put, tenant: str, subject: str = "alice"
) -> AsyncIterator[Side]:
    """Use the service as that caller."""
    async with grpc.aio.insecure_channel(service.address) as channel:
        caller = (("partway-tenant", tenant), ("partway-subject", subject))
        yield Side(service, UploadServiceStub(channel), caller, put)


async def insist(call: Callable[[], Awaitable[Any]]) -> Any:
    """Repeat what answers that it may be repeated, as every client does, for 20 s."""
    async with asyncio.timeout(_CALL_SECONDS):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code().name not in ("UNAVAILABLE", "ABORTED"):
                    raise
            await asyncio.sleep(_RETRY_SECONDS)


def part_body(upload: upload_pb2.Upload, number: int) -> bytes:
    """Return the bytes that tests send as this part."""
    last = number == upload.part_count
    return content(number, upload.last_part_size_bytes if last else upload.part_size_bytes)


def body(upload: upload_pb2.Upload) -> bytes:
    """Return all bytes of the object."""
    return b"".join(part_body(upload, n) for n in range(1, upload.part_count + 1))


def checksum(algorithm: int, data: bytes) -> bytes:
    """Return the checksum by one of the algorithms that these tests use; b"" without one."""
    if algorithm == upload_pb2.CHECKSUM_ALGORITHM_SHA256:
        return hashlib.sha256(data).digest()
    if algorithm == upload_pb2.CHECKSUM_ALGORITHM_CRC64NVME:
        return int(_CRC64NVME.calc(data)).to_bytes(8, "big")
    assert algorithm == upload_pb2.CHECKSUM_ALGORITHM_UNSPECIFIED
    return b""
