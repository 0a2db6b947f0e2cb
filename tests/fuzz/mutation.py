"""Changes bytes at random: what a broken or malicious encoder may send."""

import random

_VARINTS = [
    b"\x00",
    b"\x7f",
    b"\xff\xff\xff\xff\x0f",
    b"\xff" * 9 + b"\x01",
    b"\xff" * 10,
    b"\x80" * 12,
]
_TAGS = [bytes([number << 3 | kind]) for number in (1, 2, 3, 7, 15) for kind in range(8)]


def mutated(chance: random.Random, data: bytes, other: bytes = b"") -> bytes:
    """Return `data` with one to four changes; `other` may be spliced into it."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = _changed(chance, data, other)
    return data


def _changed(chance: random.Random, data: bytes, other: bytes) -> bytes:
    a, b = sorted(chance.randint(0, len(data)) for _ in range(2))
    match chance.randrange(8):
        case 0 if data:
            at = chance.randrange(len(data))
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:a]
        case 2:
            return data[:a] + data[b:]
        case 3:
            return data[:b] + data[a:b] * chance.choice((1, 1, 2, 50)) + data[b:]
        case 4:
            return data[:a] + chance.choice(_VARINTS) + data[b:]
        case 5:
            return data[:a] + chance.choice(_TAGS) + chance.choice(_VARINTS) + data[a:]
        case 6:
            return data[:a] + other[chance.randint(0, len(other)) :]
        case _:
            return data[:a] + chance.randbytes(chance.randint(1, 16)) + data[a:]
