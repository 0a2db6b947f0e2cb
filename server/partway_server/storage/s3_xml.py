"""Read S3's XML as it arrives, in pieces, with limits on what it may hold.

It comes from the network: there are no entities and no DTD in it, and its depth, the length of its
texts and its size are limited. Elements are known by their local names, since stores differ in
prefixes and in whether there is a namespace at all.
"""

from collections.abc import Callable
from typing import Any
from xml.parsers import expat

PIECE_BYTES = 64 * 1024
"""The most to feed at once: what is parsed in well under 5 ms."""

_DEPTH = 12
_TEXT_CHARS = 64 * 1024
_SPACE = b" \t\r\n"


class Malformed(Exception):
    """Not a whole answer to the call: another document, half of one, or one beyond the limits."""


class XmlDocument:
    """A document that is fed in pieces.

    `fields` are the texts of the root's children by local name. Children called `item` are given to
    `take` instead, each as the texts of its own children.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        item: str = "",
        take: Callable[[dict[str, str]], None] = lambda fields: None,
    ) -> None:
        self.root = ""
        self.fields: dict[str, str] = {}
        self._left = max_bytes
        self._item = item
        self._take = take
        self._begun = False
        self._depth = 0
        self._in_item = False
        self._of_item: dict[str, str] = {}
        self._text: list[str] = []
        self._chars = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._doctype

    def feed(self, piece: bytes) -> None:
        """Parse the next bytes, at most PIECE_BYTES of them. Raises Malformed."""
        self._left -= len(piece)
        if self._left < 0:
            raise Malformed("too long")
        if not self._begun:
            # Some stores send spaces while they work, even before the declaration.
            piece = piece.lstrip(_SPACE)
            self._begun = bool(piece)
        if piece:
            self._parse(piece, end=False)

    def close(self) -> None:
        """End the document. Raises Malformed if it is not whole."""
        self._parse(b"", end=True)

    def _parse(self, piece: bytes, *, end: bool) -> None:
        try:
            self._parser.Parse(piece, end)
        except (expat.ExpatError, LookupError, ValueError) as exc:
            raise Malformed("invalid XML") from exc

    def _doctype(self, *declared: Any) -> None:
        raise Malformed("a DTD")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._text.clear()
        self._chars = 0
        if self._depth <= 2:
            local = name.rpartition(":")[2]
            if self._depth == 1:
                self.root = local
            else:
                self._in_item = local == self._item
        elif self._depth > _DEPTH:
            raise Malformed("too deep")

    def _characters(self, text: str) -> None:
        self._chars += len(text)
        if self._chars > _TEXT_CHARS:
            raise Malformed("a text is too long")
        self._text.append(text)

    def _end(self, name: str) -> None:
        depth = self._depth
        self._depth = depth - 1
        if depth == 3 and self._in_item:
            self._of_item[name.rpartition(":")[2]] = "".join(self._text)
        elif depth == 2:
            if self._in_item:
                fields, self._of_item = self._of_item, {}
                self._take(fields)
            else:
                self.fields[name.rpartition(":")[2]] = "".join(self._text)
        self._text.clear()
        self._chars = 0
