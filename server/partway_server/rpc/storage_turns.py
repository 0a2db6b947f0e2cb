"""The turns at storage of one batch, which counts for what it is: as many calls as it does at once.

The call has a turn, so it always gets on. It has more, up to SIDE_BY_SIDE, as long as its tenant
may have more of all turns and no other call of the tenant waits for one. Those are given back after
each item, so that tenants share storage as they do without batches.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

from partway_server.rpc.admission import Admission

SIDE_BY_SIDE = 16
"""The most items of a batch that use storage at a time: a quarter of the connections to it."""


class _Turn(Enum):
    OF_CALL = "the turn of the call itself"
    FURTHER = "one that was taken for an item"


class StorageTurns:
    """The turns of one call, admitted to use storage, for its items."""

    def __init__(self, admission: Admission, tenant: str) -> None:
        self._admission = admission
        self._tenant = tenant
        self._inside: list[_Turn] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Wait for a turn, and yield whether there was none at once."""
        waited = False
        while (turn := self._try()) is None:
            waited = True
            await self._until_one_ends()
        self._inside.append(turn)
        try:
            yield waited
        finally:
            self._inside.remove(turn)
            if turn is _Turn.FURTHER:
                self._admission.end_turn("storage", self._tenant)
            self._wake()

    def _try(self) -> _Turn | None:
        if _Turn.OF_CALL not in self._inside:
            return _Turn.OF_CALL
        if len(self._inside) < SIDE_BY_SIDE and self._admission.try_turn("storage", self._tenant):
            return _Turn.FURTHER
        return None

    async def _until_one_ends(self) -> None:
        ended = asyncio.get_running_loop().create_future()
        self._waiting.append(ended)
        try:
            await ended
        except asyncio.CancelledError:
            if ended.done() and not ended.cancelled():
                # Woken at the moment in which it was cancelled: another must not sleep on.
                self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting:
            ended = self._waiting.popleft()
            if not ended.done():
                ended.set_result(None)
                return
