"""Turn this replica not ready while its Redis or its storage does not answer.

An answer of either counts, a refusal too: this is about the way there. Redis answers if one of its
masters does, and storage if one of its backends does: while a shard or a backend is away, all
replicas have the same, and each can still serve the others.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta

from partway_server.config.bucket_checks import places
from partway_server.domain.errors import UploadError
from partway_server.workflow.deps import Deps

SILENT = timedelta(seconds=5)
"""How long a dependency may be silent while this replica stays ready."""

PERIOD = timedelta(seconds=1)

_PAUSE = timedelta(seconds=2)
"""A judgement that is later than this found the process stopped, not the others silent."""

REDIS, STORAGE = "redis", "storage"

WATCHED: Mapping[str, Collection[str]] = {
    "none": (),
    "redis": (REDIS,),
    "storage": (STORAGE,),
    "both": (REDIS, STORAGE),
}
"""By PARTWAY_READINESS: what readiness depends on."""

logger = logging.getLogger(__name__)


class Silence:
    """When each dependency was last heard of. Times are seconds of a monotonic clock."""

    def __init__(self, names: Collection[str], now: float) -> None:
        self._heard = dict.fromkeys(names, now)
        self._judged = now

    def heard(self, name: str, now: float) -> None:
        """Note an answer."""
        self._heard[name] = now

    def silent(self, now: float) -> list[str]:
        """Return what has been silent for too long. Call it in each PERIOD.

        Time in which this process did not run, because it was suspended or its loop was held up,
        is no one's silence.
        """
        late = now - self._judged - PERIOD.total_seconds()
        self._judged = now
        if late > _PAUSE.total_seconds():
            self._heard = {name: min(at + late, now) for name, at in self._heard.items()}
        limit = now - SILENT.total_seconds()
        return sorted(name for name, at in self._heard.items() if at <= limit)


class Readiness:
    """Asks what is `watched` for an answer, and calls `report` whenever that changes readiness."""

    def __init__(
        self,
        watched: Collection[str],
        deps: Deps,
        *,
        report: Callable[[bool], Awaitable[None]],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._probes = {REDIS: self._ask_redis, STORAGE: self._ask_storage}
        self._watched = tuple(watched)
        self._deps, self._report = deps, report
        self._now, self._sleep = now, sleep
        self._silence = Silence(watched, now())
        self._silent: list[str] = []

    async def run(self) -> None:
        """Ask and report until cancelled."""
        self._silence = Silence(self._watched, self._now())
        async with asyncio.TaskGroup() as group:
            for name in self._watched:
                group.create_task(self._ask_again_and_again(name))
            while self._watched:
                await self._sleep(PERIOD.total_seconds())
                await self.judge()

    async def ask(self, name: str) -> None:
        """Ask a dependency once, for as long as it may be silent."""
        try:
            async with asyncio.timeout(SILENT.total_seconds()):
                await self._probes[name]()
        except (UploadError, TimeoutError) as error:
            logger.debug("%s does not answer: %s", name, type(error).__name__)
        except Exception:
            # A fault of ours must not end the watch: then no answer would ever count again.
            logger.exception("asking %s for an answer failed", name)

    async def judge(self) -> None:
        """Report and log a change, if there is one."""
        silent, before = self._silence.silent(self._now()), self._silent
        self._silent = silent
        if silent and silent != before:
            seconds, names = SILENT.total_seconds(), " and ".join(silent)
            logger.error("not ready: no answer from %s for %.0f s", names, seconds)
        if before and not silent:
            logger.info("ready again: %s answers", " and ".join(before))
        if bool(silent) != bool(before):
            await self._report(not silent)

    async def _ask_again_and_again(self, name: str) -> None:
        while True:
            await self.ask(name)
            await self._sleep(PERIOD.total_seconds())

    async def _ask_redis(self) -> None:
        await self._deps.sessions.ping()
        self._silence.heard(REDIS, self._now())

    async def _ask_storage(self) -> None:
        # One bucket of each backend.
        buckets = dict(places(self._deps.policies.values()))
        asking = [self._ask_backend(*place) for place in buckets.items()]
        for error in await asyncio.gather(*asking, return_exceptions=True):
            if isinstance(error, BaseException):
                raise error

    async def _ask_backend(self, backend: str, bucket: str) -> None:
        await self._deps.storage.time(backend, bucket)
        self._silence.heard(STORAGE, self._now())
