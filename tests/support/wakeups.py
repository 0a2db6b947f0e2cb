"""Waits for notifications of session records, which other processes send."""

from partway_server.sessions.notifications import Wakeup

SECONDS = 20


async def notified(wake: Wakeup) -> bool:
    """Wait until it is notified; return whether changes may have been missed."""
    assert await wake.wait(SECONDS), "nothing was notified"
    return wake.take()


async def heard(wake: Wakeup) -> None:
    """Wait until the store begins to hear changes, at first or again."""
    while not await notified(wake):
        pass
