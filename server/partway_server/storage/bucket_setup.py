"""Create the bucket of the embedded stack before it starts."""

from collections.abc import Sequence
from typing import Any


def plain_client(*, endpoint: str, region: str, access_key: str, secret_key: str) -> Any:
    """Return a blocking botocore client that neither retries nor waits long.

    The caller closes it.
    """
    # Slow to import, and only needed once storage starts.
    import botocore.config
    import botocore.session

    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=botocore.config.Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            connect_timeout=2,
            read_timeout=5,
        ),
    )


def ensure_bucket(client: Any, bucket: str) -> bool:
    """Create the bucket unless it exists; return whether an object can be stored in it."""
    import botocore.exceptions

    try:
        if bucket not in [b["Name"] for b in client.list_buckets()["Buckets"]]:
            client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key=".ready", Body=b"")
        client.delete_object(Bucket=bucket, Key=".ready")
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return False
    return True


def allow_origins(client: Any, bucket: str, origins: Sequence[str]) -> None:
    """Let pages at these origins send parts, read their entity tags, and read objects."""
    rule = {
        "AllowedOrigins": [*origins],
        "AllowedMethods": ["PUT", "GET", "HEAD"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 600,
    }
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
