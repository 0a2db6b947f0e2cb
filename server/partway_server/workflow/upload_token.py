"""CreateUploadToken: a token for one upload, for a holder without credentials of its own."""

from partway_server.domain.grant import Grant
from partway_server.domain.principal import Principal, UploadToken
from partway_server.domain.upload import Upload
from partway_server.domain.upload_token import TokenParams, new_token
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
        made = self._made(principal, grant, params)
        # Bound to the grant in the ID: that of the session record may have another sid.
        await self._resolver.active_row(grant)
        return made

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
