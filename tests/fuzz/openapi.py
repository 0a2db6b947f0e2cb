"""Writes an OpenAPI document from the google.api.http annotations, for tools that read no proto."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from tests.fuzz.messages import METHODS

_KINDS: Mapping[int, Mapping[str, Any]] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "minimum": 0},
    # 64-bit integers are strings in JSON, and numbers are understood.
    FieldDescriptor.CPPTYPE_INT64: {"type": "string", "pattern": "^-?[0-9]{1,19}$"},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "string", "pattern": "^[0-9]{1,20}$"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}
_WELL_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"},
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Any": {"type": "object"},
}
_VERBS = ("get", "put", "post", "delete", "patch")
_PARAMETER = re.compile(r"\{(\w+)\}")


def document() -> dict[str, Any]:
    """Return the OpenAPI document of every RPC that has a REST mapping."""
    paths: dict[str, dict[str, Any]] = {}
    for method in METHODS.values():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for verb in _VERBS:
            if path := getattr(rule, verb):
                paths.setdefault(path, {})[verb] = _operation(method, path, rule.body)
    about = {"title": "partway.v1", "version": "1"}
    return {"openapi": "3.0.3", "info": about, "paths": paths}


def _operation(method: MethodDescriptor, path: str, body: str) -> dict[str, Any]:
    named = _PARAMETER.findall(path)
    text = {"type": "string", "minLength": 1}
    operation: dict[str, Any] = {
        "operationId": method.name,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": text} for name in named
        ],
        "responses": {"default": {"description": "an answer, or a google.rpc.Status"}},
    }
    if body == "*":
        schema = _message(method.input_type, without=named)
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    else:
        operation["parameters"] += _query(method.input_type, named)
    return operation


def _query(message: Descriptor, without: list[str]) -> Iterator[dict[str, Any]]:
    for field in message.fields:
        whole = field.message_type is None or field.message_type.full_name in _WELL_KNOWN
        if field.name not in without and whole:
            yield {"name": field.json_name, "in": "query", "schema": _field(field, 1)}


def _message(message: Descriptor, without: list[str] = [], depth: int = 3) -> dict[str, Any]:  # noqa: B006
    if known := _WELL_KNOWN.get(message.full_name):
        return dict(known)
    fields = [f for f in message.fields if f.name not in without and depth]
    return {
        "type": "object",
        "properties": {field.json_name: _field(field, depth) for field in fields},
        "additionalProperties": False,
    }


def _field(field: FieldDescriptor, depth: int) -> dict[str, Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = _field(field.message_type.fields_by_name["value"], depth - 1)
        return {"type": "object", "additionalProperties": value, "maxProperties": 3}
    if field.message_type is not None:
        one = _message(field.message_type, depth=depth - 1)
    elif field.enum_type is not None:
        one = {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    elif field.type == FieldDescriptor.TYPE_BYTES:
        one = {"type": "string", "format": "byte", "pattern": "^[A-Za-z0-9+/]*={0,2}$"}
    else:
        one = dict(_KINDS[field.cpp_type])
    return {"type": "array", "items": one, "maxItems": 4} if field.is_repeated else one
