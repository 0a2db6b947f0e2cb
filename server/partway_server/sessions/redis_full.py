"""Refuse new uploads while Redis is at its `maxmemory`, and log when that begins and ends."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from redis import exceptions

from partway_server.domain.errors import SessionsFull, SessionsUnavailable

T = TypeVar("T")

_OVER = timedelta(seconds=30)
"""How long no upload may have been refused for Redis to have room again. At its limit, it takes one
now and then, when another is removed."""

logger = logging.getLogger(__name__)


class FullLog:
    """Whether Redis was full when new uploads were stored."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._refused: datetime | None = None

    async def watch(self, inserting: Awaitable[T]) -> T:
        """Await the insertion of a new upload. Raises SessionsFull if Redis has no room for it."""
        try:
            result = await inserting
        except SessionsUnavailable as error:
            if not isinstance(error.__cause__, exceptions.OutOfMemoryError):
                raise
            if self._refused is None:
                logger.error("Redis is at its maxmemory: new uploads are refused, others go on")
            self._refused = self._now()
            raise SessionsFull from error.__cause__
        if self._refused is not None and self._now() >= self._refused + _OVER:
            self._refused = None
            logger.info("Redis has room for new uploads again")
        return result
