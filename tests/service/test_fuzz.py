"""Tests that no request, whatever it contains, is answered with UNKNOWN or INTERNAL.

The quick form of `make fuzz`, with the same messages, over the memory twins. PARTWAY_TEST_FUZZ sets
the number of examples for each RPC, by default 10; each example is 20 to 60 requests.
"""

import os
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.messages import CALLERS, METHODS, Call, Metadata, among, calls, metadata
from tests.fuzz.mutation import mutated
from tests.fuzz.oracle import Oracle
from tests.fuzz.sender import Sender
from tests.support.upload_situations import Situation, bring_to
from tests.support.world import PART, World

pytestmark = pytest.mark.parametrize("world", ["memory"], indirect=True)

in_batches = settings(
    max_examples=int(os.environ.get("PARTWAY_TEST_FUZZ", "10")),
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

KNOWN_IDS: list[str] = ["x"]
IDS, TOKENS = among(lambda: KNOWN_IDS), st.just("not-a-token")


@pytest.fixture
async def known(world: World) -> World:
    """Return the world, with uploads in all situations whose IDs the requests may carry."""
    uploads = [await bring_to(world, situation, PART + 7) for situation in Situation]
    uploads.append(await world.initialize(1000))
    uploads.append(await world.initialize(3 * PART, checksum_algorithm=1))
    KNOWN_IDS[:] = [upload.id for upload in uploads]
    return world


async def assert_foreseen(world: World, batch: list[Call]) -> None:
    async with Sender(f"127.0.0.1:{world.port}", Oracle([]), connections=1) as sender:
        for call in batch:
            code, wrong, _ = await sender.judged(call)
            assert not wrong, (call.method, code, wrong)


@pytest.mark.parametrize("name", METHODS)
@in_batches
@given(data=st.data())
async def test_no_request_comes_as_a_surprise(known: World, name: str, data: st.DataObject) -> None:
    batch = data.draw(st.lists(calls(name, IDS, TOKENS), min_size=20, max_size=60))
    await assert_foreseen(known, batch)


@pytest.mark.parametrize("name", METHODS)
@in_batches
@given(data=st.data())
async def test_no_bytes_come_as_a_surprise(known: World, name: str, data: st.DataObject) -> None:
    sound = data.draw(st.lists(calls(name, IDS, TOKENS), min_size=20, max_size=60))
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    batch = [
        Call(name, tuple(mutated(chance, m) for m in call.messages) or (b"",), CALLERS[0])
        for call in sound
    ]
    await assert_foreseen(known, batch)


@in_batches
@given(pairs=st.lists(metadata(TOKENS), min_size=1, max_size=5))
async def test_no_caller_comes_as_a_surprise(known: World, pairs: list[Metadata]) -> None:
    batch = [Call(name, (b"\x0a\x01x",), each) for name in METHODS for each in pairs]
    await assert_foreseen(known, batch)
