"""Tests that the server implements the whole proto, and that tests cover what it promises."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.rpc import code_pb2
from partway.v1 import error_reason_pb2, upload_pb2, upload_service_pb2
from partway.v1.upload_service_pb2_grpc import UploadServiceServicer
from partway_server.domain import errors
from partway_server.rpc.error_mapping import TABLE, internal, status_of
from partway_server.rpc.servicer import UploadServicer

ROOT = Path(__file__).parents[2]
SERVICE = upload_service_pb2.DESCRIPTOR.services_by_name["UploadService"]


def promised_errors() -> Iterator[tuple[str, str]]:
    """Return (RPC, code) for every bullet of the `Errors:` lists."""
    text = (ROOT / "proto/partway/v1/upload_service.proto").read_text()
    for comment, rpc in re.findall(r"((?:  //.*\n)+)  rpc (\w+)", text):
        for code in re.findall(r"\* `(\w+)`:", comment):
            yield rpc, code


def tagged_errors() -> set[tuple[str, str]]:
    """Return (RPC, code) for every `@pytest.mark.promise(rpc, code)` in the service tests."""
    found = set()
    for file in (ROOT / "tests/service").glob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
                rpc, code = (ast.literal_eval(argument) for argument in node.args)
                found.add((rpc, code))
    return found


def test_every_promised_error_has_a_test() -> None:
    assert set(promised_errors()) - tagged_errors() == set()


def test_every_tested_error_is_promised() -> None:
    assert tagged_errors() - set(promised_errors()) == set()


@pytest.mark.parametrize("method", list(SERVICE.methods), ids=lambda m: m.name)
def test_every_rpc_is_implemented_by_the_servicer_itself(method: MethodDescriptor) -> None:
    implemented = getattr(UploadServicer, method.name)
    assert implemented is not getattr(UploadServiceServicer, method.name)


@pytest.mark.parametrize("method", list(SERVICE.methods), ids=lambda m: m.name)
def test_every_rpc_has_an_error_list(method: MethodDescriptor) -> None:
    assert method.name in {rpc for rpc, _ in promised_errors()}


def subclasses(base: type[errors.UploadError]) -> Iterator[type[errors.UploadError]]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def test_every_error_has_a_row_in_the_table() -> None:
    assert set(subclasses(errors.UploadError)) - {errors.TryAgain} == set(TABLE)


def test_every_reason_is_used_exactly_once() -> None:
    used = [row.reason for row in TABLE.values()]
    used += [error_reason_pb2.ERROR_REASON_INTERNAL, error_reason_pb2.ERROR_REASON_UNSPECIFIED]
    assert sorted(used) == sorted(error_reason_pb2.ErrorReason.values())


def test_every_reason_states_the_code_that_the_table_gives_it() -> None:
    text = (ROOT / "proto/partway/v1/error_reason.proto").read_text()
    stated = {
        name: code
        for code, name in re.findall(
            r"Code:\s+(?://\s+)?`(\w+)`.*?\n\s+(ERROR_REASON_\w+) =", text, re.S
        )
    }
    for row in TABLE.values():
        name = error_reason_pb2.ErrorReason.Name(row.reason)
        assert stated[name] == code_pb2.Code.Name(row.code), name


def test_details_stay_small_however_much_is_wrong() -> None:
    gaps = [(n, n) for n in range(1, 10_000, 2)]
    wrong = [(n, "5242880 bytes in storage, 16777216 planned") for n in range(1, 10_001)]
    fields = [
        errors.FieldViolation(f"parts[{n}].part_number", "each part once") for n in range(10_000)
    ]
    for error in (
        errors.PartsMissing("0" * 32, gaps),
        errors.PartsMismatch("0" * 32, wrong),
        errors.InvalidRequest(fields),
    ):
        assert status_of(error).ByteSize() < 8000
    assert internal("0" * 16).ByteSize() < 8000


@pytest.mark.parametrize("method", [*SERVICE.methods], ids=lambda method: method.name)
def test_no_message_contains_itself_and_no_request_one_of_any_kind(
    method: MethodDescriptor,
) -> None:
    """Decoding a request is then bounded by its size, and yields nothing unexpected."""
    anything = {f"google.protobuf.{name}" for name in ("Any", "Struct", "Value", "ListValue")}
    kinds = _kinds(method.input_type, ())
    if "google.api.HttpBody" in kinds:
        # Its extensions stay packed: no code of ours opens them.
        anything.remove("google.protobuf.Any")
    assert kinds.isdisjoint(anything)
    assert method.output_type.full_name in _kinds(method.output_type, ())


OURS = [
    error_reason_pb2.DESCRIPTOR,
    upload_pb2.DESCRIPTOR,
    upload_service_pb2.DESCRIPTOR,
]


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_every_field_says_who_sets_it(file: FileDescriptor) -> None:
    for message in file.message_types_by_name.values():
        for field in message.fields:
            said = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
            assert len(said) == 1, field.full_name


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_every_file_has_the_options_of_every_language(file: FileDescriptor) -> None:
    options = file.GetOptions()
    languages = {option.name.partition("_")[0] for option, _ in options.ListFields()}
    assert languages >= {"csharp", "go", "java", "objc", "php", "ruby"}
    assert options.java_multiple_files


def test_the_descriptor_set_has_the_comments() -> None:
    packed = (ROOT / "generated/partway/v1/descriptors.binpb").read_bytes()
    found = descriptor_pb2.FileDescriptorSet.FromString(packed)
    [service] = [f for f in found.file if f.name == "partway/v1/upload_service.proto"]
    comments = [each.leading_comments for each in service.source_code_info.location]
    assert any("UploadService coordinates uploads" in each for each in comments)


def _kinds(message: Descriptor, above: tuple[str, ...]) -> set[str]:
    assert message.full_name not in above, f"{message.full_name} contains itself"
    inside = [field.message_type for field in message.fields if field.message_type]
    within = (*above, message.full_name)
    return {message.full_name}.union(*(_kinds(each, within) for each in inside))
