"""Page tokens: where a page begins, as text that callers cannot read meaning into (AIP-158)."""

import base64
import binascii

_VERSION = b"\x01"


def encode(position: str) -> str:
    """Return the token of a position, "" for "": base64url without padding."""
    if not position:
        return ""
    return base64.urlsafe_b64encode(_VERSION + position.encode()).rstrip(b"=").decode()


def decode(token: str) -> str:
    """Return the position in a token, "" for "". Raises ValueError if it is not a token."""
    if not token:
        return ""
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not a page token") from error
    if packed[:1] != _VERSION or len(packed) == 1:
        raise ValueError("not a page token")
    return packed[1:].decode("ascii")
