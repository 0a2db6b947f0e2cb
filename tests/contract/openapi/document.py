"""Writes the OpenAPI document of the REST form: every RPC with a `google.api.http` annotation."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.rpc import status_pb2
from partway.v1 import upload_service_pb2 as pb

from tests.contract.openapi import comments as texts
from tests.contract.openapi.examples import EXAMPLES, ID, STATUSES
from tests.contract.openapi.schemas import Schemas, is_required

_SERVICE = pb.DESCRIPTOR.services_by_name["UploadService"]
_VERBS = ("get", "put", "post", "delete", "patch")
_PARAMETER = re.compile(r"\{(\w+)\}")
_BODY = "google.api.HttpBody"
_STREAMED = " In the first message"
"""Begins what a comment says of streams alone."""

_AS_OF_UPLOAD_PART = "As of UploadPart"
"""Begins a bullet that refers to that of another RPC, which has no form in REST."""

_IN_A_QUERY = ("google.protobuf.Timestamp", "google.protobuf.Duration")

HTTP: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
"""The HTTP status of each code, the same at every gateway that follows google.rpc.Code."""

SECURITY_SCHEMES: Mapping[str, Mapping[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JSON Web Token of an issuer that the service trusts.",
    },
    "uploadToken": {
        "type": "apiKey",
        "in": "header",
        "name": "authorization",
        "description": "`Partway TOKEN`, with a token of CreateUploadToken or Initialize: it allows"
        " some calls about one upload.",
    },
    "clientCertificate": {
        "type": "mutualTLS",
        "description": "A client certificate of a CA that the service trusts.",
    },
}


def build() -> dict[str, Any]:
    """Return the document."""
    return _Builder(texts.read()).document()


class _Builder:
    """Builds one document."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        self._schemas = Schemas(comments)
        self._general = texts.errors(comments[_SERVICE.full_name])

    def document(self) -> dict[str, Any]:
        paths: dict[str, dict[str, Any]] = {}
        for method in _SERVICE.methods:
            rule = method.GetOptions().Extensions[annotations_pb2.http]
            for verb in _VERBS:
                if path := getattr(rule, verb):
                    paths.setdefault(path, {})[verb] = self._operation(method, path, rule.body)
        return {
            "openapi": "3.1.0",
            "info": self._info(),
            "servers": [
                {"url": "http://127.0.0.1:8080", "description": "`partway-server dev --rest`"}
            ],
            # Any one of them; none behind a gateway that names its callers itself.
            "security": [*({name: []} for name in SECURITY_SCHEMES), {}],
            "paths": paths,
            "components": {
                "responses": self._general_refusals(),
                "schemas": dict(sorted(self._schemas.made.items())),
                "securitySchemes": SECURITY_SCHEMES,
            },
        }

    def _info(self) -> dict[str, Any]:
        return {
            "title": "Partway",
            "version": "v1",
            "summary": texts.first_sentence(self._comments[_SERVICE.full_name]),
            "description": texts.without_errors(self._comments[_SERVICE.full_name]),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        }

    def _operation(self, method: MethodDescriptor, path: str, body: str) -> dict[str, Any]:
        comment = self._comments[method.full_name]
        named = _PARAMETER.findall(path)
        operation: dict[str, Any] = {
            "operationId": method.name,
            "summary": texts.first_sentence(comment),
            "description": texts.without_errors(comment),
        }
        inside = {body} if body != "*" else {field.name for field in method.input_type.fields}
        if parameters := [*self._parameters(method.input_type, named, inside)]:
            operation["parameters"] = parameters
        if body:
            operation["requestBody"] = self._request_body(method, named, body)
        return operation | {"responses": self._responses(method)}

    def _parameters(
        self, message: Descriptor, named: Sequence[str], inside: set[str]
    ) -> Iterator[dict[str, Any]]:
        for name in named:
            yield self._parameter(message.fields_by_name[name], "path", name)
        for field in message.fields:
            if field.name not in named and field.name not in inside and _fits_a_query(field):
                yield self._parameter(field, "query", field.json_name)

    def _parameter(self, field: FieldDescriptor, where: str, name: str) -> dict[str, Any]:
        schema = self._schemas.field(field)
        parameter: dict[str, Any] = {
            "name": name,
            "in": where,
            "description": schema.pop("description").split(_STREAMED)[0],
            "schema": schema,
        }
        if where == "path":
            if schema["type"] == "string":
                schema["minLength"] = 1
                parameter["example"] = ID
            return parameter | {"required": True}
        return parameter | ({"required": True} if is_required(field) else {})

    def _request_body(
        self, method: MethodDescriptor, named: Sequence[str], body: str
    ) -> dict[str, Any]:
        if body != "*":
            field = method.input_type.fields_by_name[body]
            assert field.message_type is not None and field.message_type.full_name == _BODY
            return {
                "description": "The bytes of the part.",
                "required": True,
                "content": {"application/octet-stream": {}},
            }
        schema = self._schemas.body(f"{method.name}Body", method.input_type, named)
        media: dict[str, Any] = {"schema": schema, "example": EXAMPLES[method.name].body}
        return {"required": True, "content": {"application/json": media}}

    def _responses(self, method: MethodDescriptor) -> dict[str, Any]:
        comment = self._comments[method.output_type.full_name]
        schema = self._schemas.reference(method.output_type)
        example = EXAMPLES[method.name].answer
        content: dict[str, Any] = {"application/json": {"schema": schema, "example": example}}
        if method.server_streaming:
            comment += "\n\n" + _stream_of(method)
            event = f"data: {_compact(example)}\n\n"
            content["text/event-stream"] = {"schema": {"type": "string"}, "example": event}
        responses = {"200": {"description": comment, "content": content}}
        return responses | self._refusals(method)

    def _refusals(self, method: MethodDescriptor) -> dict[str, Any]:
        """Return a response for each status of an error, with the codes that it stands for."""
        comment = self._comments[method.full_name]
        same = dict(texts.errors(self._comments[f"{_SERVICE.full_name}.UploadPart"]))
        named = [
            (code, same[code] if when.startswith(_AS_OF_UPLOAD_PART) else when)
            for code, when in texts.errors(comment)
        ]
        own = _by_status([*named, *self._general])
        general = _by_status(self._general)
        answers: dict[str, Any] = {}
        for status, lines in sorted(own.items()):
            if lines == general.get(status):
                answers[str(status)] = {"$ref": f"#/components/responses/{status}"}
            else:
                answers[str(status)] = self._refusal(status, lines)
        return answers | {"default": {"$ref": "#/components/responses/default"}}

    def _general_refusals(self) -> dict[str, Any]:
        """Return the responses that any call may have."""
        general = _by_status(self._general)
        made = {str(status): self._refusal(status, general[status]) for status in sorted(general)}
        return made | {"default": self._refusal(0, ["Another error."])}

    def _refusal(self, status: int, lines: Sequence[str]) -> dict[str, Any]:
        media: dict[str, Any] = {"schema": self._schemas.reference(status_pb2.Status.DESCRIPTOR)}
        if status in STATUSES:
            media["example"] = STATUSES[status]
        return {"description": "\n".join(lines), "content": {"application/json": media}}


def _by_status(errors: Sequence[tuple[str, str]]) -> Mapping[int, list[str]]:
    """Return a line for each code, under its HTTP status."""
    lines: dict[int, list[str]] = defaultdict(list)
    for code, when in errors:
        if (line := f"- `{code}`: {when}") not in lines[HTTP[code]]:
            lines[HTTP[code]].append(line)
    return lines


def _fits_a_query(field: FieldDescriptor) -> bool:
    return field.message_type is None or field.message_type.full_name in _IN_A_QUERY


def _stream_of(method: MethodDescriptor) -> str:
    return (
        f"A stream of {method.output_type.name}, one JSON object a line. To a caller that accepts"
        " `text/event-stream`, one event each, with the object as its data. If the stream fails"
        " after its first message, the last one has `status` and nothing else."
    )


def _compact(example: Any) -> str:
    return json.dumps(example, separators=(",", ":"))
