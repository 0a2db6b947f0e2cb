"""Who calls, and what that allows: a caller with scopes, or the holder of an upload token."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from partway_server.domain.errors import PermissionDenied
from partway_server.domain.grant import Caller


class Scope(StrEnum):
    """What credentials allow. ADMIN allows everything."""

    UPLOAD = "upload"
    READ = "read"
    COMPOSE = "compose"
    VIA_SERVICE = "via_service"
    ADMIN = "admin"


class UploadAction(StrEnum):
    """What an upload token allows with its upload."""

    PRESIGN = "presign"
    REPORT = "report"
    UPLOAD_PART = "upload_part"
    COMPLETE = "complete"
    ABORT = "abort"
    STATUS = "status"
    WATCH = "watch"
    LIST_PARTS = "list_parts"


@dataclass(frozen=True, slots=True)
class Permission:
    """What an RPC requires: a scope or, of an upload token, an action. None: no token allows it."""

    scope: Scope
    action: UploadAction | None = None


@dataclass(frozen=True, slots=True)
class UploadToken:
    """What an upload token carries: `actions` on one upload until `expire_time`.

    The upload is that of `sid` and `write_token`, and belongs to `caller`. `parts` are the first
    and the last part that the token is for; None: all.
    """

    caller: Caller
    sid: str
    write_token: str
    actions: frozenset[UploadAction]
    expire_time: datetime
    parts: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. The holder of an upload token has no scopes."""

    caller: Caller
    scopes: frozenset[Scope]
    token: UploadToken | None = None

    def require(self, permission: Permission) -> None:
        """Raise PermissionDenied unless the credentials include `permission`."""
        if self.token is not None:
            if permission.action is None:
                raise PermissionDenied(permission.scope)
            if permission.action not in self.token.actions:
                raise PermissionDenied(f"UPLOAD_ACTION_{permission.action.upper()}")
        elif permission.scope not in self.scopes and Scope.ADMIN not in self.scopes:
            raise PermissionDenied(permission.scope)


ALL_SCOPES = frozenset(Scope)
