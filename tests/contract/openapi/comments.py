"""Reads the comments of the protos out of the descriptor set, which keeps their source."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

# The numbers of the fields of FileDescriptorProto and the messages in it, which paths consist of.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_NESTED, _MESSAGE_ENUM = 3, 4
_MEMBER = 2

Place = tuple[int, ...]


def read() -> Mapping[str, str]:
    """Return the comment in front of each message, field, enum, value, service and RPC, by name."""
    found = FileDescriptorSet.FromString(
        resources.files("partway.v1").joinpath("descriptors.binpb").read_bytes()
    )
    return {name: text for file in found.file for name, text in _of_file(file)}


def first_sentence(text: str) -> str:
    """Return the first sentence of a comment, on one line."""
    line = re.sub(r"\s+", " ", text.split("\n\n")[0]).strip()
    return re.split(r"(?<=\.) (?=[A-Z])", line)[0]


def without_errors(text: str) -> str:
    """Return a comment without its list of errors."""
    return re.split(r"\n*Errors:|\n*Any RPC may\s+also answer:", text)[0].strip()


def errors(text: str) -> Sequence[tuple[str, str]]:
    """Return (code, when) for each bullet of a comment."""
    bullets = re.findall(r"\* `(\w+)`: (.*?)(?=\n\*|\n\n|\Z)", text, re.S)
    return [(code, re.sub(r"\s+", " ", when).strip()) for code, when in bullets]


def _of_file(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    names = dict(_named(file))
    for location in file.source_code_info.location:
        name = names.get(tuple(location.path))
        if name and location.leading_comments:
            yield name, _clean(location.leading_comments)


def _clean(comment: str) -> str:
    return "\n".join(line.removeprefix(" ").rstrip() for line in comment.splitlines()).strip()


def _named(file: FileDescriptorProto) -> Iterator[tuple[Place, str]]:
    for i, message in enumerate(file.message_type):
        yield from _in_message((_FILE_MESSAGE, i), file.package, message)
    for i, enum in enumerate(file.enum_type):
        yield from _members((_FILE_ENUM, i), file.package, enum.name, [v.name for v in enum.value])
    for i, service in enumerate(file.service):
        methods = [method.name for method in service.method]
        yield from _members((_FILE_SERVICE, i), file.package, service.name, methods)


def _in_message(place: Place, scope: str, message: DescriptorProto) -> Iterator[tuple[Place, str]]:
    yield from _members(place, scope, message.name, [field.name for field in message.field])
    inner = f"{scope}.{message.name}"
    for i, nested in enumerate(message.nested_type):
        yield from _in_message((*place, _MESSAGE_NESTED, i), inner, nested)
    for i, enum in enumerate(message.enum_type):
        values = [value.name for value in enum.value]
        yield from _members((*place, _MESSAGE_ENUM, i), inner, enum.name, values)


def _members(
    place: Place, scope: str, name: str, members: list[str]
) -> Iterator[tuple[Place, str]]:
    yield place, f"{scope}.{name}"
    # Fields of a message, values of an enum and methods of a service have the same number.
    for i, member in enumerate(members):
        yield (*place, _MEMBER, i), f"{scope}.{name}.{member}"
