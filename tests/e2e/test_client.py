"""Tests `partway` and the synchronous client with a running service."""

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import anycrc
import pytest
from partway.v1 import upload_service_pb2 as pb
from partway_client import State, SyncUploadClient, UploadNotActive, UploadNotFound

from tests.support.bucket import Bucket
from tests.support.files import File
from tests.support.processes import Partway, Service
from tests.support.storage import put_by

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

pytestmark = [pytest.mark.redis, pytest.mark.s3]

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "parts"), [(0, 1), (1, 1), (17 * MIB + 3, 4)], ids=["0 B", "1 B", "17 MiB + 3 B"]
)
async def test_a_file_arrives_as_it_is(
    partway: Partway, bucket: Bucket, tmp_path: Path, size: int, parts: int
) -> None:
    file = File.write(tmp_path / "film.mp4", size)
    ran = await partway.run("upload", file.path, "--part-size", "5MiB", "--json")
    result = ran.only
    assert bucket.sha256(result["key"]) == file.sha256
    assert result["file"] == str(file.path)
    assert result["bucket"] == bucket.name
    assert result["uri"] == f"s3://{bucket.name}/{result['key']}"
    assert result["content_type"] == "video/mp4"
    assert (result["size_bytes"], result["bytes_sent"]) == (size, size)
    assert (result["parts"], result["parts_sent"]) == (parts, parts)
    assert (result["parts_resumed"], result["parts_retried"]) == (0, 0)
    # Initialize signs the only part with the checksum of the file; otherwise one call looks for an
    # Upload of the same file, one signs all, and others may report what was sent.
    assert result["rpcs"] == 2 if parts == 1 else 4 <= result["rpcs"] <= 4 + parts
    assert result["checksum_algorithm"] == "crc64nvme"
    whole = anycrc.Model("CRC64-NVME").calc(file.path.read_bytes())
    assert base64.b64decode(result["checksum"]) == whole.to_bytes(8)


async def test_a_missing_file_fails_alone(partway: Partway, bucket: Bucket, tmp_path: Path) -> None:
    first = File.write(tmp_path / "first", 3)
    last = File.write(tmp_path / "last", 4)
    missing = tmp_path / "missing"
    ran = await partway.run("upload", first.path, missing, last.path, "--json")
    assert ran.code == 1
    one, none, other = ran.printed
    assert bucket.sha256(one["key"]) == first.sha256
    assert bucket.sha256(other["key"]) == last.sha256
    assert (none["file"], none["error"]) == (str(missing), "FileUnreadable")
    assert "missing" in ran.messages


async def test_standard_input_is_uploaded(partway: Partway, bucket: Bucket) -> None:
    data = os.urandom(6 * MIB + 1)
    ran = await partway.run("upload", "--name", "dump.sql", "--json", "-", data=data)
    assert bucket.sha256(ran.only["key"]) == hashlib.sha256(data).hexdigest()
    assert ran.only["key"].endswith("dump.sql")


async def test_an_upload_is_looked_at_and_discarded(
    partway: Partway, stub: "UploadServiceAsyncStub"
) -> None:
    opened = await stub.Initialize(
        pb.InitializeRequest(
            file_name="a", size_bytes=11 * MIB, part_size_bytes=5 * MIB, presign_parts=1
        )
    )
    upload_id, [part] = opened.upload.id, opened.parts
    async with aiohttp.ClientSession() as http:
        assert (await put_by(http)(part.url, bytes(5 * MIB), part.headers)).status == 200

    found = (await partway.run("status", upload_id, "--json")).only
    assert found["state"] == "active"
    assert found["progress"] == {
        "parts_stored": 1,
        "bytes_stored": 5 * MIB,
        "missing": [[2, 3]],
    }
    listed = (await partway.run("parts", upload_id, "--json")).only
    assert (listed["part_number"], listed["size_bytes"]) == (1, 5 * MIB)
    active = await partway.run("list", "--state", "active", "--limit", "1", "--json")
    assert active.only["upload_id"] == upload_id

    assert (await partway.run("abort", upload_id, "--json")).only["state"] == "aborted"
    again = (await partway.run("status", upload_id, "--json")).only
    assert (again["state"], again["abort_reason"]) == ("aborted", "requested")
    over = await partway.run("parts", upload_id, "--json")
    assert (over.code, over.printed) == (1, [])
    assert "aborted" in over.messages


