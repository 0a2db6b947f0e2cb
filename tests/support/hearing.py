"""Waiting for news of rows, which other processes bring."""

from partway_server.sessions.notifications import Wakeup

SECONDS = 20


async def told(wake: Wakeup) -> bool:
    """Wait until it is told of something; whether changes may have been missed."""
    assert await wake.wait(SECONDS), "nothing was told"
    return wake.take()


async def heard(wake: Wakeup) -> None:
    """Wait until the store begins to hear changes, at first or anew."""
    while not await told(wake):
        pass
