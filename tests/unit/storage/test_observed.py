"""Tests the decorators over the stores: they change nothing, and no call goes around them."""

import inspect
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from partway_server.domain.errors import StorageUnavailable
from partway_server.observability.store_calls import StoreCall
from partway_server.sessions.base import SessionStore
from partway_server.sessions.observed import ObservedSessions
from partway_server.storage.base import PresignedPart, Storage, UnfinishedUpload
from partway_server.storage.observed import ObservedStorage

from tests.unit.observability.test_upload_metrics import a_grant

FAR = datetime(2030, 1, 1, tzinfo=UTC)


class Noting:
    """Notes what begins and ends."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, ...]] = []

    def on_start(self, call: StoreCall) -> None:
        self.notes.append(("start", call.operation))

    def on_end(self, call: StoreCall, error: BaseException | None) -> None:
        self.notes.append(("end", call.operation, call.backend, call.bucket, call.sid, call.code))


class Presigner:
    expire_time = FAR

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        for number in numbers:
            yield PresignedPart(number, "https://secret", {})


class Stub:
    """As much of storage as these tests call."""

    async def head(self, grant: object) -> str:
        return "the head"

    async def abort(self, grant: object) -> None:
        raise StorageUnavailable(storage_code="SlowDown")

    async def unfinished(self, *_: str) -> AsyncIterator[UnfinishedUpload]:
        yield UnfinishedUpload("one", "k")
        yield UnfinishedUpload("two", "k")

    async def presigner(self, *_: object) -> Presigner:
        return Presigner()


def observed(noting: Noting, counts: list[int]) -> ObservedStorage:
    stub: Any = Stub()
    return ObservedStorage(stub, [noting], lambda grant, count: counts.append(count))


async def test_a_call_is_reported_with_where_it_went() -> None:
    noting = Noting()
    assert await observed(noting, []).head(a_grant()) == "the head"  # type: ignore[comparison-overlap]
    assert noting.notes == [
        ("start", "HeadObject"),
        ("end", "HeadObject", "default", "uploads", "s1", ""),
    ]


async def test_a_failure_goes_on_as_it_is_and_is_reported_with_its_code() -> None:
    noting = Noting()
    with pytest.raises(StorageUnavailable):
        await observed(noting, []).abort(a_grant())
    assert noting.notes[-1][-1] == "SlowDown"


async def test_each_step_of_a_listing_is_a_call() -> None:
    noting = Noting()
    listing = observed(noting, []).unfinished("hot", "uploads", "")
    found = []
    async for each in listing:
        found.append(each.multipart_id)
        assert noting.notes[-1][0] == "end", "between two steps the caller works"
    assert found == ["one", "two"]
    assert len(noting.notes) == 2 * 3


async def test_urls_are_counted_also_where_not_all_are_taken() -> None:
    counts: list[int] = []
    storage = observed(Noting(), counts)
    presigner = await storage.presigner(a_grant(), timedelta(minutes=5), FAR)
    assert presigner.expire_time == FAR
    assert len(list(presigner.sign([1, 2, 3], {}))) == 3
    some = iter(presigner.sign([1, 2, 3], {}))
    next(some)
    del some
    assert counts == [3, 1]


@pytest.mark.parametrize(
    ("interface", "decorator"), [(Storage, ObservedStorage), (SessionStore, ObservedSessions)]
)
def test_every_method_of_the_interface_has_its_decorator(interface: type, decorator: type) -> None:
    for name, method in inspect.getmembers(interface, inspect.isfunction):
        if name.startswith("_"):
            continue
        over = inspect.signature(getattr(decorator, name))
        assert list(over.parameters) == list(inspect.signature(method).parameters), name
