"""Watches the files that hold credentials of storage, and puts new ones in force.

So whoever replaces them, by hand or as a container platform does, need not send a signal. The two
halves of a pair may be replaced one after the other: they are taken once they have stayed the same
for a whole period, and only if storage accepts them.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from partway_server.config.backends import Secrets
from partway_server.config.reload import PolicyReloader, Unusable

PERIOD_SECONDS = 10.0

logger = logging.getLogger(__name__)


class CredentialWatch:
    """Looks into the files of a reloader's credentials. A problem is logged once."""

    def __init__(self, reloader: PolicyReloader) -> None:
        self._reloader = reloader
        self._seen: Mapping[str, Secrets] | None = None
        self._problem: tuple[str, ...] = ()

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look in each period, for ever."""
        while True:
            await sleep(PERIOD_SECONDS)
            try:
                await self.look()
            except Exception:
                # Any exception: a running service must not end because of a file.
                logger.exception("cannot look for new credentials; those in force stay")

    async def look(self) -> None:
        """Read the files, and put in force what they held the last time, too."""
        try:
            found = await asyncio.to_thread(self._reloader.read_credentials)
            if found == self._seen:
                await self._reloader.renew(found)
                self._problem = ()
            self._seen = found
        except Unusable as error:
            if error.lines != self._problem:
                for line in error.lines:
                    logger.error("credentials: %s", line)
                logger.error("credentials: not renewed; the previous ones stay in force")
            self._problem = error.lines
