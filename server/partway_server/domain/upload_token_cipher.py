"""Encrypt an upload token into the text that its holder sends, and decrypt it again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgpack

from partway_server.domain.errors import CredentialsRejected
from partway_server.domain.grant import Caller
from partway_server.domain.principal import UploadAction, UploadToken
from partway_server.domain.sealing import Sealer

MAX_TOKEN_CHARS = 512
"""Enough for the longest tenant and subject: they are ASCII."""

_VERSION = b"\x02"

# The bit of each action, by position. Only ever add to the end: tokens are in use.
_BITS = (
    UploadAction.PRESIGN,
    UploadAction.REPORT,
    UploadAction.UPLOAD_PART,
    UploadAction.COMPLETE,
    UploadAction.ABORT,
    UploadAction.STATUS,
    UploadAction.WATCH,
    UploadAction.LIST_PARTS,
)


class UploadTokenCipher:
    """Encrypts with the first key and decrypts with any, as UploadIdCipher does.

    Neither decrypts what the other has encrypted.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._sealer = Sealer(keys, _VERSION)

    def encrypt(self, token: UploadToken) -> str:
        """Return `token` as text: base64url without padding."""
        actions = sum(1 << bit for bit, action in enumerate(_BITS) if action in token.actions)
        fields = (
            bytes.fromhex(token.sid),
            bytes.fromhex(token.write_token),
            token.caller.tenant,
            token.caller.subject,
            actions,
            int(token.expire_time.timestamp()),
            *(token.parts or ()),
        )
        return self._sealer.seal(msgpack.packb(fields))

    def decrypt(self, text: str) -> UploadToken:
        """Return the token in `text`, expired or not. Raises CredentialsRejected."""
        if len(text) > MAX_TOKEN_CHARS:
            raise CredentialsRejected
        try:
            fields: list[Any] = msgpack.unpackb(self._sealer.open(text))
            sid, write_token, tenant, subject, actions, expires, *parts = fields
            # A newer version of the service may have added an action, or a limit: to leave that
            # out would widen the token.
            if actions >> len(_BITS) or len(parts) not in (0, 2):
                raise CredentialsRejected
        except ValueError:
            raise CredentialsRejected from None
        return UploadToken(
            caller=Caller(tenant, subject),
            sid=sid.hex(),
            write_token=write_token.hex(),
            actions=frozenset(a for bit, a in enumerate(_BITS) if actions >> bit & 1),
            expire_time=datetime.fromtimestamp(expires, UTC),
            parts=(parts[0], parts[1]) if parts else None,
        )
