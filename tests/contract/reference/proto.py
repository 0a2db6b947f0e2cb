"""Shows the services, messages and enums of the protos, with their comments."""

import re
from collections.abc import Iterator, Mapping

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    ServiceDescriptor,
)
from partway.v1 import error_reason_pb2, upload_pb2, upload_service_pb2

from tests.contract.openapi import comments

_HEAD = """# The proto

For authors of clients in any language. The [RPCs](#uploadservice) and messages of \
[`proto/partway/v1/`](../../proto/partway/v1/upload_service.proto), with their comments, which are \
the contract.

<!-- Made by `make docs` from proto/partway/v1/; edit that instead. -->

[callers.md](../callers.md) says how calls follow each other, [errors.md](errors.md) what each \
reason means and [rest.md](rest.md) how all of it looks as JSON.
"""
_TYPES = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_") and isinstance(number, int)
}


def page() -> str:
    """Return the whole page."""
    files = (upload_service_pb2.DESCRIPTOR, upload_pb2.DESCRIPTOR, error_reason_pb2.DESCRIPTOR)
    about = comments.read()
    lines = [line for file in files for line in _file(file, about)]
    return _HEAD + "\n".join(lines).rstrip() + "\n"


def _file(file: FileDescriptor, about: Mapping[str, str]) -> Iterator[str]:
    for service in file.services_by_name.values():
        yield from _service(service, about)
    for message in file.message_types_by_name.values():
        yield from _message(message, about)
    for enum in file.enum_types_by_name.values():
        yield from _enum(enum, about)


def _service(service: ServiceDescriptor, about: Mapping[str, str]) -> Iterator[str]:
    yield f"\n## {service.name}\n\n{_escaped(about[service.full_name])}"
    for method in service.methods:
        yield f"\n### {method.name}\n\n`rpc {_signature(method)}`\n"
        yield _escaped(about[method.full_name])


def _signature(method: MethodDescriptor) -> str:
    takes = f"{'stream ' * method.client_streaming}{method.input_type.name}"
    returns = f"{'stream ' * method.server_streaming}{method.output_type.name}"
    return f"{method.name}({takes}) returns ({returns})"


def _message(message: Descriptor, about: Mapping[str, str]) -> Iterator[str]:
    yield f"\n## {message.name}\n\n{_escaped(about.get(message.full_name, ''))}\n"
    if message.fields:
        yield "| field | number | type | |\n|---|---|---|---|"
    for field in message.fields:
        text = _cell(about.get(field.full_name, ""))
        yield f"| `{field.name}` | {field.number} | {_type(field)} | {text} |"


def _enum(enum: EnumDescriptor, about: Mapping[str, str]) -> Iterator[str]:
    yield f"\n## {enum.name}\n\n{_escaped(about.get(enum.full_name, ''))}\n"
    yield "| value | number | |\n|---|---|---|"
    for value in enum.values:
        text = _cell(about.get(f"{enum.full_name}.{value.name}", ""))
        yield f"| `{value.name}` | {value.number} | {text} |"


def _type(field: FieldDescriptor) -> str:
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        key, value = message.fields
        return f"map of {_type(key)} to {_type(value)}"
    return ("repeated " if field.is_repeated else "") + _single(field)


def _single(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    if named is None:
        return f"`{_TYPES[field.type]}`"
    if named.file.package != "partway.v1":
        return f"`{named.full_name}`"
    return f"[{named.name}](#{named.name.lower()})"


def _cell(comment: str) -> str:
    return re.sub(r"\s+", " ", _escaped(comment)).replace("|", "\\|").strip()


def _escaped(comment: str) -> str:
    return re.sub(r"(?<!`)<(?=\w)", r"\\<", comment)
