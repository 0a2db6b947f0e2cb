"""Looks into storage with an S3 client that is not ours."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from partway_server.devstack.servers import S3
from partway_server.storage.base import Head
from partway_server.storage.presigner import WRITE_TOKEN


class Bucket:
    """A bucket, seen by boto3. Create it with `look_into`."""

    def __init__(self, s3: S3, name: str) -> None:
        self.name = name
        self.client = boto3.client(
            "s3",
            endpoint_url=s3.endpoint,
            region_name=s3.region,
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=s3.secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                # By default it asks for checksums, which S3Proxy refuses.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def parts(self) -> set[int]:
        """Return the part numbers of the only unfinished upload, or none if there is no upload."""
        uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        if not uploads:
            return set()
        [upload] = uploads
        listed = self.client.list_parts(
            Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
        )
        return {part["PartNumber"] for part in listed.get("Parts", [])}

    def unfinished(self, prefix: str = "") -> int:
        """Return the number of multipart uploads."""
        return len(self._uploads(prefix))

    def _uploads(self, prefix: str) -> list[dict[str, Any]]:
        found = self.client.list_multipart_uploads(Bucket=self.name, Prefix=prefix)
        return list(found.get("Uploads", []))

    def abort_all(self, key: str) -> None:
        """Abort every multipart upload at the key, as a lifecycle rule does."""
        for upload in self._uploads(key):
            self.client.abort_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload["UploadId"]
            )

    def object_with(self, key: str, write_token: str) -> Head | None:
        """Return the object at the key, if it has that write token."""
        try:
            found = self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 404
            return None
        reported = found["Metadata"].get(WRITE_TOKEN, "")
        head = Head(found["ContentLength"], found["ETag"].strip('"'), reported)
        return head if reported == write_token else None

    def body(self, key: str) -> bytes:
        """Return the bytes of an object."""
        with contextlib.closing(self.client.get_object(Bucket=self.name, Key=key)["Body"]) as body:
            return bytes(body.read())

    def sha256(self, key: str) -> str:
        """Return the SHA-256 of an object."""
        digest = hashlib.sha256()
        body = self.client.get_object(Bucket=self.name, Key=key)["Body"]
        with contextlib.closing(body):
            for chunk in body.iter_chunks(1024 * 1024):
                digest.update(chunk)
        return digest.hexdigest()


@contextlib.contextmanager
def look_into(s3: S3, name: str = "") -> Iterator[Bucket]:
    """Return the bucket of that name, creating it if needed; without a name, the one of `s3`."""
    bucket = Bucket(s3, name or s3.bucket)
    with contextlib.closing(bucket.client) as client:
        if name:
            client.create_bucket(Bucket=name)
        yield bucket
