"""Uploads files of any size straight into S3-compatible storage, coordinated by Partway.

A name is imported on first use: gRPC and aiohttp are slow to import, and the command line does some
things without them.
"""

# Not `typing.TYPE_CHECKING`: `typing` is slow to import too. Type checkers know the name.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from partway_client.client import UploadClient
    from partway_client.errors import (
        CallerUnknown,
        CallFailed,
        CompletedOtherwise,
        CredentialsRejected,
        FileBusy,
        FileChanged,
        FileUnreadable,
        InternalFault,
        InvalidRequest,
        ObjectExists,
        Overloaded,
        PartChanged,
        PartsMismatch,
        PartsMissing,
        PartsRefused,
        PartTooSlow,
        PartwayError,
        PermissionDenied,
        QuotaExceeded,
        RequestIdReused,
        ServiceError,
        ServiceUnreachable,
        SessionsFull,
        SessionsUnavailable,
        SizeMismatch,
        SourcesNotJoinable,
        SourceUnusable,
        SpoolFailed,
        StillCompleting,
        StorageRefused,
        StorageUnavailable,
        StorageUnreachable,
        StreamEnded,
        TimedOut,
        TokenUnavailable,
        TransferFailed,
        UndecodableRequest,
        UploadAborted,
        UploadBusy,
        UploadConflict,
        UploadNotActive,
        UploadNotFound,
        UploadTokenExpired,
        ViaServiceOff,
    )
    from partway_client.models import (
        Capabilities,
        Checksum,
        ChecksumName,
        LimitUsage,
        PartInfo,
        Phase,
        PolicyCapabilities,
        Progress,
        Route,
        RouteName,
        State,
        StoredProgress,
        Uploaded,
        UploadInfo,
        Usage,
    )
    from partway_client.sync import SyncUploadClient

__all__ = [
    "CallFailed",
    "CallerUnknown",
    "Capabilities",
    "Checksum",
    "ChecksumName",
    "CompletedOtherwise",
    "CredentialsRejected",
    "FileBusy",
    "FileChanged",
    "FileUnreadable",
    "InternalFault",
    "InvalidRequest",
    "LimitUsage",
    "ObjectExists",
    "Overloaded",
    "PartChanged",
    "PartInfo",
    "PartTooSlow",
    "PartsMismatch",
    "PartsMissing",
    "PartsRefused",
    "PartwayError",
    "PermissionDenied",
    "Phase",
    "PolicyCapabilities",
    "Progress",
    "QuotaExceeded",
    "RequestIdReused",
    "Route",
    "RouteName",
    "ServiceError",
    "ServiceUnreachable",
    "SessionsFull",
    "SessionsUnavailable",
    "SizeMismatch",
    "SourceUnusable",
    "SourcesNotJoinable",
    "SpoolFailed",
    "State",
    "StillCompleting",
    "StorageRefused",
    "StorageUnavailable",
    "StorageUnreachable",
    "StoredProgress",
    "StreamEnded",
    "SyncUploadClient",
    "TimedOut",
    "TokenUnavailable",
    "TransferFailed",
    "UndecodableRequest",
    "UploadAborted",
    "UploadBusy",
    "UploadClient",
    "UploadConflict",
    "UploadInfo",
    "UploadNotActive",
    "UploadNotFound",
    "UploadTokenExpired",
    "Uploaded",
    "Usage",
    "ViaServiceOff",
]

_HOMES = ("models", "errors", "client", "sync")

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _HOMES:
            return import_module(f"{__name__}.{name}")
        if name in __all__:
            for home in map(__getattr__, _HOMES):
                if hasattr(home, name):
                    return getattr(home, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return [*globals(), *__all__]
