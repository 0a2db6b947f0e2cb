"""Encrypt a Grant into an upload ID, and decrypt it again.

AES-SIV (RFC 5297) from the `cryptography` package is authenticated and deterministic: the same
upload always has the same ID, and no ID needs to be stored. Layout before base64url: one byte of
version, four of key ID, then the ciphertext.
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
    """Encrypts with the first key and decrypts with any: add a new key first, then drop the old."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(
                f"at least one sealing key is needed, and each must have {KEY_BYTES} bytes"
            )
        self._ciphers = {_VERSION + hashlib.sha256(k).digest()[:4]: AESSIV(k) for k in keys}

    def encrypt(self, grant: Grant) -> str:
        """Return the upload ID of `grant`: base64url without padding."""
        head, cipher = next(iter(self._ciphers.items()))
        return _text(head + cipher.encrypt(grant.pack(), [head]))

    def decrypt(self, upload_id: str) -> Grant:
        """Return the Grant in `upload_id`. Raises UploadNotFound if no key decrypts it."""
        try:
            sealed = base64.b64decode(
                upload_id + "=" * (-len(upload_id) % 4), altchars=b"-_", validate=True
            )
            # The last character has unused bits: only the canonical spelling is accepted.
            if _text(sealed) != upload_id:
                raise UploadNotFound
            cipher = self._ciphers[sealed[:_HEAD_BYTES]]
            packed = cipher.decrypt(sealed[_HEAD_BYTES:], [sealed[:_HEAD_BYTES]])
        except (binascii.Error, ValueError, KeyError, InvalidTag):
            raise UploadNotFound from None
        return Grant.unpack(packed)


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
