"""Turns for calls to be worked on: a few at a time, shared fairly among the tenants that wait.

To refuse a call costs gRPC a good part of what it takes to answer one. So a call that has a place
waits for its turn, and is refused only if the turn does not come soon.
"""

import asyncio
from collections import deque

from partway_server.domain.errors import Overloaded
from partway_server.domain.fair_share import FairShare

WAIT_SECONDS = 1.0
"""How long a call waits for its turn: what callers are asked to wait after a refusal."""


class WorkQueue:
    """Turns of one kind of work. The next goes to the tenant that has the fewest."""

    def __init__(self, capacity: int, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._share = FairShare(capacity)
        self._wait_seconds = wait_seconds
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def total(self) -> int:
        """Return how many calls have their turn."""
        return self._share.total

    @property
    def capacity(self) -> int:
        """Return how many calls may have their turn at a time."""
        return self._share.capacity

    @property
    def wanted(self) -> int:
        """Return how many calls have their turn or wait for it."""
        return self._share.total + sum(map(len, self._waiting.values()))

    def resize(self, capacity: int) -> None:
        """Change how many calls may have their turn at a time."""
        self._share.capacity = capacity
        self._hand_out()

    def try_enter(self, tenant: str) -> bool:
        """Begin a turn if none of the tenant waits for one and there is room; return whether."""
        if tenant in self._waiting or not self._share.has_room(tenant):
            return False
        self._share.take(tenant)
        return True

    async def enter(self, tenant: str) -> None:
        """Wait for a turn, which `leave` ends. Raises Overloaded."""
        if self.try_enter(tenant):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds) as limit:
                await turn
        except BaseException:
            # A call that is cancelled too: its turn must not be lost.
            self._withdraw(tenant, turn)
            if limit.expired():
                raise Overloaded from None
            raise

    def leave(self, tenant: str) -> None:
        """End a turn of the tenant."""
        self._share.give_back(tenant)
        self._hand_out()

    def _withdraw(self, tenant: str, turn: asyncio.Future[None]) -> None:
        """Give up a turn that was waited for."""
        if turn.done() and not turn.cancelled():
            # It came at the moment in which the call ended.
            self.leave(tenant)
            return
        turns = self._waiting.get(tenant, deque())
        if turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[tenant]

    def _hand_out(self) -> None:
        while tenant := self._next_tenant():
            turns = self._waiting[tenant]
            turn = turns.popleft()
            # The tenant goes to the end of the line of those that have as few.
            del self._waiting[tenant]
            if turns:
                self._waiting[tenant] = turns
            # A call that is cancelled withdraws its turn a little later.
            if not turn.cancelled():
                self._share.take(tenant)
                turn.set_result(None)

    def _next_tenant(self) -> str:
        """Return the waiting tenant with the fewest turns that has room for one, or ""."""
        if not self._waiting:
            return ""
        tenant = min(self._waiting, key=self._share.used)
        return tenant if self._share.has_room(tenant) else ""
