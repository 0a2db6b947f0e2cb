"""The key mark: it identifies, from an object's key alone, the upload that the key was made for.

Storage returns little more than the key of an unfinished multipart upload. If Redis has lost the
session record, the key is all that is left. So it contains what a sweep must know before it removes
anything: that this deployment made the key, for which upload, and until when an ID of that upload
can be used at most. An ID has the deadline of its time, which ExtendUpload moves; a key never
changes, so it has the last deadline that any extension can give.

A key contains `{sid}-{stamp}`. The stamp is the hex form of four bytes of the write token, four of
the last deadline (Unix seconds), and six of a MAC, keyed by the sealing key, over all of these, the
bucket and the whole key. So a copy of the object under another party's key has no valid mark, nor
has a key of another deployment, with other sealing keys, in the same bucket.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_TOKEN_BYTES = 4
_TIME_BYTES = 4
_MAC_BYTES = 6
_HEAD_BYTES = _TOKEN_BYTES + _TIME_BYTES
_STAMP_CHARS = 2 * (_HEAD_BYTES + _MAC_BYTES)
_SID_CHARS = 32

SEGMENT_CHARS = _SID_CHARS + 1 + _STAMP_CHARS
"""The length of a marked sid."""

# Searched at every position: a template may put a sid right after other letters.
_SEGMENT = re.compile(f"(?=([0-9a-f]{{{_SID_CHARS}}})-([0-9a-f]{{{_STAMP_CHARS}}}))")


@dataclass(frozen=True, slots=True)
class KeyMark:
    """What a key says about its upload.

    `token_start` is the beginning of the write token; past `expire_time`, no ID can be used.
    """

    sid: str
    token_start: str
    expire_time: datetime


class KeyMarks:
    """Creates marks with the first sealing key and recognizes those of all keys."""

    def __init__(self, sealing_keys: Sequence[bytes]) -> None:
        # Derived keys: those that encrypt IDs are used for nothing else.
        self._keys = [hmac.digest(key, b"partway key mark", "sha256") for key in sealing_keys]

    def marked(
        self, sid: str, *, write_token: str, expire_time: datetime, bucket: str, key: str
    ) -> str:
        """Return `sid` with its stamp. `key` is the object key with the bare sid in it."""
        head = bytes.fromhex(write_token)[:_TOKEN_BYTES]
        head += int(expire_time.timestamp()).to_bytes(_TIME_BYTES, "big")
        return f"{sid}-{(head + _mac(self._keys[0], head, sid, bucket, key)).hex()}"

    def read(self, bucket: str, key: str) -> KeyMark | None:
        """Return the mark in `key` if one of the sealing keys made it for exactly this key."""
        for sid, stamp in _SEGMENT.findall(key):
            # The caller's text is in the key as well, and may contain what looks like a mark.
            bare = key.replace(f"{sid}-{stamp}", sid)
            head, mac = bytes.fromhex(stamp)[:_HEAD_BYTES], bytes.fromhex(stamp)[_HEAD_BYTES:]
            macs = (_mac(secret, head, sid, bucket, bare) for secret in self._keys)
            if any([hmac.compare_digest(mac, expected) for expected in macs]):  # noqa: C419
                seconds = int.from_bytes(head[_TOKEN_BYTES:], "big")
                token_start = head[:_TOKEN_BYTES].hex()
                return KeyMark(sid, token_start, datetime.fromtimestamp(seconds, UTC))
        return None


def _mac(secret: bytes, head: bytes, sid: str, bucket: str, key: str) -> bytes:
    # A bucket name has no NUL, and everything before it has a fixed length.
    message = head + bytes.fromhex(sid) + bucket.encode() + b"\0" + key.encode()
    return hmac.digest(secret, message, "sha256")[:_MAC_BYTES]
