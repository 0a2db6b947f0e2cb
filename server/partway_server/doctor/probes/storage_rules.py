"""Sets a bucket's rules as a whole: S3 has no call to add to them, so the caller merges."""

from collections.abc import Mapping, Sequence
from typing import Any

from partway_server.doctor.probes.results import ProbeResponse
from partway_server.doctor.probes.storage_connection import ProbeConnection

Rules = Sequence[Mapping[str, Any]]


async def set_cors(connection: ProbeConnection, bucket: str, rules: Rules) -> ProbeResponse:
    """PutBucketCors."""
    return await connection.call(
        "put_bucket_cors", Bucket=bucket, CORSConfiguration={"CORSRules": [*rules]}
    )


async def set_lifecycle(
    connection: ProbeConnection, bucket: str, rules: Rules, before: ProbeResponse
) -> ProbeResponse:
    """PutBucketLifecycleConfiguration; `before` is the answer that contained the present rules."""
    name = "TransitionDefaultMinimumObjectSize"
    # Without it, S3 would go back to its default.
    kept = {name: before.reply[name]} if before.ok and name in before.reply else {}
    return await connection.call(
        "put_bucket_lifecycle_configuration",
        Bucket=bucket,
        LifecycleConfiguration={"Rules": [*rules]},
        **kept,
    )
