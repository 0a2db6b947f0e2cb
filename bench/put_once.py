"""Runs one upload with one client, in its own process, for `bench.put`.

Standard input is a JSON object: `client`, `file`, `part_bytes`, `concurrency`, `state_dir`, the
service's address `grpc`, and `s3`. Standard output is a JSON object, too: `key`, and the cost of
the upload. Imports are inside functions, so that a process loads only its own client.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The cost of an upload: its key, wall seconds, CPU seconds of all threads.
Took = tuple[str, float, float]


def partway_with(checksum: str, route: str = "direct") -> Callable[[dict[str, Any]], Took]:
    def upload(job: dict[str, Any]) -> Took:
        import asyncio

        from partway_client import Checksum, Route, UploadClient

        async def run() -> Took:
            async with UploadClient(job["grpc"], state_dir=job["state_dir"]) as client:
                began, cpu = time.perf_counter(), time.process_time()
                uploaded = await client.upload_file(
                    job["file"],
                    part_size=job["part_bytes"],
                    concurrency=job["concurrency"],
                    checksum=Checksum(checksum),
                    route=Route(route),
                )
                return uploaded.key, time.perf_counter() - began, time.process_time() - cpu

        return asyncio.run(run())

    return upload


def boto3_with(**settings: Any) -> Callable[[dict[str, Any]], Took]:
    def upload(job: dict[str, Any]) -> Took:
        import boto3
        from boto3.s3.transfer import TransferConfig
        from botocore.config import Config

        s3 = job["s3"]
        addressing = {"addressing_style": "path", **settings.get("s3", {})}
        client = boto3.client(
            "s3",
            endpoint_url=s3["endpoint"],
            region_name=s3["region"],
            aws_access_key_id=s3["access_key"],
            aws_secret_access_key=s3["secret_key"],
            config=Config(**{**settings, "s3": addressing}),
        )
        transfer = TransferConfig(
            multipart_threshold=job["part_bytes"],
            multipart_chunksize=job["part_bytes"],
            max_concurrency=job["concurrency"],
        )
        began, cpu = time.perf_counter(), time.process_time()
        client.upload_file(job["file"], s3["bucket"], "boto3", Config=transfer)
        return "boto3", time.perf_counter() - began, time.process_time() - cpu

    return upload


def sendfile(job: dict[str, Any]) -> Took:
    """Measure what the sink can take, without a client: the kernel sends while threads wait."""
    import http.client
    import socket
    from concurrent.futures import ThreadPoolExecutor
    from urllib.parse import urlsplit

    size, address = Path(job["file"]).stat().st_size, urlsplit(job["s3"]["endpoint"]).netloc

    def send(offset: int) -> None:
        count = min(job["part_bytes"], size - offset)
        connection = http.client.HTTPConnection(address)
        with contextlib.closing(connection), open(job["file"], "rb") as file:
            connection.putrequest("PUT", "/sink/sendfile")
            connection.putheader("Content-Length", str(count))
            connection.endheaders()
            assert isinstance(connection.sock, socket.socket)
            connection.sock.sendfile(file, offset, count)
            assert connection.getresponse().status == 200

    began, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(job["concurrency"]) as threads:
        list(threads.map(send, range(0, size, job["part_bytes"])))
    return "", time.perf_counter() - began, time.process_time() - cpu


OFF = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
CLIENTS: dict[str, Callable[[dict[str, Any]], Took]] = {
    "partway": partway_with("best"),
    "partway, checksum none": partway_with("none"),
    "partway, via service": partway_with("best", "service"),
    "boto3, checksums off": boto3_with(**OFF),
    # Over plain HTTP boto3 still hashes each part for its signature, unless configured otherwise.
    "boto3, nothing hashed": boto3_with(**OFF, s3={"payload_signing_enabled": False}),
    "boto3, defaults": boto3_with(),
    "sendfile": sendfile,
}


def peak_rss_bytes() -> int:
    # Not ru_maxrss: that starts at the peak of the parent process.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    job = json.load(sys.stdin)
    key, seconds, cpu = CLIENTS[job["client"]](job)
    print(json.dumps({"key": key, "seconds": seconds, "cpu": cpu, "rss": peak_rss_bytes()}))
