"""Upload a file by token, with curl alone.

    python examples/upload_token/run.py

It starts storage, Redis, the service and its REST gateway; initializes an Upload, as the backend of
a web application would for its user; and hands id and token to send.sh, which stands for a page or
a phone: it has no account, and nothing but curl. Then it compares what arrived.

The service identifies callers by metadata, which the gateway removes: whoever comes through the
gateway without a token is refused.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import grpc
from botocore.config import Config
from google.protobuf.duration_pb2 import Duration
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

MIB = 1024 * 1024
COMMANDS = Path(sys.executable).parent
BACKEND = (("partway-tenant", "shop"), ("partway-subject", "user-17"))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="partway-token-") as folder, stack() as ready:
        file = Path(folder, "photo.bin")
        file.write_bytes(os.urandom(12 * MIB))
        answer = initialize(ready["grpc"], file)
        say(f"backend: upload_id     {answer.upload.id[:40]}...")
        say(f"backend: upload_token  {answer.upload_token.token[:40]}...")
        expect(
            status(ready["rest"], answer.upload.id) == "401", "without a token a caller is refused"
        )

        sent = send(ready["rest"], answer.upload.id, answer.upload_token.token, file)
        expect(sent["upload"]["state"] == "UPLOAD_STATE_COMPLETED", "the upload is complete")
        expect(digest_of(ready["s3"], sent["upload"]["object"]["key"]) == digest(file), "SHA-256")
        say(f"storage: {sent['upload']['object']['uri']} has the bytes that were sent")

        token = answer.upload_token.token
        other = initialize(ready["grpc"], file).upload.id
        expect(status(ready["rest"], other, token) == "404", "the token opens no other upload")
        expect(status(ready["rest"], answer.upload.id, token) == "200", "it still shows its own")


def initialize(server: str, file: Path) -> Any:
    """Do the whole work of the backend: one call, whose answer goes to the page."""
    with grpc.insecure_channel(server) as channel:
        request = pb.InitializeRequest(
            file_name=file.name,
            size_bytes=file.stat().st_size,
            part_size_bytes=5 * MIB,
            upload_token=pb.UploadTokenSpec(lifetime=Duration(seconds=3600)),
        )
        return UploadServiceStub(channel).Initialize(request, metadata=BACKEND)


def send(rest: str, upload_id: str, token: str, file: Path) -> Any:
    """Send the file with send.sh, and return the answer to its last call."""
    script = Path(__file__).with_name("send.sh")
    done = subprocess.run(
        ["sh", str(script), rest, upload_id, str(file)],
        env={**os.environ, "PARTWAY_TOKEN": token},
        stdout=subprocess.PIPE,
        text=True,
    )
    expect(done.returncode == 0, "send.sh")
    *lines, last = done.stdout.strip().splitlines()
    for line in lines:
        say(f"send.sh: {line}")
    return json.loads(last)


def status(rest: str, upload_id: str, token: str = "") -> str:
    """Return the HTTP status of a call that asks for the upload, with a token or without any."""
    header = f"authorization: Partway {token}" if token else "partway-tenant: shop"
    return subprocess.run(
        ["curl", "--silent", "--output", os.devnull, "--write-out", "%{http_code}"]
        + ["--header", "@-", f"{rest}/v1/uploads/{upload_id}"],
        input=header,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def digest_of(s3: dict[str, str], key: str) -> str:
    """Return the SHA-256 of an object, as any S3 client reads it."""
    client = boto3.client(
        "s3",
        endpoint_url=s3["endpoint"],
        region_name=s3["region"],
        aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"],
        config=Config(s3={"addressing_style": "path"}),
    )
    body = client.get_object(Bucket=s3["bucket"], Key=key)["Body"].read()
    return hashlib.sha256(body).hexdigest()


@contextmanager
def stack() -> Iterator[dict[str, Any]]:
    """Run the embedded stack with its gateway, and yield its ready line."""
    settings = {"PARTWAY_IDENTITY": "metadata", "PARTWAY_LOG_LEVEL": "warning"}
    with subprocess.Popen(
        [str(COMMANDS / "partway-server"), "dev", "--rest"],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        # Ctrl-C goes to this program, which stops the stack when it is done.
        start_new_session=True,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            expect(line.startswith("{"), "the stack starts")
            yield json.loads(line)
        finally:
            process.send_signal(signal.SIGTERM)


def expect(truth: bool, what: str) -> None:
    if not truth:
        sys.exit(f"not as expected: {what}")
    say(f"as expected: {what}")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
