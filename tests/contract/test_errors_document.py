"""Tests that docs/reference/errors.md agrees with the proto and the service's error table."""

import re
from pathlib import Path

import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2
from partway.v1 import error_reason_pb2
from partway_server.rpc.error_mapping import TABLE, internal, status_of

from tests.unit.rpc.test_error_mapping import EXAMPLES

TEXT = (Path(__file__).parents[2] / "docs/reference/errors.md").read_text()
PREFIX = "ERROR_REASON_"

# How the gateway's transcoder translates codes:
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
HTTP = {
    "INVALID_ARGUMENT": "400",
    "FAILED_PRECONDITION": "400",
    "UNAUTHENTICATED": "401",
    "PERMISSION_DENIED": "403",
    "NOT_FOUND": "404",
    "ABORTED": "409",
    "ALREADY_EXISTS": "409",
    "RESOURCE_EXHAUSTED": "429",
    "INTERNAL": "500",
    "UNAVAILABLE": "503",
}

STATUSES = [*map(status_of, EXAMPLES), internal("0" * 16)]


def rows(columns: int) -> dict[str, list[str]]:
    """Return the rows of the table with that many columns, by reason."""
    cells = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in TEXT.splitlines()
        if line.startswith("| `")
    )
    return {row[0].strip("`"): row[1:] for row in cells if len(row) == columns}


MEANINGS, CARRIED = rows(columns=5), rows(columns=3)


def info_of(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return info


def test_it_has_every_reason_once_in_the_order_of_the_proto() -> None:
    names: list[str] = error_reason_pb2.ErrorReason.keys()
    reasons = [name.removeprefix(PREFIX) for name in names]
    assert list(MEANINGS) == list(CARRIED) == reasons[1:]
    assert len(re.findall(r"^\| `", TEXT, re.M)) == 2 * len(reasons[1:])


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: info_of(status).reason)
def test_codes_and_details_are_those_that_are_sent(status: status_pb2.Status) -> None:
    reason = info_of(status).reason.removeprefix(PREFIX)
    code, http, meaning, remedy = MEANINGS[reason]
    assert code == f"`{code_pb2.Code.Name(status.code)}`"
    assert http == HTTP[code.strip("`")]
    assert meaning.endswith(".") and remedy.endswith(".")

    metadata, details = CARRIED[reason]
    sent = [packed.TypeName().removeprefix("google.rpc.") for packed in status.details]
    assert ["ErrorInfo", *re.findall(r"`([A-Z][a-z]\w+)`", details)] == sent
    assert set(re.findall(r"`(\w+)`", metadata)) == set(info_of(status).metadata)


def test_every_error_is_among_those_compared() -> None:
    assert len(STATUSES) == len(TABLE) + 1 == len(MEANINGS)
