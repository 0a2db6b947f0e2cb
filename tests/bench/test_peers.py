"""Each peer that is installed completes uploads over the stub, and the stub has counted them."""

from collections.abc import Iterator

import pytest

from bench.peers.catalogue import OURS, PEERS
from bench.peers.counts import counts
from bench.peers.driver import Driver
from bench.peers.processes import STUB, Backends, Cores, backends

pytestmark = [pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(300)]

DIVIDED = ("fastapi-aioboto3", "fastapi-signer", "django-s3-file-field", "companion", OURS)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    assert STUB.exists(), "make .tools/bench/stub builds the stub"
    with backends(tmp_path_factory.mktemp("peers")) as started:
        yield started


@pytest.mark.parametrize("name", PEERS)
async def test_a_peer_completes_uploads_of_one_part_and_of_many(
    name: str, shared: Backends
) -> None:
    peer = PEERS[name]
    if why := peer.missing():
        # Each peer takes its own tools, of which not every machine has all.
        pytest.skip(why)
    async with peer.running(shared, Cores()) as (_, address):
        driver = peer.driver(address, shared.storage)
        try:
            await driver.whole(1)
            await driver.small()
            if not driver.through:
                await _divided(driver)
        finally:
            await driver.aclose()


async def _divided(driver: Driver) -> None:
    await driver.ask_stub("POST", "reset")
    await driver.whole(100)
    calls = await driver.ask_stub("GET", "calls")
    assert calls["CreateMultipartUpload"] == calls["CompleteMultipartUpload"] == 1
    await (await driver.prepare_complete(100))()
    calls = await driver.ask_stub("GET", "calls")
    assert calls["CompleteMultipartUpload"] == 2
    # The call of the rows about URLs returns as many as were asked for, or fails.
    await (await driver.prepare_urls(100))()


@pytest.mark.parametrize(
    ("name", "s3_calls", "redis_trips"),
    # Create and Complete; set, get for the URLs, get for Complete, delete.
    [("fastapi-aioboto3", 2, 4), (OURS, None, None)],
)
async def test_what_an_upload_takes_is_counted(
    name: str, s3_calls: int | None, redis_trips: int | None, shared: Backends
) -> None:
    peer = PEERS[name]
    if why := peer.missing():
        # Each peer takes its own tools, of which not every machine has all.
        pytest.skip(why)
    found = await counts(peer, shared, Cores())
    # How many our own service needs is for the comparison to show.
    assert found["s3_calls"] == s3_calls or (s3_calls is None and 2 <= found["s3_calls"] < 10)
    assert found["redis_trips"] == redis_trips or (
        redis_trips is None and 2 <= found["redis_trips"] < 20
    )
    assert 20 < found["bytes"] < 300
    assert 100 < found["redis_bytes"] < 10_000
