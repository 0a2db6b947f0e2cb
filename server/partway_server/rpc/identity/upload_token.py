"""Authenticate the holder of an upload token: `authorization: Partway TOKEN`."""

from partway_server.domain.clock import Clock
from partway_server.domain.errors import CredentialsRejected, UploadTokenExpired
from partway_server.domain.principal import Principal
from partway_server.domain.upload_token_cipher import UploadTokenCipher
from partway_server.rpc.identity.authorization import authorization_of
from partway_server.rpc.identity.base import Context
from partway_server.rpc.identity.rejections import Rejections

SCHEME = "partway"


class UploadTokenAuthenticator:
    """Accepts upload tokens from any peer: whoever has one may use it."""

    def __init__(self, tokens: UploadTokenCipher, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock
        self._rejections = Rejections(clock)

    async def authenticate(self, context: Context) -> Principal | None:
        """Return the holder of the call's upload token, or None if the call has none.

        Raises CredentialsRejected, UploadTokenExpired.
        """
        authorization = authorization_of(context, self._rejections)
        if authorization is None or authorization.scheme != SCHEME:
            return None
        try:
            token = self._tokens.decrypt(authorization.value)
        except CredentialsRejected:
            raise self._rejections.reject("not an upload token of this service") from None
        if token.expire_time <= self._clock.now():
            raise UploadTokenExpired
        return Principal(token.caller, frozenset(), token)
