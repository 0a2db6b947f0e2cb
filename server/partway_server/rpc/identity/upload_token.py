"""Authenticate the holder of an upload token: `authorization: Partway TOKEN`."""

from partway_server.domain.clock import Clock
from partway_server.domain.errors import CredentialsRejected, UploadTokenExpired
from partway_server.domain.principal import Principal
from partway_server.domain.upload_token_cipher import UploadTokenCipher
from partway_server.rpc.identity.base import Context

AUTHORIZATION_KEY = "authorization"
SCHEME = "partway"


class UploadTokenIdentity:
    """Accepts upload tokens from any peer: whoever has one may use it."""

    def __init__(self, tokens: UploadTokenCipher, clock: Clock) -> None:
        self._tokens = tokens
        self._clock = clock

    async def authenticate(self, context: Context) -> Principal | None:
        """Return the holder of the call's upload token, or None if the call has none.

        Raises CredentialsRejected, UploadTokenExpired.
        """
        text = _token_of(context)
        if text is None:
            return None
        token = self._tokens.decrypt(text)
        if token.expire_time <= self._clock.now():
            raise UploadTokenExpired
        return Principal(token.caller, frozenset(), token)


def _token_of(context: Context) -> str | None:
    metadata = context.invocation_metadata() or ()
    values = [value for key, value in metadata if key == AUTHORIZATION_KEY]
    found = None
    for value in values:
        # Schemes are case-insensitive: https://www.rfc-editor.org/rfc/rfc9110#section-11.1.
        scheme, _, text = (value if isinstance(value, str) else "").partition(" ")
        if scheme.lower() == SCHEME:
            found = text.strip(" ")
    if found is not None and len(values) > 1:
        # Which of them counts would be for each proxy on the way to decide.
        raise CredentialsRejected
    return found
