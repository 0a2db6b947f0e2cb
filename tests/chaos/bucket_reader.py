"""Reads the bucket with independent programs: rclone reads, boto3 lists."""

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from partway_server.devstack.servers import S3

from tests.support.bucket import Bucket
from tests.support.processes import COMMANDS

_REMOTE = "audited"


@dataclass(frozen=True, slots=True)
class Found:
    """An object in the bucket. `sha256` is of the bytes that were read from it."""

    size_bytes: int
    etag: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """All objects by key, and the keys of all unfinished multipart uploads."""

    objects: Mapping[str, Found] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()


class AuditError(Exception):
    """The bucket could not be read."""


class Auditor:
    """A reader of one bucket."""

    def __init__(self, s3: S3, bucket: Bucket) -> None:
        self._bucket = bucket
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RCLONE_")}
        # In the environment, not in arguments, which every process can see.
        self._environ = {
            **kept,
            "RCLONE_CONFIG": os.devnull,
            **{
                f"RCLONE_CONFIG_{_REMOTE.upper()}_{name}": value
                for name, value in {
                    "TYPE": "s3",
                    "PROVIDER": "SeaweedFS",
                    "ENDPOINT": s3.endpoint,
                    "REGION": s3.region,
                    "ACCESS_KEY_ID": s3.access_key,
                    "SECRET_ACCESS_KEY": s3.secret_key,
                }.items()
            },
        }

    async def exists(self, key: str) -> bool:
        """Return whether there is an object at the key now."""
        return await asyncio.to_thread(self._exists, key)

    async def unfinished(self) -> tuple[str, ...]:
        """Return the keys of the unfinished multipart uploads."""
        reported = json.loads(await self._rclone("backend", "list-multipart-uploads", self._place))
        uploads = [upload for of_bucket in reported.values() for upload in of_bucket or ()]
        return tuple(sorted(upload["Key"] for upload in uploads))

    async def holdings(self) -> Holdings:
        """Return everything in the bucket, reading every byte."""
        listed = await asyncio.to_thread(self._listed)
        sums = await self._rclone("hashsum", "sha256", self._place, "--download")
        lines = (line.split("  ", 1) for line in sums.splitlines())
        digests = {key: digest for digest, key in lines}
        storage = {
            key: Found(size, etag, digests.get(key, "")) for key, (size, etag) in listed.items()
        }
        return Holdings(storage, await self.unfinished())

    @property
    def _place(self) -> str:
        return f"{_REMOTE}:{self._bucket.name}"

    def _exists(self, key: str) -> bool:
        with contextlib.suppress(self._bucket.client.exceptions.ClientError):
            self._bucket.client.head_object(Bucket=self._bucket.name, Key=key)
            return True
        return False

    def _listed(self) -> dict[str, tuple[int, str]]:
        pages = self._bucket.client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.name
        )
        return {
            entry["Key"]: (entry["Size"], entry["ETag"].strip('"'))
            for page in pages
            for entry in page.get("Contents", [])
        }

    async def _rclone(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            str(COMMANDS / "rclone"),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environ,
        )
        try:
            output, messages = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise AuditError(f"rclone {arguments[0]}: {messages.decode()[-500:]}")
        return output.decode()
