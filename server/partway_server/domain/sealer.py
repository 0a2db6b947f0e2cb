"""Encrypt short values into URL-safe text that only this deployment's sealing keys decrypt.

AES-SIV (RFC 5297) from the `cryptography` package is authenticated and deterministic: the same
value always has the same text. Layout before base64url: one byte of version, four of key ID, then
the ciphertext. The version says what is sealed, and is authenticated: text of one version never
decrypts as another.
"""

import base64
import hashlib
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

KEY_BYTES = 64

_HEAD_BYTES = 5


class Sealer:
    """Encrypts with the first key and decrypts with any.

    So a new key is first added behind the others on every replica, and only then moved in front.
    """

    def __init__(self, keys: Sequence[bytes], version: bytes) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(
                f"at least one sealing key is needed, and each must have {KEY_BYTES} bytes"
            )
        self._ciphers = {version + _key_id(key): AESSIV(key) for key in keys}

    def seal(self, packed: bytes) -> str:
        """Return `packed`, encrypted: base64url without padding."""
        head, cipher = next(iter(self._ciphers.items()))
        return _text(head + cipher.encrypt(packed, [head]))

    def open(self, text: str) -> bytes:
        """Return what was sealed into `text`. Raises ValueError if no key decrypts it."""
        # binascii.Error is a ValueError.
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        # The last character has unused bits: only the canonical spelling is accepted.
        cipher = self._ciphers.get(sealed[:_HEAD_BYTES])
        if cipher is None or _text(sealed) != text:
            raise ValueError("not sealed with a key of ours")
        try:
            return cipher.decrypt(sealed[_HEAD_BYTES:], [sealed[:_HEAD_BYTES]])
        except InvalidTag:
            raise ValueError("not sealed with a key of ours") from None


def key_id(key: bytes) -> str:
    """Return the ID of a sealing key for people: the hex of what stands in all that it sealed."""
    return _key_id(key).hex()


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:4]


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")
