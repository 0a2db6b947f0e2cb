"""The upload_id: a sealed Grant.

AES-SIV (RFC 5297) from the `cryptography` package: authenticated, and deterministic, so that the
same Upload always has the same id and no id needs to be stored. Layout before base64url:
one byte of version, four of key id, then the sealed bytes.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from partway_server.domain.errors import UploadNotFound
from partway_server.domain.grant import Grant

KEY_BYTES = 64
MAX_ID_CHARS = 8192

_VERSION = b"\x01"
_HEAD_BYTES = 5


class UploadIdCipher:
    """Seals with the first key and opens with any: put a new key first, drop an old one last."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"sealing keys are {KEY_BYTES} bytes each, and at least one")
        self._ciphers = {_VERSION + hashlib.sha256(k).digest()[:4]: AESSIV(k) for k in keys}

    def encrypt(self, grant: Grant) -> str:
        """The upload_id of `grant`: base64url without padding."""
        head, cipher = next(iter(self._ciphers.items()))
        return _text(head + cipher.encrypt(grant.pack(), [head]))

    def decrypt(self, upload_id: str) -> Grant:
        """The Grant in `upload_id`. Raises UploadNotFound if none of our keys made it."""
        try:
            sealed = base64.b64decode(
                upload_id + "=" * (-len(upload_id) % 4), altchars=b"-_", validate=True
            )
            # The last character has bits to spare: only one spelling of an id is the id.
            if _text(sealed) != upload_id:
                raise UploadNotFound
            cipher = self._ciphers[sealed[:_HEAD_BYTES]]
            packed = cipher.decrypt(sealed[_HEAD_BYTES:], [sealed[:_HEAD_BYTES]])
        except (binascii.Error, ValueError, KeyError, InvalidTag):
            raise UploadNotFound from None
        return Grant.unpack(packed)


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
