"""What each RPC requires of its caller. A test compares this table with the proto."""

from collections.abc import Mapping

from partway_server.domain.principal import Permission, Scope, UploadAction

PERMISSIONS: Mapping[str, Permission] = {
    "Initialize": Permission(Scope.UPLOAD),
    "BatchInitialize": Permission(Scope.UPLOAD),
    "ExtendUpload": Permission(Scope.UPLOAD),
    "PresignParts": Permission(Scope.UPLOAD, UploadAction.PRESIGN),
    "BatchPresignParts": Permission(Scope.UPLOAD, UploadAction.PRESIGN),
    "ReportParts": Permission(Scope.UPLOAD, UploadAction.REPORT),
    "Complete": Permission(Scope.UPLOAD, UploadAction.COMPLETE),
    "BatchComplete": Permission(Scope.UPLOAD),
    "Abort": Permission(Scope.UPLOAD, UploadAction.ABORT),
    "CreateUploadToken": Permission(Scope.UPLOAD),
    "UploadPart": Permission(Scope.VIA_SERVICE, UploadAction.UPLOAD_PART),
    "PutPart": Permission(Scope.VIA_SERVICE, UploadAction.UPLOAD_PART),
    "Status": Permission(Scope.READ, UploadAction.STATUS),
    "Watch": Permission(Scope.READ, UploadAction.WATCH),
    "ListParts": Permission(Scope.READ, UploadAction.LIST_PARTS),
    "ListUploads": Permission(Scope.READ),
    "GetUsage": Permission(Scope.READ),
    "GetCapabilities": Permission(Scope.READ),
    "Compose": Permission(Scope.COMPOSE),
}
