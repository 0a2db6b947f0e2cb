"""Tests that a sweep and a running service end what Redis lost, and nothing else."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from partway_server.devstack.servers import S3
from partway_server.domain.key_marks import KeyMarks
from redis import Redis

from tests.support.bucket import Bucket, look_into
from tests.support.processes import Service, service_environ, until

pytestmark = [pytest.mark.redis, pytest.mark.s3]

KEY = bytes(range(64))
NAME = "sweep-bucket"
DAY = timedelta(days=1)


@pytest.fixture
def bucket(s3: S3) -> Iterator[Bucket]:
    with look_into(s3, NAME) as bucket:
        yield bucket
        for upload in bucket.client.list_multipart_uploads(Bucket=NAME).get("Uploads", []):
            bucket.client.abort_multipart_upload(
                Bucket=NAME, Key=upload["Key"], UploadId=upload["UploadId"]
            )
        bucket.client.delete_bucket(Bucket=NAME)


@pytest.fixture
def forgotten(redis_url: str) -> None:
    """Make Redis lose everything."""
    with Redis.from_url(redis_url) as redis:
        redis.flushall()


def begin(bucket: Bucket, *, ends_in: timedelta, sealing_key: bytes = KEY) -> str:
    """Open a multipart upload with a part, as a service would have; return its key."""
    sid = secrets.token_hex(16)
    template = "default/2026/03/01/{}/film.mp4"
    marked = KeyMarks([sealing_key]).marked(
        sid,
        write_token=secrets.token_hex(16),
        expire_time=datetime.now(UTC) + ends_in,
        bucket=NAME,
        key=template.format(sid),
    )
    key = template.format(marked)
    opened = bucket.client.create_multipart_upload(Bucket=NAME, Key=key)
    bucket.client.upload_part(
        Bucket=NAME, Key=key, UploadId=opened["UploadId"], PartNumber=1, Body=b"a part"
    )
    return key


def unfinished(bucket: Bucket) -> set[str]:
    listed = bucket.client.list_multipart_uploads(Bucket=NAME).get("Uploads", [])
    return {upload["Key"] for upload in listed}


def sweep(environ: dict[str, str], *flags: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "partway_server", "sweep", *flags]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, env=environ)
    return ran.returncode, ran.stdout, ran.stderr


def test_the_command_ends_what_is_dead_and_only_that(
    s3: S3, redis_url: str, bucket: Bucket, forgotten: None
) -> None:
    environ = service_environ(s3, redis_url, bucket=NAME, log_level="info")
    dead, young = begin(bucket, ends_in=-DAY), begin(bucket, ends_in=DAY)
    theirs = begin(bucket, ends_in=-DAY, sealing_key=bytes(64))
    everything = {dead, young, theirs}

    code, printed, messages = sweep(environ, "--dry-run")
    assert (code, messages) == (0, "")
    assert f"{NAME}/{dead}  would be aborted: no session record" in printed
    assert printed.endswith("3 looked at: 2 left, 1 would be aborted; nothing was changed\n")
    assert unfinished(bucket) == everything
    assert bucket.client.list_objects_v2(Bucket=NAME)["KeyCount"] == 0

    code, printed, _ = sweep(environ, "--json")
    result: dict[str, Any] = json.loads(printed)
    assert (code, result["counts"]) == (0, {"aborted": 1, "left": 2})
    assert {f["key"] for f in result["findings"] if f["outcome"] == "aborted"} == {dead}
    assert unfinished(bucket) == {young, theirs}


def test_storage_that_cannot_be_listed_is_said_and_fails(
    s3: S3, redis_url: str, forgotten: None
) -> None:
    environ = service_environ(s3, redis_url, bucket="no-such-bucket", log_level="info")
    code, printed, messages = sweep(environ)
    assert code == 1
    assert "failed: it could not be listed completely: storage refused" in printed
    assert "not everything could be done" in messages


async def test_a_running_service_does_it_by_itself(
    tmp_path: Path, s3: S3, redis_url: str, bucket: Bucket, forgotten: None
) -> None:
    dead, young = begin(bucket, ends_in=-DAY), begin(bucket, ends_in=DAY)
    late = begin(bucket, ends_in=timedelta(seconds=4))
    settings = {"bucket": NAME, "sweep_seconds": 1, "sweep_grace_seconds": 0}
    with Service(tmp_path, s3, redis_url, **settings) as service:
        service.start()
        await until(lambda: unfinished(bucket) == {young})
    assert dead != late
    why = "no session record, and its last possible deadline has passed"
    assert f"aborted an orphan in storage: {why}" in service.logged()
