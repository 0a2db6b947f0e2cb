"""Demonstrates the main job from outside: upload, kill the client halfway, resume, watch, compare.

Starts the embedded stack as a process, puts a byte-counting relay between client and service, and
runs the real `partway` command. Another `partway` process watches the upload, and `partway-server
events` prints its events. The object is read back with boto3. Exits 1 if anything is not as
expected, and leaves nothing behind.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

MIB = 1024 * 1024
FILE_BYTES = 256 * MIB
PART_BYTES = 8 * MIB
KILL_AFTER_PARTS = 10
POLL_SECONDS = 0.05

# Installed commands are next to the interpreter, regardless of PATH.
COMMANDS = Path(sys.executable).parent


class DemoFailure(Exception):
    """An unexpected result."""


@dataclass
class Relay:
    """A relay that counts the bytes between client and service."""

    target: int
    port: int = 0
    sent: int = 0
    received: int = 0

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(
            self._copy(reader, outer, "sent"), self._copy(inner, writer, "received")
        )

    async def _copy(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, count: str
    ) -> None:
        # A killed client resets its connection, which ends this direction, too.
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                setattr(self, count, getattr(self, count) + len(data))
                sink.write(data)
                await sink.drain()
        sink.close()


@dataclass
class Calls:
    """Counts, by name, of the RPCs that the service logs."""

    by_name: dict[str, int]

    async def read(self, logs: asyncio.StreamReader) -> None:
        async for line in logs:
            entry = json.loads(line) if line.startswith(b"{") else {}
            if "rpc" in entry:
                self.by_name[entry["rpc"]] = self.by_name.get(entry["rpc"], 0) + 1
            elif entry.get("level") in (None, "error", "warning"):
                say(f"  service: {entry.get('message') or line.decode().strip()}")


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="partway-demo-") as folder:
        file = Path(folder, "video.bin")
        say(f"Writing {FILE_BYTES // MIB} MiB of random bytes")
        digest = write_random(file)
        say("Starting storage, Redis and the service")
        calls = Calls({})
        async with stack(calls) as ready:
            relay = Relay(target=int(ready["grpc"].rpartition(":")[2]))
            async with await relay.serve():
                uploader = Uploader(file, f"127.0.0.1:{relay.port}", Path(folder, "state"))
                await upload(uploader, ready, relay, calls, digest)


async def upload(
    uploader: "Uploader", ready: dict[str, Any], relay: Relay, calls: Calls, digest: str
) -> None:
    storage = Storage(ready["s3"])
    say("Uploading, and killing the client on the way (SIGKILL)")
    begun = time.monotonic()
    stored = await uploader.kill_midway(storage)
    spent = time.monotonic() - begun
    say(f"Killed: storage holds {stored} of {FILE_BYTES // PART_BYTES} parts. Now the same again:")
    watching = await watch(ready["grpc"])
    begun = time.monotonic()
    result = await uploader.finish()
    spent += time.monotonic() - begun
    seen = await watched(watching)
    event = await completed_event(ready["redis"])
    say("Reading it back with boto3")
    expect(await asyncio.to_thread(storage.digest, result["key"]) == digest, "SHA-256")
    again = stored + result["parts_sent"] - result["parts"]
    passed = relay.sent + relay.received
    expect(result["parts_resumed"] == stored, "the parts that were resumed")
    expect(again == 0, "parts sent again")
    expect(passed < FILE_BYTES / 100, "bytes through the service")
    expect(event["data"]["key"] == result["key"], "the event of the completed upload")
    shares = [100 * each["reported"]["bytes_stored"] // FILE_BYTES for each in seen[:-1]]
    rows = {
        "sha256": f"{digest[:16]}... the same",
        "time": f"{spent:.1f} s, {FILE_BYTES / 1e6 / spent:.0f} MB/s, both runs together",
        "parts": f"{result['parts']}, of them {stored} before the kill",
        "sent again": str(again),
        "watched": f"{len(seen)} messages: {', '.join(f'{n}%' for n in shares)}, completed",
        "event": f"{event['type']} {event['id'][:8]}... of {event['data']['uri'][:40]}...",
        "RPCs": ", ".join(f"{count} {name}" for name, count in sorted(calls.by_name.items())),
        "through the service": f"{passed:,} bytes ({relay.sent:,} in, {relay.received:,} out)",
        "size of the file": f"{FILE_BYTES:,} bytes, {FILE_BYTES // passed:,} times as many",
    }
    say("")
    for name, value in rows.items():
        say(f"  {name:>20}  {value}")


async def watch(server: str) -> asyncio.subprocess.Process:
    """Follow the one upload that is in flight with the real `partway watch`."""
    [upload] = await lines("partway", "list", "--state", "active", "--json", "--server", server)
    return await asyncio.create_subprocess_exec(
        *(str(COMMANDS / "partway"), "watch", upload["upload_id"], "--json", "--server", server),
        stdout=asyncio.subprocess.PIPE,
    )


async def watched(process: asyncio.subprocess.Process) -> list[dict[str, Any]]:
    """Return what the watcher saw, once the upload has ended."""
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    expect(process.returncode == 0, "the watch of the upload")
    seen = [json.loads(line) for line in output.splitlines()]
    expect(seen[-1]["state"] == "completed", "the end of the watch")
    return seen


async def completed_event(redis_url: str) -> dict[str, Any]:
    """Return the one event of the completed upload, as any consumer finds it."""
    wanted = ("--type", "upload.completed", "--since", "1h", "--json")
    [event] = await lines("partway-server", "events", "tail", "--redis-url", redis_url, *wanted)
    return event


async def lines(command: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the JSON lines that a command prints."""
    process = await asyncio.create_subprocess_exec(
        str(COMMANDS / command), *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    expect(process.returncode == 0, f"{command} {arguments[0]}")
    return [json.loads(line) for line in output.splitlines()]


@dataclass
class Uploader:
    """A runner of the real `partway upload`."""

    file: Path
    server: str
    state: Path

    async def kill_midway(self, storage: "Storage") -> int:
        """Start the upload, kill it, and return how many parts storage has."""
        process = await self._start()
        try:
            while await asyncio.to_thread(storage.parts) < KILL_AFTER_PARTS:
                expect(process.returncode is None, "the client running until it is killed")
                await asyncio.sleep(POLL_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            sys.stderr.write("\n")
        # Bytes that the dead client sent may still be on their way into storage.
        held, settled = -1, await asyncio.to_thread(storage.parts)
        while held != settled:
            await asyncio.sleep(10 * POLL_SECONDS)
            held, settled = settled, await asyncio.to_thread(storage.parts)
        return held

    async def finish(self) -> dict[str, Any]:
        process = await self._start()
        output, _ = await process.communicate()
        expect(process.returncode == 0, "the second run of the client")
        result: dict[str, Any] = json.loads(output.splitlines()[0])
        return result

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            str(COMMANDS / "partway"),
            *("upload", str(self.file), "--server", self.server),
            *("--part-size", str(PART_BYTES), "--json"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PARTWAY_STATE_DIR": str(self.state)},
        )


class Storage:
    """An independent S3 client that inspects storage."""

    def __init__(self, s3: dict[str, str]) -> None:
        self._bucket = s3["bucket"]
        self._client = boto3.client(
            "s3",
            endpoint_url=s3["endpoint"],
            region_name=s3["region"],
            aws_access_key_id=s3["access_key"],
            aws_secret_access_key=s3["secret_key"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def parts(self) -> int:
        """Return how many parts the unfinished upload has, or 0 if there is no such upload."""
        uploads = self._client.list_multipart_uploads(Bucket=self._bucket).get("Uploads", [])
        if not uploads:
            return 0
        upload = {"Key": uploads[0]["Key"], "UploadId": uploads[0]["UploadId"]}
        return len(self._client.list_parts(Bucket=self._bucket, **upload).get("Parts", []))

    def digest(self, key: str) -> str:
        """Return the SHA-256 of an object."""
        digest = hashlib.sha256()
        for chunk in self._client.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(MIB):
            digest.update(chunk)
        return digest.hexdigest()


@contextlib.asynccontextmanager
async def stack(calls: Calls) -> AsyncIterator[dict[str, Any]]:
    """Run the embedded stack, and yield its ready line."""
    process = await asyncio.create_subprocess_exec(
        *(str(COMMANDS / "partway-server"), "dev", "--json-logs"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C goes to this program, which stops the stack when it is done.
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    reading = asyncio.create_task(calls.read(process.stderr))
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        expect(line.startswith(b"{"), "the stack starting")
        yield json.loads(line)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)
        await reading


def write_random(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("wb") as out:
        for _ in range(FILE_BYTES // MIB):
            block = os.urandom(MIB)
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


def expect(truth: bool, what: str) -> None:
    if not truth:
        raise DemoFailure(what)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except DemoFailure as failure:
        sys.exit(f"demo failed: not as expected: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
