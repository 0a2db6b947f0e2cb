"""Policies and backends that are read anew while the service runs.

A file with a fault changes nothing. One without is in force from one moment to the next: backends
that are new are opened, and buckets that are new are checked, before any caller can see them.
Uploads under way keep what their id says.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from partway_server.config.backends import Backend
from partway_server.config.bucket_checks import Place, bucket_problems, places
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.storage.base import Storage
from partway_server.storage.router import StorageRouter

logger = logging.getLogger(__name__)


class Unusable(Exception):
    """Rules that cannot be put in force, for the reasons in `lines`."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class PolicyReloader:
    """Reads the rules again when it is asked to, and puts them in force."""

    def __init__(
        self,
        *,
        rules: Rules,
        read: Callable[[], Rules],
        open_backend: Callable[[Backend], Awaitable[Storage]],
        policies: PolicyRegistry,
        storage: StorageRouter,
    ) -> None:
        self._rules = rules
        self._read = read
        self._open_backend = open_backend
        self._policies = policies
        self._storage = storage

    async def run(self, asked: asyncio.Event, *others: Callable[[], Awaitable[bool]]) -> None:
        """Read them whenever `asked` is set, for ever, and then what `others` read."""
        while True:
            await asked.wait()
            asked.clear()
            for reload in (self.reload, *others):
                try:
                    await reload()
                except Exception:
                    # Whatever it is: a service that serves is not to end for a file.
                    logger.exception("reading them anew failed; what was, stays in force")

    async def reload(self) -> bool:
        """Read them now; whether they are in force. Why not is logged, a line for each problem."""
        try:
            rules = await asyncio.to_thread(self._read)
            await self._put_in_force(rules)
        except (Unusable, PolicyFileError) as error:
            for line in error.lines:
                logger.error("policies: %s", line)
            logger.error("policies: none of it is in force; what was, stays")
            return False
        return True

    async def _put_in_force(self, rules: Rules) -> None:
        opened: dict[str, Storage] = {}
        try:
            for name, backend in rules.backends.items():
                if self._rules.backends.get(name) != backend:
                    opened[name] = await self._open_backend(backend)
            now = {name: opened.get(name) or self._storage.at(name) for name in rules.backends}
            if problems := await bucket_problems(StorageRouter(now), self._unseen(rules, opened)):
                raise Unusable(*problems)
        except BaseException:
            for storage in opened.values():
                await storage.aclose()
            raise
        # Both without a pause: no call sees a policy without its backend.
        self._storage.replace(now)
        self._policies.replace(rules.policies)
        logger.info("policies read anew: %s", changes(self._rules, rules))
        self._rules = rules

    def _unseen(self, rules: Rules, opened: Mapping[str, Storage]) -> list[Place]:
        """Places that are new, or of a backend that is."""
        seen = {p for p in places(self._rules.policies.values()) if p[0] not in opened}
        return [place for place in places(rules.policies.values()) if place not in seen]


def changes(old: Rules, new: Rules) -> str:
    """What is other than before, in words."""
    told = [
        *changed("policy", old.policies, new.policies),
        *changed("backend", old.backends, new.backends),
    ]
    return ", ".join(told) or "nothing has changed"


def changed(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What of a kind is other than before: a few words for each."""
    words = dict.fromkeys(new.keys() - old.keys(), "new")
    words |= dict.fromkeys(old.keys() - new.keys(), "gone")
    words |= {name: "changed" for name in new.keys() & old.keys() if new[name] != old[name]}
    return [f"{kind} {name} {words[name]}" for name in sorted(words)]
