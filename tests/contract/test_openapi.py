"""Tests the OpenAPI document: fresh, valid, true to the protos and their comments."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2, error_details_pb2, status_pb2
from openapi_spec_validator import OpenAPIV31SpecValidator
from partway.v1 import error_reason_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.rpc.error_mapping import TABLE

from tests.contract.openapi import comments
from tests.contract.openapi.document import HTTP, build
from tests.contract.openapi.examples import EXAMPLES, STATUSES
from tests.contract.openapi.limits import ELSEWHERE, LIMITS, STATED_BY_TYPE
from tests.contract.openapi.page import render

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT: Mapping[str, Any] = json.loads((DOCS / "openapi.json").read_text())
METHODS = pb.DESCRIPTOR.services_by_name["UploadService"].methods_by_name
COMMENTS = comments.read()


def test_the_document_is_fresh() -> None:
    assert json.loads(json.dumps(build())) == DOCUMENT


def test_the_page_is_fresh() -> None:
    assert render(DOCUMENT) == (DOCS / "reference/rest.md").read_text()


def test_the_document_is_valid() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_it_has_every_call_that_has_a_form_in_rest() -> None:
    named = {
        (verb, path): operation["operationId"]
        for path, verbs in DOCUMENT["paths"].items()
        for verb, operation in verbs.items()
    }
    rules = {
        name: method.GetOptions().Extensions[annotations_pb2.http]
        for name, method in METHODS.items()
        if method.GetOptions().HasExtension(annotations_pb2.http)
    }
    assert named == {
        (verb, getattr(rule, verb)): name
        for name, rule in rules.items()
        for verb in ("get", "put", "post", "delete", "patch")
        if getattr(rule, verb)
    }
    assert set(EXAMPLES) == set(rules) == set(METHODS) - {"UploadPart"}


@pytest.mark.parametrize("name", LIMITS)
def test_each_limit_is_in_the_comment_of_its_field(name: str) -> None:
    comment = COMMENTS[f"partway.v1.{ELSEWHERE.get(name, name)}"]
    stated = {int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\d|\d", comment)}
    assert _numbers(LIMITS[name]) - stated - set(STATED_BY_TYPE) == set()


def _numbers(limit: Any) -> set[int]:
    return {value for value in limit.values() if isinstance(value, int)}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_messages_and_fit_their_schemas(name: str) -> None:
    example, method = EXAMPLES[name], METHODS[name]
    json_format.ParseDict(dict(example.body), GetMessageClass(method.input_type)())
    json_format.ParseDict(dict(example.answer), GetMessageClass(method.output_type)())
    [operation] = [
        operation
        for verbs in DOCUMENT["paths"].values()
        for operation in verbs.values()
        if operation["operationId"] == name
    ]
    contents = [operation["responses"]["200"]["content"]["application/json"]]
    if body := operation.get("requestBody", {}).get("content", {}).get("application/json"):
        contents.append(body)
    for content in contents:
        _validate(content["example"], content["schema"])


@pytest.mark.parametrize("status", STATUSES)
def test_the_examples_of_errors_are_statuses(status: int) -> None:
    parsed = json_format.ParseDict(dict(STATUSES[status]), status_pb2.Status())
    assert HTTP[code_pb2.Code.Name(parsed.code)] == status
    _validate(STATUSES[status], {"$ref": "#/components/schemas/google.rpc.Status"})


def _validate(instance: Any, schema: Any) -> None:
    whole = {**schema, "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(whole).validate(instance)


def test_errors_have_the_kinds_of_details_that_the_proto_names() -> None:
    items = DOCUMENT["components"]["schemas"]["google.rpc.Status"]["properties"]["details"]["items"]
    kinds = [each["$ref"].rpartition("/")[2] for each in items["anyOf"]]
    fields = error_reason_pb2.ErrorDetails.DESCRIPTOR.fields
    assert kinds == [field.message_type.full_name for field in fields if field.message_type]
    assert error_details_pb2.ErrorInfo.DESCRIPTOR.full_name in kinds


def test_every_code_of_the_service_has_its_http_status() -> None:
    assert {code_pb2.Code.Name(row.code) for row in TABLE.values()} <= set(HTTP)


def test_a_request_without_what_it_needs_does_not_fit() -> None:
    schema = {"$ref": "#/components/schemas/InitializeRequest"}
    _validate({"sizeBytes": "0"}, schema)
    for wrong in ({}, {"sizeBytes": None}, {"sizeBytes": "-1"}, {"sizeBytes": "1", "policy": "A"}):
        with pytest.raises(jsonschema.ValidationError):
            _validate(wrong, schema)


def test_streams_are_lines_or_events() -> None:
    streaming = [method.name for method in METHODS.values() if method.server_streaming]
    shown = [name for name, content in _answers() if "text/event-stream" in content]
    assert sorted(shown) == sorted(streaming) == ["PresignParts", "Watch"]


def _answers() -> Iterator[tuple[str, Mapping[str, Any]]]:
    for verbs in DOCUMENT["paths"].values():
        for operation in verbs.values():
            yield operation["operationId"], operation["responses"]["200"]["content"]
