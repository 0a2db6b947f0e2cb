"""Tests that the stubs have types for both kinds of channel, under mypy --strict."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]

BLOCKING = """
import grpc
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

def upload(address: str) -> str:
    with grpc.insecure_channel(address) as channel:
        stub = UploadServiceStub(channel)
        upload = stub.Initialize(pb.InitializeRequest(size_bytes=5), timeout=5).upload
        for page in stub.PresignParts(pb.PresignPartsRequest(upload_id=upload.id)):
            for part in page.parts:
                reveal_type(part.url)
        header = pb.UploadPartRequest(header=pb.UploadPartHeader(upload_id=upload.id))
        reveal_type(stub.UploadPart(iter([header])).part.etag)
        return stub.Complete(pb.CompleteRequest(upload_id=upload.id)).upload.object.key
"""

ASYNCIO = """
import grpc.aio
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

async def upload(address: str) -> str:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = UploadServiceStub(channel)
        upload = (await stub.Initialize(pb.InitializeRequest(size_bytes=5), timeout=5)).upload
        async for page in stub.PresignParts(pb.PresignPartsRequest(upload_id=upload.id)):
            for part in page.parts:
                reveal_type(part.url)
        done = await stub.Complete(pb.CompleteRequest(upload_id=upload.id))
        return done.upload.object.key
"""

MIXED_UP = """
import grpc
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

async def upload(channel: grpc.Channel) -> str:
    answer = await UploadServiceStub(channel).Initialize(pb.InitializeRequest(size_bytes=5))
    return answer.upload.id
"""


def mypy(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "caller.py"
    file.write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(file)]
    return subprocess.run(
        [*command, "--cache-dir", str(folder / "cache")],
        cwd=folder,
        env={"MYPYPATH": str(ROOT / "generated"), "PATH": ""},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("program", [BLOCKING, ASYNCIO], ids=["blocking", "asyncio"])
def test_a_caller_has_types(program: str, tmp_path: Path) -> None:
    done = mypy(program, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    revealed = [line for line in done.stdout.splitlines() if "Revealed type" in line]
    assert len(revealed) == program.count("reveal_type(")
    assert all('"str"' in line or '"builtins.str"' in line for line in revealed)


def test_the_two_kinds_are_not_confused(tmp_path: Path) -> None:
    done = mypy(MIXED_UP, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert 'Incompatible types in "await"' in done.stdout
