"""The mark in an object's key: it shows, of the key alone, whose upload is at work there.

Storage tells of an unfinished multipart upload little more than its key. If Redis has lost the row,
the key is all there is, so it says what a sweep must know before it removes anything: that this
deployment made the key, which Upload it was for, and until when the id of that Upload can be used.

A key holds `{sid}-{stamp}`. The stamp is hex of four bytes of the write token, four of the
deadline (Unix seconds), and six of a MAC, keyed by the sealing key, over all of these, the bucket
and the whole key. So a copy of our object under a key of somebody else's carries no valid mark,
and neither does a key of another deployment, with other sealing keys, in the same bucket.
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
"""How long a marked sid is."""

# Looked for at every place: a template may put a sid right behind other letters.
_SEGMENT = re.compile(f"(?=([0-9a-f]{{{_SID_CHARS}}})-([0-9a-f]{{{_STAMP_CHARS}}}))")


@dataclass(frozen=True, slots=True)
class KeyMark:
    """What a key tells of its Upload. `token_start` is what its write token begins with."""

    sid: str
    token_start: str
    expire_time: datetime


class KeyMarks:
    """Marks with the first sealing key and knows the marks of all."""

    def __init__(self, sealing_keys: Sequence[bytes]) -> None:
        # Keys of their own: what seals ids is used for nothing else.
        self._keys = [hmac.digest(key, b"partway key mark", "sha256") for key in sealing_keys]

    def marked(
        self, sid: str, *, write_token: str, expire_time: datetime, bucket: str, key: str
    ) -> str:
        """`sid` with its stamp. `key` is the key as it would be with the bare sid in it."""
        head = bytes.fromhex(write_token)[:_TOKEN_BYTES]
        head += int(expire_time.timestamp()).to_bytes(_TIME_BYTES, "big")
        return f"{sid}-{(head + _mac(self._keys[0], head, sid, bucket, key)).hex()}"

    def read(self, bucket: str, key: str) -> KeyMark | None:
        """The mark in `key`, if one of our sealing keys made it for this very key."""
        for sid, stamp in _SEGMENT.findall(key):
            # The caller's own text is in the key as well, and may hold what looks like a mark.
            bare = key.replace(f"{sid}-{stamp}", sid)
            head, mac = bytes.fromhex(stamp)[:_HEAD_BYTES], bytes.fromhex(stamp)[_HEAD_BYTES:]
            macs = (_mac(secret, head, sid, bucket, bare) for secret in self._keys)
            if any([hmac.compare_digest(mac, expected) for expected in macs]):  # noqa: C419
                seconds = int.from_bytes(head[_TOKEN_BYTES:], "big")
                token_start = head[:_TOKEN_BYTES].hex()
                return KeyMark(sid, token_start, datetime.fromtimestamp(seconds, UTC))
        return None


def _mac(secret: bytes, head: bytes, sid: str, bucket: str, key: str) -> bytes:
    # No bucket has a NUL in its name, and all before it is of fixed length.
    message = head + bytes.fromhex(sid) + bucket.encode() + b"\0" + key.encode()
    return hmac.digest(secret, message, "sha256")[:_MAC_BYTES]
