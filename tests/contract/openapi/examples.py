"""Holds an example of each RPC and of each kind of error. A test reads them as messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

ID = "AbCdEf0123456789-_"
"""Stands for an upload_id, which is longer."""

_UPLOAD: Json = {
    "id": ID,
    "state": "UPLOAD_STATE_ACTIVE",
    "policy": "default",
    "object": {"bucket": "uploads", "key": "acme/2026/film.mp4"},
    "sizeBytes": "12582912",
    "partSizeBytes": "5242880",
    "partCount": 3,
    "lastPartSizeBytes": "2097152",
    "contentType": "video/mp4",
    "checksumAlgorithm": "CHECKSUM_ALGORITHM_NONE",
    "createTime": "2026-01-01T12:00:00Z",
    "expireTime": "2026-01-08T12:00:00Z",
}
_COMPLETED: Json = {
    **_UPLOAD,
    "state": "UPLOAD_STATE_COMPLETED",
    "object": {
        "bucket": "uploads",
        "key": "acme/2026/film.mp4",
        "uri": "s3://uploads/acme/2026/film.mp4",
        "etag": "9b2cf535f27731c974343645a3985328-3",
        "sizeBytes": "12582912",
    },
}
_ABORTED: Json = {
    **_UPLOAD,
    "state": "UPLOAD_STATE_ABORTED",
    "abortReason": "ABORT_REASON_REQUESTED",
}
_PRESIGNED: Json = {
    "partNumber": 1,
    "method": "PUT",
    "url": "https://storage.example/uploads/acme/2026/film.mp4?partNumber=1&X-Amz-Signature=...",
    "headers": {},
    "offsetBytes": "0",
    "sizeBytes": "5242880",
    "expireTime": "2026-01-01T12:15:00Z",
}
_PART: Json = {"partNumber": 1, "sizeBytes": "5242880", "etag": "5d41402abc4b2a76b9719d911017c592"}
_FILE: Json = {"fileName": "film.mp4", "sizeBytes": "12582912", "contentType": "video/mp4"}
_PROGRESS: Json = {
    "partsStored": 1,
    "bytesStored": "5242880",
    "missing": [{"first": 2, "last": 3}],
}
_TOKEN: Json = {
    "token": "AQIDBAUGBwgJ",
    "expireTime": "2026-01-01T13:00:00Z",
    "actions": ["UPLOAD_ACTION_PRESIGN", "UPLOAD_ACTION_COMPLETE"],
}
_POLICY: Json = {
    "name": "default",
    "minSizeBytes": "0",
    "maxSizeBytes": "5497558138880",
    "contentTypes": ["*"],
    "checksumAlgorithms": ["CHECKSUM_ALGORITHM_CRC32C", "CHECKSUM_ALGORITHM_NONE"],
    "defaultChecksumAlgorithm": "CHECKSUM_ALGORITHM_NONE",
    "minPartSizeBytes": "5242880",
    "defaultPartSizeBytes": "16777216",
    "maxPartSizeBytes": "5368709120",
    "singlePutMaxBytes": "16777216",
    "uploadLifetime": "604800s",
    "maxUploadLifetime": "604800s",
    "urlLifetime": "900s",
    "maxUrlLifetime": "43200s",
    "viaService": True,
}


@dataclass(frozen=True, slots=True)
class Example:
    """The body of a request, without what is in its path, and the answer."""

    body: Json
    answer: Json


_NOT_FOUND: Json = {
    "code": 5,
    "message": "no such upload",
    "details": [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "ERROR_REASON_UPLOAD_NOT_FOUND",
            "domain": "partway",
        },
        {
            "@type": "type.googleapis.com/google.rpc.ResourceInfo",
            "resourceType": "partway.v1.Upload",
            "description": "does not exist or belongs to another caller",
        },
    ],
}

EXAMPLES: Mapping[str, Example] = {
    "Initialize": Example(_FILE, {"upload": _UPLOAD}),
    "BatchInitialize": Example(
        {"requests": [_FILE, {"fileName": "empty.txt", "sizeBytes": "0"}]},
        {"results": [{"response": {"upload": _UPLOAD}}, {"response": {"upload": _UPLOAD}}]},
    ),
    "ExtendUpload": Example(
        {"expireTime": "2026-01-09T12:00:00Z"},
        {"upload": {**_UPLOAD, "expireTime": "2026-01-09T12:00:00Z"}},
    ),
    "PresignParts": Example(
        {"ranges": [{"first": 1, "last": 1}], "urlLifetime": "900s"},
        {"parts": [_PRESIGNED], "remainingCount": 0},
    ),
    "BatchPresignParts": Example(
        {"ranges": [{"first": 1, "last": 1}], "urlLifetime": "900s"}, {"parts": [_PRESIGNED]}
    ),
    "Complete": Example({}, {"upload": _COMPLETED}),
    "BatchComplete": Example(
        {"requests": [{"uploadId": ID}, {"uploadId": ID + "2"}]},
        {"results": [{"response": {"upload": _COMPLETED}}, {"status": _NOT_FOUND}]},
    ),
    "Abort": Example({}, {"upload": _ABORTED}),
    "ListParts": Example({}, {"parts": [_PART], "nextPageToken": ""}),
    "ReportParts": Example(
        {"parts": [{"partNumber": 1, "sizeBytes": "5242880"}]},
        {"results": [{"partNumber": 1}], "reported": _PROGRESS},
    ),
    "PutPart": Example({}, {"part": _PART}),
    "Status": Example({}, {"upload": _UPLOAD, "progress": _PROGRESS, "reported": _PROGRESS}),
    "Watch": Example({}, {"upload": _UPLOAD, "reported": _PROGRESS}),
    "Compose": Example(
        {"fileName": "both.mp4", "sources": [{"uploadId": ID}, {"uploadId": ID + "2"}]},
        {"upload": {**_COMPLETED, "sourceCount": 2}},
    ),
    "ListUploads": Example({}, {"uploads": [_UPLOAD], "nextPageToken": ""}),
    "CreateUploadToken": Example(
        {"spec": {"actions": _TOKEN["actions"], "lifetime": "3600s"}}, {"uploadToken": _TOKEN}
    ),
    "GetUsage": Example(
        {}, {"tenant": [{"limit": "open_uploads", "used": "3", "max": "1000"}], "subject": []}
    ),
    "GetCapabilities": Example(
        {},
        {
            "version": "0.1.0",
            "policies": [_POLICY],
            "maxBatchUploads": 100,
            "maxBatchParts": 1000,
            "maxComposeSources": 32,
        },
    ),
}
"""An example of each RPC, by its name."""

STATUSES: Mapping[int, Json] = {
    400: {
        "code": 3,
        "message": "size_bytes: missing",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ERROR_REASON_INVALID_REQUEST",
                "domain": "partway",
            },
            {
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": "size_bytes", "description": "missing"}],
            },
        ],
    },
    404: _NOT_FOUND,
    503: {
        "code": 14,
        "message": "storage does not answer; try again",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "ERROR_REASON_STORAGE_UNAVAILABLE",
                "domain": "partway",
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"},
        ],
    },
}
"""An example of an error, by its HTTP status."""
