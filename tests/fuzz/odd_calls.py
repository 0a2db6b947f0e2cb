"""Calls that are HTTP/2, and not quite gRPC: headers, paths, prefixes and lengths."""

import random
from dataclasses import dataclass

from partway.v1 import upload_service_pb2 as pb

from tests.fuzz.messages import METHODS
from tests.fuzz.raw_http2 import Header, message

_REQUEST = pb.StatusRequest(upload_id="x").SerializeToString()
_TIMEOUTS = ("-1S", "0n", "99999999H", "999999999H", "5", "S", "1X", "1 S", "1.5S", "9" * 20 + "S")
_ENCODINGS = ("gzip", "br", "identity", "x" * 200)
_VALUES: tuple[bytes, ...] = (
    b"\xff\xfe\xfd",
    b"caf\xc3\xa9",
    b"\x00",
    b"a\r\nx-injected: 1",
    b"\x7f",
    b"",
    b" padded ",
    b"y" * 9000,
)
_NAMES: tuple[bytes, ...] = (
    *(b"x", b"partway-tenant", b"partway-subject", b"authorization", b"x-bin"),
    *(b"UPPER", b"with space", b":pseudo", b"", b"grpc-status", b"grpc-message", b"grpc-tags-bin"),
    *(b"connection", b"transfer-encoding", b"content-length", b"host", b"user-agent", b"\xff"),
)


@dataclass(frozen=True, slots=True)
class OddCall:
    """A call, and words for what is odd about it."""

    about: str
    path: str
    headers: tuple[Header, ...]
    body: bytes


def odd_call(chance: random.Random, plain: str) -> OddCall:
    """Return a call with one thing wrong; `plain` is the path of a right one."""
    right = message(_REQUEST)
    match chance.randrange(7):
        case 0:
            value = chance.choice(_TIMEOUTS)
            return OddCall(f"grpc-timeout {value}", plain, (("grpc-timeout", value),), right)
        case 1:
            value = chance.choice(_ENCODINGS)
            odd = (("grpc-encoding", value), ("grpc-accept-encoding", value))
            return OddCall(f"grpc-encoding {value[:20]}", plain, odd, right)
        case 2 | 3:
            name, content = chance.choice(_NAMES), chance.choice(_VALUES)
            about = f"the header {name!r} with {content[:20]!r}"
            return OddCall(about, plain, ((name, content),), right)
        case 4:
            wrong = chance.choice(("", "/", "/x", "//", "/partway.v1.UploadService/", "*", "/%00"))
            path = chance.choice((wrong, plain + "x", plain.lower(), "/" + "a" * 15000))
            return OddCall(f"the path {path[:40]!r}", path, (), right)
        case 5:
            flag, length = chance.choice((0, 1, 2, 255)), chance.choice((0, 1, 2**31, 2**32 - 1))
            body = message(_REQUEST, flag, length)
            return OddCall(f"a message of flag {flag}, length {length}", plain, (), body)
        case _:
            path = plain.rpartition("/")[0] + "/" + chance.choice(sorted(METHODS))
            body = chance.choice((b"", right * 2, right[:3], right + b"\0", right * 50))
            return OddCall(f"{len(body)} bytes to {path}", path, (), body)
