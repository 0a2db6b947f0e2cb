"""Holds the limits that the comments of the protos state in words, as JSON Schema.

A test looks for each number in the comment of its field, so that the two cannot differ.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_ID: Schema = {"maxLength": 8192}
_PART_NUMBER: Schema = {"minimum": 1}
_POLICY: Schema = {"pattern": "^[a-z0-9_-]{0,64}$"}
_UUID: Schema = {"pattern": "^$|^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"}
_PRINTABLE: Schema = {"maxLength": 128, "pattern": "^[ -~]*$"}

LIMITS: Mapping[str, Schema] = {
    "AbortRequest.upload_id": _ID,
    "BatchCompleteRequest.requests": {"minItems": 1, "maxItems": 100},
    "BatchInitializeRequest.requests": {"minItems": 1, "maxItems": 100},
    "BatchPresignPartsRequest.checksums": {"maxItems": 1000},
    "BatchPresignPartsRequest.ranges": {"maxItems": 1000},
    "BatchPresignPartsRequest.upload_id": _ID,
    "CompleteRequest.parts": {"maxItems": 10000},
    "CompleteRequest.upload_id": _ID,
    "ComposeRequest.policy": _POLICY,
    "ComposeRequest.request_id": _UUID,
    "ComposeRequest.sources": {"minItems": 1, "maxItems": 32},
    "ComposeSource.upload_id": _ID,
    "CreateUploadTokenRequest.upload_id": _ID,
    "ExtendUploadRequest.upload_id": _ID,
    "InitializeRequest.content_type": {"maxLength": 255},
    "InitializeRequest.file_name": {"maxLength": 1024},
    "InitializeRequest.fingerprint": _PRINTABLE,
    "InitializeRequest.metadata": {
        "maxProperties": 32,
        "propertyNames": {"pattern": "^(?!partway-)[a-z0-9-]{1,64}$"},
        "additionalProperties": {"type": "string", "pattern": "^([!-~]([ -~]*[!-~])?)?$"},
    },
    "InitializeRequest.policy": _POLICY,
    "InitializeRequest.presign_parts": {"minimum": 0, "maximum": 1000},
    "InitializeRequest.request_id": _UUID,
    "ListPartsRequest.page_size": {"minimum": 0},
    "ListPartsRequest.upload_id": _ID,
    "ListUploadsRequest.fingerprint": _PRINTABLE,
    "ListUploadsRequest.page_size": {"minimum": 0},
    "Part.part_number": _PART_NUMBER,
    "PartChecksum.part_number": _PART_NUMBER,
    "PartRange.first": _PART_NUMBER,
    "PartRange.last": {"minimum": 1},
    "PresignPartsRequest.checksums": {"maxItems": 10000},
    "PresignPartsRequest.ranges": {"maxItems": 1000},
    "PresignPartsRequest.upload_id": _ID,
    "PutPartRequest.part_number": _PART_NUMBER,
    "PutPartRequest.upload_id": _ID,
    "ReportPartsRequest.parts": {"minItems": 1, "maxItems": 1000},
    "ReportPartsRequest.upload_id": _ID,
    "StatusRequest.upload_id": _ID,
    "UploadTokenSpec.actions": {"maxItems": 100},
    "WatchRequest.upload_id": _ID,
}
"""What a field accepts beyond its type, by its name."""

ELSEWHERE = {
    "ComposeRequest.policy": "InitializeRequest.policy",
    "ComposeRequest.request_id": "InitializeRequest.request_id",
}
"""Fields whose comment refers to that of another."""

STATED_BY_TYPE = (0, 1)
"""Numbers that a comment need not repeat: counts begin there."""
