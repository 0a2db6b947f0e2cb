"""Sends a file, part by part and several at once. Stop it and run it again: it resumes.

    python upload.py --server 127.0.0.1:50051 film.mp4

It needs `pip install partway-proto grpcio-status` alone; `partway-client` does more. With
--upload-id it sends the file of an Upload that a backend opened. PARTWAY_AUTHORIZATION says who
calls: "Partway TOKEN" with an upload token, or "Bearer TOKEN".
"""

import argparse
import itertools
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import TypeVar

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from partway.v1 import upload_pb2  # fmt: skip
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub

PARALLEL = 8
WINDOW = 32
"""Parts presigned at a time, so that no URL expires unused."""

ATTEMPTS = 5
SERVICE_CONFIG = resources.files("partway.v1").joinpath("service_config.json").read_text()
"""Calls are safe to repeat, and this says which failures are."""

T = TypeVar("T")


class Uploader:
    """Sends one file after another."""

    def __init__(self, channel: grpc.Channel, authorization: str) -> None:
        self._partway = UploadServiceStub(channel)
        self._metadata = (("authorization", authorization),) if authorization else ()

    def upload(self, path: str, upload_id: str) -> upload_pb2.StoredObject:
        """Send a file, and return what it became."""
        with open(path, "rb") as file:
            upload_id = upload_id or self._find(path)
            for _ in range(ATTEMPTS):
                self._send_missing(file.fileno(), upload_id)
                if (upload := self._complete(upload_id)) is not None:
                    return upload.object
        raise TimeoutError(f"not complete after {ATTEMPTS} attempts")

    def _find(self, path: str) -> str:
        """Return the id of the Upload of this file: one begun before, or else a new one."""
        stat = os.stat(path)
        name = f"python {stat.st_ino} {stat.st_mtime_ns} {stat.st_size}"
        begun = self._partway.ListUploads(
            pb.ListUploadsRequest(fingerprint=name, state=upload_pb2.UPLOAD_STATE_ACTIVE),
            metadata=self._metadata,
        )
        if begun.uploads:
            print("resuming", file=sys.stderr)
            return begun.uploads[0].id
        request = pb.InitializeRequest(
            file_name=os.path.basename(path), size_bytes=stat.st_size, fingerprint=name
        )
        return self._partway.Initialize(request, metadata=self._metadata).upload.id

    def _send_missing(self, file: int, upload_id: str) -> None:
        """Send what storage does not hold, a window of parts at a time."""
        status = self._partway.Status(
            pb.StatusRequest(upload_id=upload_id, view=pb.STATUS_VIEW_PROGRESS),
            metadata=self._metadata,
        )
        with ThreadPoolExecutor(PARALLEL) as pool:
            for ranges in _windows(status.progress.missing):
                presigned = self._partway.BatchPresignParts(
                    pb.BatchPresignPartsRequest(upload_id=upload_id, ranges=ranges),
                    metadata=self._metadata,
                )
                # The list waits for all of them, and raises what one of them raised.
                list(pool.map(lambda part: _send(file, part), presigned.parts))

    def _complete(self, upload_id: str) -> upload_pb2.Upload | None:
        """Return the completed Upload, or None if another round is needed."""
        try:
            upload = self._partway.Complete(
                pb.CompleteRequest(upload_id=upload_id), metadata=self._metadata
            ).upload
        except grpc.RpcError as error:
            if reason(error) in ("ERROR_REASON_PARTS_MISSING", "ERROR_REASON_PARTS_MISMATCH"):
                return None
            if (retry := _detail(error, error_details_pb2.RetryInfo)) is None:
                raise
            time.sleep(retry.retry_delay.ToMilliseconds() / 1000)
            return None
        if upload.state == upload_pb2.UPLOAD_STATE_COMPLETED:
            return upload
        time.sleep(upload.retry_delay.ToMilliseconds() / 1000 or 0.1)
        return None


def _windows(missing: Iterable[upload_pb2.PartRange]) -> Iterator[list[upload_pb2.PartRange]]:
    numbers = itertools.chain.from_iterable(range(each.first, each.last + 1) for each in missing)
    while window := list(itertools.islice(numbers, WINDOW)):
        yield [upload_pb2.PartRange(first=n, last=n) for n in window]


def _send(file: int, part: upload_pb2.PresignedPart) -> None:
    """Send one part, and again if that fails. One whose URL expired waits for the next round."""
    body = os.pread(file, part.size_bytes, part.offset_bytes)
    headers = {"content-type": "", **part.headers, "content-length": str(part.size_bytes)}
    request = urllib.request.Request(part.url, body, headers, method=part.method)
    for attempt in range(ATTEMPTS):
        if time.time() > part.expire_time.ToMilliseconds() / 1000:
            return
        try:
            urllib.request.urlopen(request, timeout=600).close()
            return
        except OSError as error:  # urllib's errors show no URL, which is a secret.
            problem = error
        time.sleep(0.1 * 2**attempt)
    raise problem


def _detail(error: grpc.RpcError, kind: Callable[[], T]) -> T | None:
    """Return the detail of one kind that an error of Partway carries."""
    assert isinstance(error, grpc.Call)
    status = rpc_status.from_call(error)
    message = kind()
    for detail in status.details if status else ():
        if detail.Unpack(message):
            return message
    return None


def reason(error: grpc.RpcError) -> str:
    """Return why a call failed: branch on this, not on messages."""
    info = _detail(error, error_details_pb2.ErrorInfo)
    return str(info.reason) if info else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="127.0.0.1:50051")
    parser.add_argument("--upload-id", default="")
    parser.add_argument("file")
    arguments = parser.parse_args()
    options = [("grpc.service_config", SERVICE_CONFIG)]
    # Use grpc.secure_channel outside a test.
    with grpc.insecure_channel(arguments.server, options) as channel:
        uploader = Uploader(channel, os.environ.get("PARTWAY_AUTHORIZATION", ""))
        try:
            print(uploader.upload(arguments.file, arguments.upload_id).uri)
        except grpc.RpcError as error:
            sys.exit(reason(error) or str(error))


if __name__ == "__main__":
    main()
