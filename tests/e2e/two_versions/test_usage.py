"""Tests that what is used is counted right, whichever version opens uploads and ends them."""

import asyncio

import pytest
from partway.v1 import upload_service_pb2 as pb

from tests.support.previous_version import PRESENT, Deployment
from tests.support.version_sides import SMALL, TWO_PARTS, Pair, Side

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]

SIZES = [TWO_PARTS["size_bytes"], SMALL["size_bytes"], SMALL["size_bytes"]]


async def until_used(present: Side, uploads: int, size: int) -> None:
    """Wait until the present version, whose janitor corrects what it finds, shows that usage."""
    async with asyncio.timeout(30):
        while True:
            usage: pb.GetUsageResponse = await present.call("GetUsage", pb.GetUsageRequest())
            used = {entry.limit: entry.used for entry in usage.tenant}
            if (used["open_uploads"], used["open_bytes"]) == (uploads, size):
                return
            await asyncio.sleep(0.2)


async def test_what_one_opens_and_the_other_ends_is_counted_once(
    deployment: Deployment, pair: Pair
) -> None:
    first, other = pair
    present = first if first.service is deployment.services[PRESENT] else other
    uploads = [await first.initialize(**fields) for fields in (TWO_PARTS, SMALL, SMALL)]
    await until_used(present, 3, sum(SIZES))
    await other.send(uploads[0])
    await other.complete(uploads[0])
    await until_used(present, 2, sum(SIZES[1:]))
    await other.abort(uploads[1])
    await until_used(present, 1, SIZES[2])
    await first.abort(uploads[2])
    await until_used(present, 0, 0)