def test_the_synchronous_client_does_the_same(
    service: Service, bucket: Bucket, tmp_path: Path
) -> None:
    file = File.write(tmp_path / "film.mp4", 11 * MIB + 3)
    with SyncUploadClient(service.address, state_dir=tmp_path / "state") as client:
        uploaded = client.upload_file(file.path, part_size=5 * MIB)
        assert bucket.sha256(uploaded.key) == file.sha256
        assert uploaded.parts_sent == 3
        found = client.status(uploaded.upload_id, progress=True)
        assert (found.state, found.etag) == (State.COMPLETED, uploaded.etag)
        assert uploaded.upload_id in [u.upload_id for u in client.list_uploads()]
        with pytest.raises(UploadNotActive):
            client.abort(uploaded.upload_id)
        with pytest.raises(UploadNotFound):
            client.status("nothing")
    # What is finished is not remembered, but for the id of the last one.
    [last] = (tmp_path / "state").iterdir()
    assert last.suffix == ".last"


async def test_a_folder_is_moved_to_storage_and_a_manifest_says_what_is_there(
    partway: Partway, bucket: Bucket, tmp_path: Path
) -> None:
    folder, manifest, log = tmp_path / "clips", tmp_path / "done.jsonl", tmp_path / "log"
    (folder / "raw" / "deep").mkdir(parents=True)
    files = [
        File.write(folder / name, size)
        for name, size in (("a.mp4", 1000), ("raw/b.mp4", 11 * MIB), ("raw/deep/c.mp4", 0))
    ]
    several = ("upload", "-r", folder, "--name-template", "{relative_path}", "--json")
    kept = (*several, "--skip-existing", manifest, "--log-file", log)

    first = await partway.run(*kept)
    second = await partway.run(*kept)
    moved = await partway.run(*several, "--delete-after", "--parallel-files", "2")

    assert (first.code, second.code, moved.code) == (0, 0, 0), first.messages + moved.messages
    assert [bucket.sha256(each["key"]) for each in first.printed] == [f.sha256 for f in files]
    # The service decides on keys: a path is one segment of them.
    names = [each["key"].rpartition("/")[2] for each in first.printed]
    assert names == ["a.mp4", "raw_b.mp4", "raw_deep_c.mp4"]
    assert (first.summary["uploaded"], second.summary["skipped"]) == (3, 3)
    entries = {each["path"]: each for each in map(json.loads, manifest.read_text().splitlines())}
    for file, result in zip(files, first.printed, strict=True):
        entry = entries[str(file.path)]
        assert (entry["uri"], entry["checksum"]) == (result["uri"], result["checksum"])
    assert "X-Amz" not in log.read_text()
    assert moved.summary["deleted"] == 3
    assert [bucket.sha256(each["key"]) for each in moved.printed] == [f.sha256 for f in files]
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_an_upload_is_named_by_the_beginning_of_its_sid(
    partway: Partway, tmp_path: Path
) -> None:
    file = File.write(tmp_path / "film.mp4", 3)
    uploaded = (await partway.run("upload", file.path, "--json")).only

    last = (await partway.run("status", "-", "--json")).only
    found = (await partway.run("status", last["sid"][:12], "--json")).only

    assert last["upload_id"] == found["upload_id"] == uploaded["upload_id"]
    assert last["sid"] in uploaded["key"]
    unknown = await partway.run("abort", "0000000000000000")
    assert (unknown.code, "uploads begins with" in unknown.messages) == (1, True)
