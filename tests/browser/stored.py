"""Print what the storage in S3 holds as JSON: SHA-256 of the objects of the given keys, and uploads
that were not completed. A key without an object is left out."""

import json
import os
import sys

from botocore.exceptions import ClientError
from partway_server.devstack.servers import S3

from tests.support.bucket import Bucket


def main() -> None:
    s3 = S3(**json.loads(os.environ["S3"]))
    bucket = Bucket(s3, s3.bucket)
    objects = {}
    for key in sys.argv[1:]:
        try:
            objects[key] = bucket.sha256(key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
    uploads = bucket.client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads", [])
    print(json.dumps({"objects": objects, "unfinished": [upload["Key"] for upload in uploads]}))


if __name__ == "__main__":
    main()
