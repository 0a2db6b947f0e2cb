"""Compare this machine's clock with those of Redis and storage, at the start and every hour.

Redis decides by its clock which uploads are due; callers' URLs and deadlines are by this machine's,
and storage compares a signature's time with its own. So clocks that differ end things early or
late, long before anything fails. From five minutes on, signatures are dated by storage's clock.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from partway_server.config.bucket_checks import places
from partway_server.domain.clock import SKEW_SECONDS, skew_seconds
from partway_server.domain.errors import UploadError
from partway_server.storage.store_clock import MOST_SKEW, TOLERATED_SKEW
from partway_server.workflow.deps import Deps

PERIOD_SECONDS = 3600.0

_REMEDY = "synchronize both by NTP"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Skew:
    """How far the clock of `whose` is ahead of this machine's."""

    whose: str
    seconds: float
    is_storage: bool

    @property
    def refused(self) -> bool:
        """Return whether storage refuses what this machine signs."""
        return self.is_storage and abs(self.seconds) > MOST_SKEW.total_seconds()

    @property
    def followed(self) -> bool:
        """Return whether signatures are dated by storage's clock."""
        tolerated = abs(self.seconds) <= TOLERATED_SKEW.total_seconds()
        return self.is_storage and not self.refused and not tolerated


def problems(skews: Sequence[Skew]) -> list[str]:
    """Return a line for each clock that differs, and one alone if this machine's is the odd one."""
    wrong = [skew for skew in skews if abs(skew.seconds) > SKEW_SECONDS]
    spread = [skew.seconds for skew in skews]
    if len(skews) > 1 and wrong == list(skews) and max(spread) - min(spread) <= SKEW_SECONDS:
        others = " and ".join(skew.whose for skew in skews)
        return [_line("this machine", -skews[0].seconds, f"those of {others}", skews)]
    return [_line(skew.whose, skew.seconds, "this machine's", [skew]) for skew in wrong]


def _line(whose: str, seconds: float, others: str, skews: Sequence[Skew]) -> str:
    direction = "ahead of" if seconds > 0 else "behind"
    effects = []
    if not all(skew.is_storage for skew in skews):
        effects.append("abandoned and expired uploads are taken over that much early or late")
    if any(skew.followed for skew in skews):
        effects.append("requests and URLs are signed by storage's time")
    elif any(skew.is_storage for skew in skews):
        effects.append("presigned URLs end that much early or late")
    if any(skew.refused for skew in skews):
        effects.append("storage refuses every signature")
    words = ", and ".join(effects)
    return f"the clock of {whose} is {abs(seconds):.0f} s {direction} {others}: {words}; {_REMEDY}"


async def measure(deps: Deps) -> list[Skew]:
    """Return the skew of each clock that can be read now: those of Redis and of each backend."""
    sessions, storage, clock = deps.sessions, deps.storage, deps.clock
    found = []
    before = clock.now()
    try:
        theirs = await sessions.time()
        found.append(Skew("Redis", skew_seconds(theirs, before, clock.now()), False))
    except UploadError as error:
        logger.debug("the clock of Redis cannot be read: %s", error)
    for backend, bucket in dict(places(deps.policies.values())).items():
        before = clock.now()
        try:
            shown = await storage.time(backend, bucket)
        except UploadError as error:
            logger.debug("the clock of storage cannot be read: %s", error)
            continue
        if shown is not None:
            skew = skew_seconds(shown, before, clock.now())
            found.append(Skew(f"storage ({backend})", skew, True))
    return found


class ClockCheck:
    """Measures the clocks and logs those that differ, as errors."""

    def __init__(
        self, deps: Deps, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._deps = deps
        self._sleep = sleep

    async def first(self) -> str:
        """Check once; return why the service cannot start with these clocks, or ""."""
        skews = await measure(self._deps)
        lines = problems(skews)
        if any(skew.refused for skew in skews):
            return "\n".join(lines)
        for line in lines:
            logger.error("%s", line)
        return ""

    async def run(self) -> None:
        """Check every hour until cancelled."""
        while True:
            await self._sleep(PERIOD_SECONDS)
            for line in problems(await measure(self._deps)):
                logger.error("%s", line)
