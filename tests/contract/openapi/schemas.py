"""Turns messages of the protos into JSON Schema, in the JSON form of Protocol Buffers."""

from collections.abc import Collection, Mapping
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from partway.v1 import error_reason_pb2

from tests.contract.openapi.limits import LIMITS

_TYPES: Mapping[int, Mapping[str, Any]] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    # 64-bit integers are strings: a double cannot carry them all.
    FieldDescriptor.CPPTYPE_INT64: {
        "type": "string",
        "format": "int64",
        "pattern": "^(0|[1-9][0-9]{0,18})$",
    },
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}
_BYTES: Mapping[str, Any] = {
    "type": "string",
    "contentEncoding": "base64",
    "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}
_WELL_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?s$",
        "examples": ["900s"],
    },
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
}
_PACKAGE = "partway.v1."
STATUS = "google.rpc.Status"


class Schemas:
    """The schemas of the document, each made when it is first referred to."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self._comments = comments

    def reference(self, kind: Descriptor | EnumDescriptor) -> dict[str, Any]:
        """Return a reference to the schema of a message or an enum."""
        name = kind.full_name.removeprefix(_PACKAGE)
        if name not in self.made:
            self.made[name] = {}
            self.made[name] = self._define(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def body(self, name: str, message: Descriptor, without: Collection[str]) -> dict[str, Any]:
        """Return a reference to a message without the fields that are in the path."""
        if not without:
            return self.reference(message)
        self.made[name] = self._message(message, without)
        return {"$ref": f"#/components/schemas/{name}"}

    def field(self, field: FieldDescriptor) -> dict[str, Any]:
        """Return the schema of one field, with its description and limits."""
        about: dict[str, Any] = {
            "description": self._comments[field.full_name],
            **LIMITS.get(field.full_name.removeprefix(_PACKAGE), {}),
        }
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = self._one(field.message_type.fields_by_name["value"])
            return {"type": "object", "additionalProperties": value} | about
        if field.is_repeated:
            return {"type": "array", "items": self._one(field)} | about
        return self._one(field) | about

    def _one(self, field: FieldDescriptor) -> dict[str, Any]:
        if field.message_type is not None:
            known = _WELL_KNOWN.get(field.message_type.full_name)
            return dict(known) if known else self.reference(field.message_type)
        if field.enum_type is not None:
            return self.reference(field.enum_type)
        return dict(_BYTES if field.type == FieldDescriptor.TYPE_BYTES else _TYPES[field.cpp_type])

    def _define(self, kind: Descriptor | EnumDescriptor) -> dict[str, Any]:
        if isinstance(kind, EnumDescriptor):
            return self._enum(kind)
        return self._status() if kind.full_name == STATUS else self._message(kind)

    def _message(self, message: Descriptor, without: Collection[str] = ()) -> dict[str, Any]:
        fields = [field for field in message.fields if field.name not in without]
        schema: dict[str, Any] = {
            "type": "object",
            "description": self._comments[message.full_name],
            "properties": {field.json_name: self.field(field) for field in fields},
        }
        if required := [field.json_name for field in fields if is_required(field)]:
            schema["required"] = required
        return schema

    def _enum(self, enum: EnumDescriptor) -> dict[str, Any]:
        values = [(value.name, f"{enum.full_name}.{value.name}") for value in enum.values]
        about = [f"- `{name}`: {_line(self._comments[full])}" for name, full in values]
        return {
            "type": "string",
            "description": "\n\n".join([self._comments[enum.full_name], "\n".join(about)]),
            "enum": [value.name for value in enum.values],
        }

    def _status(self) -> dict[str, Any]:
        """Return the schema of an error, whose details are of the kinds of ErrorDetails."""
        kinds = error_reason_pb2.ErrorDetails.DESCRIPTOR.fields
        return {
            "type": "object",
            "description": "An error. Branch on the `reason` of its ErrorInfo.",
            "properties": {
                "code": {
                    "type": "integer",
                    "format": "int32",
                    "description": "The code of `google.rpc.Code`, such as 5 for `NOT_FOUND`.",
                },
                "message": {"type": "string", "description": "For people. It may change."},
                "details": {
                    "type": "array",
                    "description": self._comments["partway.v1.ErrorDetails"],
                    "items": {
                        "anyOf": [
                            self._detail(kind.message_type) for kind in kinds if kind.message_type
                        ]
                    },
                },
            },
            "required": ["code", "message"],
        }

    def _detail(self, message: Descriptor) -> dict[str, Any]:
        name = message.full_name
        reference = self.reference(message)
        schema = self.made[name]
        marked = {"type": "string", "const": f"type.googleapis.com/{name}"}
        schema["properties"] = {"@type": marked, **schema["properties"]}
        schema["required"] = ["@type"]
        if name == "google.rpc.ErrorInfo":
            reasons = error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"]
            schema["properties"]["reason"] = self.reference(reasons)
            schema["required"] = ["@type", "reason", "domain"]
        return reference


def is_required(field: FieldDescriptor) -> bool:
    """Return whether a request without the field is refused."""
    behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviours


def _line(text: str) -> str:
    return " ".join(text.split())
