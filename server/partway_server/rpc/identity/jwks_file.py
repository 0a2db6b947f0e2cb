"""Reads the signing keys of an issuer from a file, and again whenever it changes."""

import logging
import os
from datetime import datetime, timedelta
from pathlib import Path

from partway_server.domain.clock import Clock
from partway_server.rpc.identity.jwks import KeysUnavailable, UnknownKey
from partway_server.rpc.identity.jwks_fetch import MAX_BYTES
from partway_server.rpc.identity.key_set import InvalidKeySet, KeySet, parse_key_set

_LOOK_EVERY = timedelta(seconds=1)

logger = logging.getLogger(__name__)

Mark = tuple[int, int, int]
"""What changes when a file is written or replaced."""


class FileKeys:
    """The keys of a JWKS file. A file with a problem changes nothing but the log.

    Raises OSError or InvalidKeySet if it cannot be used at the start. It is read in the event loop:
    it is local, and small.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._mark = _mark(path)
        self._keys = _read(path)
        self._looked: datetime = clock.now()

    def current(self) -> KeySet | None:
        now = self._clock.now()
        if not timedelta() <= now - self._looked < _LOOK_EVERY:
            self._looked = now
            self._read_if_changed()
        return self._keys

    async def holding(self, kid: str) -> KeySet:
        keys = self.current()
        if keys is None:
            raise KeysUnavailable
        if not keys.knows(kid):
            raise UnknownKey
        return keys

    async def reload(self) -> bool:
        return self._read_again()

    def _read_if_changed(self) -> None:
        try:
            mark = _mark(self._path)
        except OSError:
            # It is being replaced, or has been removed: the keys stay, and a reload reports it.
            return
        if mark != self._mark:
            self._mark = mark
            self._read_again()

    def _read_again(self) -> bool:
        try:
            keys = _read(self._path)
        except (OSError, InvalidKeySet) as error:
            words = error.strerror if isinstance(error, OSError) else error
            logger.error("PARTWAY_JWT_JWKS_FILE: not reloaded: %s; the previous keys stay", words)
            return False
        if keys.body != self._keys.body:
            self._keys = keys
            logger.info("signing keys reloaded: %d in use", len(keys))
        return True


def _mark(path: Path) -> Mark:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> KeySet:
    with path.open("rb") as file:
        body = file.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise InvalidKeySet(f"it is larger than {MAX_BYTES} bytes")
    return parse_key_set(body)
