"""Looks into storage with an S3 client that is not ours."""

import contextlib
import hashlib
from collections.abc import Iterator

import boto3
from botocore.config import Config
from partway_server.embedded import S3


class Bucket:
    """A bucket, seen by boto3. Make it with `look_into`."""

    def __init__(self, s3: S3, name: str) -> None:
        self.name = name
        self.client = boto3.client(
            "s3",
            endpoint_url=s3.endpoint,
            region_name=s3.region,
            aws_access_key_id=s3.access_key,
            aws_secret_access_key=s3.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )

    def parts(self) -> set[int]:
        """The numbers of the parts of the only unfinished upload; none without one."""
        uploads = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        if not uploads:
            return set()
        [upload] = uploads
        listed = self.client.list_parts(
            Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"]
        )
        return {part["PartNumber"] for part in listed.get("Parts", [])}

    def unfinished(self) -> int:
        """How many multipart uploads there are."""
        return len(self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", []))

    def sha256(self, key: str) -> str:
        """The SHA-256 of an object."""
        digest = hashlib.sha256()
        body = self.client.get_object(Bucket=self.name, Key=key)["Body"]
        with contextlib.closing(body):
            for chunk in body.iter_chunks(1024 * 1024):
                digest.update(chunk)
        return digest.hexdigest()


@contextlib.contextmanager
def look_into(s3: S3, name: str = "") -> Iterator[Bucket]:
    """The bucket of that name, which is made if need be; without a name, the one of `s3`."""
    bucket = Bucket(s3, name or s3.bucket)
    with contextlib.closing(bucket.client) as client:
        if name:
            client.create_bucket(Bucket=name)
        yield bucket
