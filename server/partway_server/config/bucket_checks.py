"""Checks that the buckets of policies can be used, before a policy is in force."""

from collections.abc import Collection, Iterable, Iterator

from partway_server.config.backends import DEFAULT
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.policy import Policy
from partway_server.storage.base import Storage

Place = tuple[str, str]
"""A backend and a bucket."""


def places(policies: Iterable[Policy]) -> Iterator[Place]:
    """Yield where the objects of these policies are, each place once."""
    yield from sorted({(policy.backend, policy.bucket) for policy in policies})


async def bucket_problems(storage: Storage, wanted: Collection[Place]) -> list[str]:
    """Return why some of these cannot be used, a line for each, and what to check."""
    found = [await _problem(storage, backend, bucket) for backend, bucket in wanted]
    return [words for words in found if words]


async def _problem(storage: Storage, backend: str, bucket: str) -> str:
    own = backend == DEFAULT
    where = "PARTWAY_S3_ENDPOINT" if own else f"endpoint of [backend.{backend}]"
    named = "PARTWAY_BUCKET or what the policy names"
    settings = f"{named}, the PARTWAY_S3_ settings" if own else f"[backend.{backend}]"
    try:
        await storage.check(backend, bucket)
    except ValueError as error:
        return f"{error}; check {settings} and the credentials"
    except StorageUnavailable:
        return f"storage does not answer; check {where}"
    except StorageRefused as error:
        return (
            f"storage refuses the bucket {bucket!r} ({error.storage_code});"
            f" check {named if own else settings}, the credentials and what they may do"
        )
    return ""
