"""A relay in front of storage that changes a byte of a body in transit."""

import asyncio
import re
from collections import Counter

from tests.support.forwarding_relay import ForwardingRelay

_PUT = re.compile(rb"PUT (?:\S*[?&]partNumber=(\d+))?")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class CorruptingRelay(ForwardingRelay):
    """Changes bytes of parts.

    `flip` names the parts to change, once each, in the middle of the body; a single PUT is part 1.
    `flipped` counts the changed bytes and `puts` all tries, by part.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._wanted: Counter[int] = Counter()
        self.flipped: Counter[int] = Counter()
        self.puts: Counter[int] = Counter()

    def flip(self, number: int, times: int = 1) -> None:
        """Change a byte in the next `times` PUTs of the part."""
        self._wanted[number] += times

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = bytearray(await reader.readexactly(int(length[1]) if length else 0))
            if put := _PUT.match(head):
                self._change(int(put[1] or 1), body)
            writer.write(head + body)
            await writer.drain()

    def _change(self, number: int, body: bytearray) -> None:
        self.puts[number] += 1
        if self._wanted[number] > 0:
            self._wanted[number] -= 1
            self.flipped[number] += 1
            body[len(body) // 2] ^= 0x10
