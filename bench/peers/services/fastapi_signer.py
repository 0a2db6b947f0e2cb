"""The same service as fastapi_aioboto3, but the URLs are made by this project's signer."""

import os
from datetime import UTC, datetime
from typing import Any

import fastapi_aioboto3
from fastapi_aioboto3 import LIFETIME, app
from partway_server.storage.sigv4 import Credentials, S3Endpoint, Signer

__all__ = ["app"]

signer = Signer(
    Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]),
    S3Endpoint(os.environ["S3_ENDPOINT"], os.environ["AWS_DEFAULT_REGION"]),
)
PART_BYTES = 5 * 1024 * 1024


async def sign(place: dict[str, Any], numbers: list[int]) -> list[str]:
    parts = signer.for_parts(
        place["Bucket"],
        place["Key"],
        place["UploadId"],
        lifetime_seconds=LIFETIME,
        now=datetime.now(UTC),
    )
    return list(map(parts.of_size(PART_BYTES), numbers))


fastapi_aioboto3.sign = sign
