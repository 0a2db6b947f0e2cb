"""Checks that the buckets of policies can be used, before a policy is in force."""

from collections.abc import Collection, Iterable, Iterator

from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.obstacle import StoreUnusable
from partway_server.domain.policy import Policy
from partway_server.storage.base import Storage
from partway_server.storage.obstacles import obstacle, refuses, unusable

Place = tuple[str, str]
"""A backend and a bucket."""


def places(policies: Iterable[Policy]) -> Iterator[Place]:
    """Yield where the objects of these policies are, each place once."""
    yield from sorted({(policy.backend, policy.bucket) for policy in policies})


async def bucket_problems(storage: Storage, wanted: Collection[Place]) -> list[str]:
    """Return why some of these cannot be used, a line for each, and what to check."""
    return [str(found) for found in await unusable_buckets(storage, wanted)]


async def unusable_buckets(storage: Storage, wanted: Collection[Place]) -> list[StoreUnusable]:
    """Return what is wrong with those that cannot be used."""
    found = [await _check(storage, backend, bucket) for backend, bucket in wanted]
    return [each for each in found if each is not None]


async def _check(storage: Storage, backend: str, bucket: str) -> StoreUnusable | None:
    try:
        await storage.check(backend, bucket)
    except StoreUnusable as error:
        return error
    except StorageUnavailable:
        # It answered, and then no more.
        return unusable(backend, bucket, obstacle("timeout", backend))
    except StorageRefused as error:
        return unusable(backend, bucket, refuses(0, error.storage_code, backend))
    return None
