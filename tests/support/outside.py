"""A store that runs already, of which `make test-outside` uses one prefix and leaves it empty.

PARTWAY_TEST_ENDPOINT, PARTWAY_TEST_BUCKET and PARTWAY_TEST_REGION say where it is; its keys are in
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. What it can do is measured first.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError
from partway_server.devstack.servers import S3, connect
from partway_server.domain.grant import Grant
from partway_server.storage.base import Presigner
from partway_server.storage.s3 import S3Storage
from partway_server.storage.s3_startup_check import PROBE_PREFIX

from tests.support.measurement import Measurement, measure

PREFIX = f"{PROBE_PREFIX}tests-{secrets.token_hex(8)}/"
"""Below the keys of the service's own checks, which the suites run too."""


@pytest.fixture(scope="session")
def outside() -> Iterator[S3]:
    """Return the store; at the end remove what the tests made, and fail if anything remains."""
    s3 = _named_by(os.environ)
    opened: list[tuple[str, str]] = []
    create, presigner = S3Storage.create, S3Storage.presigner

    async def noted(self: S3Storage, grant: Grant, metadata: Mapping[str, str]) -> str:
        assert grant.key.startswith(PREFIX)
        multipart_id = await create(self, grant, metadata)
        # By this, too: MinIO lists uploads by their whole key only.
        opened.append((grant.key, multipart_id))
        return multipart_id

    async def within(
        self: S3Storage, grant: Grant, lifetime: timedelta, now: datetime
    ) -> Presigner:
        assert grant.key.startswith(PREFIX)
        return await presigner(self, grant, lifetime, now)

    with contextlib.closing(connect(s3)) as client:
        try:
            with (
                patch.object(S3Storage, "create", noted),
                patch.object(S3Storage, "presigner", within),
            ):
                yield s3
        finally:
            _remove(client, s3.bucket, opened)
        assert _left(client, s3.bucket, opened) == []


@pytest.fixture(scope="session")
def outside_measured(outside: S3, tmp_path_factory: pytest.TempPathFactory) -> Measurement:
    """Return what the doctor says of it."""
    return measure(outside, tmp_path_factory.mktemp("outside"))


def _named_by(environ: Mapping[str, str]) -> S3:
    return S3(
        environ["PARTWAY_TEST_ENDPOINT"],
        environ.get("PARTWAY_TEST_REGION") or "us-east-1",
        environ["AWS_ACCESS_KEY_ID"],
        environ["AWS_SECRET_ACCESS_KEY"],
        environ["PARTWAY_TEST_BUCKET"],
    )


def _remove(client: Any, bucket: str, opened: list[tuple[str, str]]) -> None:
    for key, multipart_id in {*opened, *_unfinished(client, bucket)}:
        with contextlib.suppress(ClientError):  # Most have ended; `_left` looks.
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=multipart_id)
    for place in _objects(client, bucket):
        client.delete_object(Bucket=bucket, **place)


def _left(client: Any, bucket: str, opened: list[tuple[str, str]]) -> list[str]:
    """Return the keys of what is below the prefix, or in an upload that was begun."""
    found = [place["Key"] for place in _objects(client, bucket)]
    found += [key for key, _ in _unfinished(client, bucket)]
    for key, multipart_id in opened:
        with contextlib.suppress(ClientError):
            page = client.list_parts(Bucket=bucket, Key=key, UploadId=multipart_id)
            # S3Proxy lists an upload that is over, without parts.
            found += [key] if page.get("Parts") else []
    return found


def _objects(client: Any, bucket: str) -> list[dict[str, str]]:
    """Return the places of all objects below the prefix, or of all versions where they are kept."""
    try:
        versioned = "Status" in client.get_bucket_versioning(Bucket=bucket)
    except ClientError:
        versioned = False  # Not every store has the call.
    call = "list_object_versions" if versioned else "list_objects_v2"
    names = ("Key", "VersionId") if versioned else ("Key",)
    return [
        {name: each[name] for name in names}
        for page in client.get_paginator(call).paginate(Bucket=bucket, Prefix=PREFIX)
        for kind in ("Contents", "Versions", "DeleteMarkers")
        for each in page.get(kind, [])
    ]


def _unfinished(client: Any, bucket: str) -> list[tuple[str, str]]:
    """Return those on the first page; tests remove the many that they make."""
    page = client.list_multipart_uploads(Bucket=bucket, Prefix=PREFIX)
    return [(each["Key"], each["UploadId"]) for each in page.get("Uploads", [])]
