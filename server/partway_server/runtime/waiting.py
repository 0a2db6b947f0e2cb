"""Wait at the start until Redis and storage can be used, while the service is not ready.

What may come back by itself is waited for, because ending would only be a loop of restarts. What
an operator must change ends the start at once.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

from partway_server.config.bucket_checks import Place, unusable_buckets
from partway_server.domain.errors import SessionsUnavailable, StorageUnavailable
from partway_server.domain.obstacle import StoreUnusable
from partway_server.runtime.wiring import Service
from partway_server.sessions.base import SessionStore
from partway_server.storage.router import StorageRouter

FIRST_SECONDS, MOST_SECONDS = 1.0, 10.0
"""The first pause between two attempts, and the longest."""

QUIET_SECONDS = 60.0
"""How long nothing is logged after a line."""

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[Sequence[StoreUnusable]]]
"""Returns what cannot be used now, in the order to report."""


class StartupError(Exception):
    """The service cannot start. The text has the reasons, one per line, for an operator."""


def raise_if(found: Sequence[StoreUnusable]) -> None:
    """Raise StartupError if anything cannot be used."""
    if found:
        raise StartupError("\n".join(map(str, found)))


async def wait_until_usable(
    check: Check,
    *,
    now: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Return once `check` finds nothing. Raises StartupError for what will not pass."""
    begun, pause, said_at = now(), FIRST_SECONDS, -QUIET_SECONDS
    waited = False
    while found := await check():
        raise_if([each for each in found if not each.obstacle.passes])
        if not waited or now() - said_at >= QUIET_SECONDS:
            said_at = now()
            for each in found:
                logger.warning("not ready, waiting for %s", each)
        waited = True
        await sleep(pause)
        pause = min(2 * pause, MOST_SECONDS)
    if waited:
        logger.info("waited %.0f s for Redis and storage: both answer", now() - begun)


async def wait_for_stores(
    service: Service,
    sessions: SessionStore,
    storage: StorageRouter,
    wanted: Collection[Place],
    *,
    patient: bool,
    clocks: bool,
) -> None:
    """Return once both stores can be relied on and, with `clocks`, their clocks too.

    If not `patient`, do not wait for them. Raises StartupError.
    """

    async def check() -> list[StoreUnusable]:
        found = await asyncio.gather(unusable_sessions(sessions), unusable_buckets(storage, wanted))
        service.server.refuse(SessionsUnavailable if found[0] else StorageUnavailable)
        return [*found[0], *found[1]]

    if patient:
        await wait_until_usable(check, now=time.monotonic)
    else:
        raise_if(await check())
    if clocks and (problem := await service.clocks.first()):
        raise StartupError(problem)


async def unusable_sessions(sessions: SessionStore) -> list[StoreUnusable]:
    """Return why Redis cannot be reached or relied on, nothing if it can."""
    try:
        await sessions.check()
    except StoreUnusable as error:
        return [error]
    return []


async def unless_set(event: asyncio.Event, work: Awaitable[None]) -> bool:
    """Await `work`, and return True; if the event is set first, cancel it and return False."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            return False
        await task
        return True
    finally:
        for each in (task, stopped):
            each.cancel()
        await asyncio.wait({task, stopped})
