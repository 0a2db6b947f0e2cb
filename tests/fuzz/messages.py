"""Generates calls from the descriptors: every RPC, every field, near its limits and beyond.

Nothing here names an RPC or a field but `upload_id`, so that new ones are included by themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st
from partway.v1 import upload_service_pb2 as pb

METHODS: Mapping[str, MethodDescriptor] = pb.DESCRIPTOR.services_by_name[
    "UploadService"
].methods_by_name

Metadata = tuple[tuple[str, str | bytes], ...]

CALLERS: Sequence[Metadata] = tuple(
    (("partway-tenant", tenant), ("partway-subject", subject))
    for tenant, subject in (("acme", "alice"), ("acme", "bob"), ("evil", "alice"))
)

BYSTANDER: Metadata = (("partway-tenant", "quiet"), ("partway-subject", "carol"))
"""A caller of a tenant that makes no hostile calls."""

_MIB = 1024 * 1024
_SMALL = [0, 1, 2, 3, 4, 7, 120, 999, 1000, 1001, 3600, 10_000, 10_001, 5 * _MIB]
_INT32 = [*_SMALL, 2**31 - 1, -1, -(2**31)]
_INT64 = [*_INT32, 604_800, 2**40, 5 * 2**30, 253_402_300_800, 2**53, 2**63 - 1, -(2**63)]
_FLOATS = [0.0, -1.0, 1e308, float("inf"), float("nan")]

NOT_UTF8 = "\x01utf8\x01"
"""What stands in a message for bytes that are not UTF-8, which `wire` puts in its place."""

_BYTES = b"\xff\xfe\xc0\x80\xed\xa0"

_TEXTS = [
    *("", "default", "a/b", "../..", "x", "1", "0-" + "0" * 32, "99999", "10000", "a" * 1025),
    *("video/mp4", "a\x00b", "\u202e", "\U0001f600" * 300, "%s%n{0}", NOT_UTF8),
    "6f1c0f5e-0000-4000-8000-000000000000",
]

texts: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["", "default", "a", NOT_UTF8]), st.sampled_from(_TEXTS), st.text(max_size=40)
)

_SCALARS: Mapping[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_ENUM: st.one_of(
        st.integers(0, 3), st.integers(-1, 9), st.sampled_from(_INT32)
    ),
    FieldDescriptor.TYPE_BYTES: st.one_of(
        st.binary(max_size=40), st.sampled_from([b"x" * n for n in (4, 8, 16, 32)])
    ),
    FieldDescriptor.TYPE_STRING: texts,
    FieldDescriptor.TYPE_BOOL: st.booleans(),
}
_NUMBERS: Mapping[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_INT32: st.one_of(st.sampled_from(_SMALL), st.sampled_from(_INT32)),
    FieldDescriptor.CPPTYPE_INT64: st.one_of(st.sampled_from(_SMALL), st.sampled_from(_INT64)),
    FieldDescriptor.CPPTYPE_UINT32: st.sampled_from([abs(n) for n in _INT32]),
    FieldDescriptor.CPPTYPE_UINT64: st.sampled_from([abs(n) for n in _INT64]),
    FieldDescriptor.CPPTYPE_FLOAT: st.sampled_from(_FLOATS),
    FieldDescriptor.CPPTYPE_DOUBLE: st.sampled_from(_FLOATS),
}


def weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Generate from each as often as its number says. (`one_of` counts equal ones once.)"""
    tickets = [choice for number, choice in choices for _ in range(number)]
    return st.integers(0, len(tickets) - 1).flatmap(lambda drawn: tickets[drawn])


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it goes out: several messages only on a client stream."""

    method: str
    messages: tuple[bytes, ...]
    metadata: Metadata


def messages(
    descriptor: Descriptor, ids: st.SearchStrategy[str], depth: int = 3
) -> st.SearchStrategy[Message]:
    """Generate messages with any of their fields; `ids` are for fields named upload_id."""
    kind = message_factory.GetMessageClass(descriptor)
    fields = {
        field.name: _values(field, ids, depth)
        for field in descriptor.fields
        if depth or field.message_type is None
    }
    whole = st.fixed_dictionaries({}, optional=fields)
    # A message with one or two odd fields gets further than one that is odd all over.
    always = {"upload_id"} & set(fields)
    few = st.sets(st.sampled_from(sorted(fields) or [""]), max_size=2).flatmap(
        lambda names: st.fixed_dictionaries(
            {name: fields[name] for name in sorted(names | always) if name in fields}
        )
    )
    return weighted((3, few), (1, whole)).map(lambda given: kind(**given))


def _values(
    field: FieldDescriptor, ids: st.SearchStrategy[str], depth: int
) -> st.SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        keys = st.one_of(st.sampled_from(["a", "partway-x", "A", "", "b-1"]), texts)
        value = _values(field.message_type.fields_by_name["value"], ids, depth - 1)
        return st.dictionaries(keys, value, max_size=3)
    one: st.SearchStrategy[Any]
    if field.name == "upload_id":
        one = weighted((9, ids), (1, texts))
    elif field.message_type is not None:
        one = messages(field.message_type, ids, depth - 1)
    elif field.type in _SCALARS:
        one = _SCALARS[field.type]
    else:
        one = _NUMBERS[field.cpp_type]
    return st.lists(one, max_size=4) if field.is_repeated else one


def wire(message: Message) -> bytes:
    """Return the message as it is sent, with texts that are not UTF-8 where it is marked."""
    return message.SerializeToString().replace(NOT_UTF8.encode(), _BYTES)


_ODD_KEYS = [
    *("x", "partway-tenant", "partway-subject", "partway-tenant-bin", "authorization"),
    *("traceparent", "x-forwarded-for", "grpc-accept-encoding", "x-bin", "a.b_c-d", "cookie"),
]
_CREDENTIALS = [
    *("", "Bearer", "Bearer x", "Bearer a.b.c", "Partway", "Partway x", "Basic YTpi", "Partway  "),
    "Bearer eyJhbGciOiJub25lIn0.e30.",
    "Partway " + "A" * 600,
]
_printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=200)


def _tuple(pairs: Sequence[tuple[str, Any]]) -> Metadata:
    return tuple(pairs)


def metadata(tokens: st.SearchStrategy[str]) -> st.SearchStrategy[Metadata]:
    """Generate metadata: mostly that of a known caller, sometimes of a token, or something else."""
    pair = st.sampled_from(_ODD_KEYS).flatmap(
        lambda key: st.tuples(
            st.just(key),
            st.binary(max_size=60)
            if key.endswith("-bin")
            else st.one_of(st.sampled_from(_CREDENTIALS), _printable).map(str.strip),
        )
    )
    some: st.SearchStrategy[Metadata] = st.lists(pair, max_size=3).map(_tuple)
    # Most of the Uploads are the first one's.
    caller = weighted((4, st.just(CALLERS[0])), (2, st.sampled_from(CALLERS)))
    more = st.tuples(caller, some).map(lambda pair: pair[0] + pair[1])
    holder = st.tuples(tokens.map(lambda token: ("authorization", f"Partway {token}")))
    return weighted((12, caller), (2, more), (1, some), (3, holder))


def calls(
    name: str, ids: st.SearchStrategy[str], tokens: st.SearchStrategy[str]
) -> st.SearchStrategy[Call]:
    """Generate calls of the RPC about these IDs, some of them by these upload tokens."""
    method = METHODS[name]
    one = messages(method.input_type, ids).map(wire)
    several = st.lists(one, max_size=5) if method.client_streaming else one.map(lambda m: [m])
    return st.builds(Call, st.just(name), several.map(tuple), metadata(tokens))


def among(known: Callable[[], Sequence[str]]) -> st.SearchStrategy[str]:
    """Generate IDs or tokens: as they are known at that moment, and tampered with."""

    def chosen(drawn: tuple[int, int, int]) -> str:
        which, tamper, where = drawn
        pool = known()
        text = pool[which % len(pool)]
        at = where % max(1, len(text))
        if tamper == 1:
            other = "B" if text[at : at + 1] == "A" else "A"
            return text[:at] + other + text[at + 1 :]
        return text[:at] if tamper == 2 else text

    # Eight in ten are as they were.
    return st.tuples(st.integers(0, 9999), st.integers(0, 9), st.integers(0, 9999)).map(chosen)
