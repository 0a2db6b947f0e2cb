"""Tests that no request, whatever it contains, is answered with UNKNOWN or INTERNAL.

PARTWAY_TEST_FUZZ sets the number of examples for each RPC, by default 10; each example is 20 to 60
requests.
"""

import os
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.calls import ALL, METHODS, call, call_raw
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

FORESEEN = frozenset(grpc.StatusCode) - {
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}

EDGES = [
    0,
    1,
    2,
    3,
    4,
    7,
    120,
    999,
    1000,
    1001,
    3600,
    10_000,
    10_001,
    PART,
    2**31 - 1,
    -1,
    -(2**31),
]
LARGE = [*EDGES, 604_800, 2**40, 5 * 2**30, 2**63 - 1, -(2**63)]

texts = st.one_of(
    st.sampled_from(["", "default", "a/b", "x", "1", "0-" + "0" * 32, "99999"]),
    st.text(max_size=40),
)
ids = st.deferred(lambda: st.sampled_from(KNOWN_IDS))
KNOWN_IDS: list[str] = ["x"]

SCALARS: Mapping[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_INT32: st.sampled_from(EDGES),
    FieldDescriptor.TYPE_INT64: st.sampled_from(LARGE),
    FieldDescriptor.TYPE_ENUM: st.integers(-1, 8),
    FieldDescriptor.TYPE_BYTES: st.one_of(st.binary(max_size=40), st.just(b"x" * 4)),
    FieldDescriptor.TYPE_STRING: texts,
}


def messages(descriptor: Descriptor) -> st.SearchStrategy[Message]:
    """Generate messages with any of their fields, near their limits and beyond."""
    kind = message_factory.GetMessageClass(descriptor)
    fields = {field.name: values(field) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda given: kind(**given))


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        keys = st.sampled_from(["a", "partway-x", "A", "", "b-1"])
        return st.dictionaries(keys, texts, max_size=3)
    if field.name == "upload_id":
        one: st.SearchStrategy[Any] = st.one_of(ids, ids, ids, texts)
    elif field.message_type is not None:
        one = messages(field.message_type)
    else:
        one = SCALARS[field.type]
    return st.lists(one, max_size=4) if field.is_repeated else one


@pytest.fixture
async def known(world: World) -> World:
    """Return the world, with uploads in all situations whose IDs the requests may carry."""
    uploads = [await bring_to(world, situation, PART + 7) for situation in Situation]
    uploads.append(await world.initialize(1000))
    uploads.append(await world.initialize(3 * PART, checksum_algorithm=1))
    KNOWN_IDS[:] = [upload.id for upload in uploads]
    return world


@pytest.mark.parametrize("name", ALL)
@in_batches
@given(data=st.data())
async def test_no_request_comes_as_a_surprise(known: World, name: str, data: st.DataObject) -> None:
    requests = st.lists(messages(METHODS[name].input_type), min_size=20, max_size=60)
    for request in data.draw(requests):
        try:
            await call(known.stub, name, request, seconds=20)
        except grpc.aio.AioRpcError as error:
            assert error.code() in FORESEEN, error


@pytest.mark.parametrize("name", ALL)
@in_batches
@given(data=st.data())
async def test_no_bytes_come_as_a_surprise(known: World, name: str, data: st.DataObject) -> None:
    plain = ALL[name].SerializeToString()
    spliced = st.tuples(st.binary(max_size=12), st.integers(0, len(plain))).map(
        lambda cut: plain[: cut[1]] + cut[0] + plain[cut[1] :]
    )
    raw = st.lists(st.one_of(st.binary(max_size=60), spliced), min_size=20, max_size=60)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{known.port}") as channel:
        for request in data.draw(raw):
            try:
                await call_raw(channel, name, request)
            except grpc.aio.AioRpcError as error:
                assert error.code() in FORESEEN, error


@in_batches
@given(
    metadata=st.lists(
        st.tuples(
            st.sampled_from(["partway-tenant", "partway-subject", "x", "partway-tenant-bin"]),
            st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=200),
        ),
        max_size=4,
    )
)
async def test_no_caller_comes_as_a_surprise(known: World, metadata: list[tuple[str, str]]) -> None:
    given = [(k, v.encode() if k.endswith("-bin") else v) for k, v in metadata]
    for name, request in ALL.items():
        try:
            await call(known.stub, name, request, given)
        except grpc.aio.AioRpcError as error:
            assert error.code() in FORESEEN, error
