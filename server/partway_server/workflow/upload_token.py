"""CreateUploadToken: a token for one upload, for a holder without credentials of its own."""

from dataclasses import replace

from partway_server.domain.grant import Grant
from partway_server.domain.principal import Principal, UploadToken
from partway_server.domain.upload import Upload
from partway_server.domain.upload_token import TokenParams, allowed_actions, new_token
from partway_server.workflow.deps import Deps
from partway_server.workflow.resolver import Resolver


class CreateUploadToken:
    """Makes upload tokens. Nothing is stored: a token carries all that it allows."""

    def __init__(self, deps: Deps, resolver: Resolver) -> None:
        self._deps = deps
        self._resolver = resolver

    async def __call__(
        self, principal: Principal, upload_id: str, params: TokenParams
    ) -> tuple[str, UploadToken]:
        """Return a token for an ACTIVE upload, as text and as what it carries.

        Raises InvalidRequest, PermissionDenied, UploadNotFound, UploadNotActive, UploadBusy.
        """
        grant = self._resolver.grant(principal.caller, upload_id)
        allowed_actions(params, principal.scopes)
        params.check_plan(grant.plan)
        upload = await self._resolver.active_row(grant)
        # Bound to the sid in the ID: that of the session record may be another. But the deadline
        # in the ID may be one from before an extension.
        extended = replace(grant, expire_time=upload.grant.expire_time)
        return self._made(principal, extended, params)

    def for_initialized(
        self, principal: Principal, upload: Upload, params: TokenParams
    ) -> tuple[str, UploadToken]:
        """Return a token for an upload that Initialize returned to the principal.

        Raises InvalidRequest, PermissionDenied, UploadNotActive.
        """
        return self._made(principal, self._resolver.active(upload).grant, params)

    def _made(
        self, principal: Principal, grant: Grant, params: TokenParams
    ) -> tuple[str, UploadToken]:
        token = new_token(grant, params, principal.scopes, self._deps.clock.now())
        return self._deps.upload_tokens.encrypt(token), token
