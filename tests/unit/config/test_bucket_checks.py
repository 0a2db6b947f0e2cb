"""Tests the messages about a bucket that cannot be used."""

from partway_server.config.bucket_checks import bucket_problems
from partway_server.storage.memory import MemoryStorage


async def test_a_bucket_that_a_policy_names_is_not_blamed_on_the_variable_alone() -> None:
    [found] = await bucket_problems(MemoryStorage(buckets=["uploads"]), [("default", "phtos")])
    assert "'phtos': the bucket does not exist" in found
    assert "PARTWAY_BUCKET or what the policy names" in found
