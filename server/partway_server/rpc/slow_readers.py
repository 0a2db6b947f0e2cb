"""Ends calls whose reader takes nothing.

A message that waits to be read keeps its memory, and its place among the calls. After a while:

1. A stream is ended with StreamEnded. Its status waits behind the message, so that a reader that
   wakes up gets both, and may open the stream again; what the stream held here is released.
2. After twice as long the connection is closed. It is spared while another tenant's calls are open
   on it: then it is a gateway's, which must not be cut off because of one of its callers.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from typing import Any

import grpc
from grpc_status import rpc_status

from partway_server.domain import errors
from partway_server.observability.metrics import Metrics
from partway_server.rpc.admission import Admission, Ticket
from partway_server.rpc.error_mapping import status_of

_STREAM_ENDED: Any = rpc_status.to_status(status_of(errors.StreamEnded()))

logger = logging.getLogger(__name__)

Close = Callable[[Collection[str]], int]
"""Closes the connections of these peers, and returns how many there were."""


class SlowReaders:
    """Finds replies that wait too long to be read, and ends their calls."""

    def __init__(
        self, admission: Admission, *, seconds: float, close: Close, metrics: Metrics
    ) -> None:
        self._admission = admission
        self._seconds = seconds
        self._close = close
        self._metrics = metrics
        self._ending: set[asyncio.Task[None]] = set()

    def sweep(self) -> None:
        """End what has waited too long."""
        now = self._admission.now()
        waited = [(now - t.since, t) for t in self._admission.open if t.since is not None]
        for seconds, ticket in waited:
            if seconds >= self._seconds and ticket.end is not None:
                self._end(ticket)
        if hung := [ticket for seconds, ticket in waited if seconds >= 2 * self._seconds]:
            self._close_connections(hung)

    def _end(self, ticket: Ticket) -> None:
        end, ticket.end = ticket.end, None
        assert end is not None
        self._metrics.slow_reader_ended()
        # Not awaited: it lasts until the reader reads, or goes.
        task = asyncio.ensure_future(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _close_connections(self, hung: Collection[Ticket]) -> None:
        tenants: dict[str, set[str]] = {}
        for ticket in self._admission.open:
            tenants.setdefault(ticket.context.peer(), set()).add(ticket.tenant)
        peers = {t.context.peer() for t in hung}
        alone = {peer for peer in peers if len(tenants[peer]) == 1}
        if closed := self._close(alone):
            self._metrics.connections_closed(closed)
            logger.warning("closed %d connections whose peers read no replies", closed)


async def end_stalled(
    ticket: Ticket, responses: AsyncGenerator[Any, None], by_message: bool
) -> None:
    """End a stream whose reader takes nothing: now, but for the message that waits.

    With `by_message` the stream says why itself, once its reader has taken that one.
    """
    if ticket.since is None:
        return
    ticket.ended = True
    await responses.aclose()
    if by_message:
        return
    # Raised however it ends: when the reader has the status, or has gone.
    with suppress(grpc.aio.BaseError):
        await ticket.context.abort_with_status(_STREAM_ENDED)
