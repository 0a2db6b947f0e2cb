"""Encrypt a Grant into an upload ID, and decrypt it again.

Encryption is deterministic: the same upload always has the same ID, and no ID needs to be stored.
"""

from collections.abc import Sequence

from partway_server.domain.errors import UploadNotFound
from partway_server.domain.grant import Grant
from partway_server.domain.sealer import Sealer

MAX_ID_CHARS = 8192

_VERSION = b"\x01"


class UploadIdCipher:
    """Encrypts with the first key and decrypts with any, as Sealer does."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._sealer = Sealer(keys, _VERSION)

    def encrypt(self, grant: Grant) -> str:
        """Return the upload ID of `grant`: base64url without padding."""
        return self._sealer.seal(grant.pack())

    def decrypt(self, upload_id: str) -> Grant:
        """Return the Grant in `upload_id`. Raises UploadNotFound if no key decrypts it."""
        try:
            packed = self._sealer.open(upload_id)
        except ValueError:
            raise UploadNotFound from None
        return Grant.unpack(packed)
