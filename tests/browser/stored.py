"""Print what the storage in S3 holds as JSON: SHA-256 of the objects of the given keys, and uploads
that were not completed. A key without an object is left out."""

import hashlib
import json
import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def main() -> None:
    s3 = json.loads(os.environ["S3"])
    client = boto3.client(
        "s3",
        endpoint_url=s3["endpoint"],
        region_name=s3["region"],
        aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"],
        config=Config(s3={"addressing_style": "path"}),
    )
    objects = {}
    for key in sys.argv[1:]:
        try:
            body = client.get_object(Bucket=s3["bucket"], Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            continue
        digest = hashlib.sha256()
        for piece in body.iter_chunks(1024 * 1024):
            digest.update(piece)
        objects[key] = digest.hexdigest()
    uploads = client.list_multipart_uploads(Bucket=s3["bucket"]).get("Uploads", [])
    print(json.dumps({"objects": objects, "unfinished": [upload["Key"] for upload in uploads]}))


if __name__ == "__main__":
    main()
