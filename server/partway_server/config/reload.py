"""Reloads policies, backends and limits while the service runs.

A file with a problem changes nothing. One without takes effect as a whole: new backends are opened,
and new buckets checked, before any caller can see them. Uploads in flight keep what their ID says.
A backend is new, too, if a file holds other credentials for it than before; `credential_watch`
notices that by itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from partway_server.config.backends import Backend, Secrets
from partway_server.config.bucket_checks import Place, bucket_problems, places
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.quota import LimitRegistry
from partway_server.storage.base import Storage
from partway_server.storage.router import StorageRouter

logger = logging.getLogger(__name__)


class Unusable(Exception):
    """Rules that cannot take effect, for the reasons in `lines`."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class PolicyReloader:
    """Reads the rules again when asked to, and puts them in force.

    `secrets` are the credentials in force, by backend.
    """

    def __init__(
        self,
        *,
        rules: Rules,
        secrets: Mapping[str, Secrets],
        read: Callable[[], Awaitable[Rules]],
        read_secrets: Callable[[Backend], Secrets],
        open_backend: Callable[[Backend, Secrets], Awaitable[Storage]],
        policies: PolicyRegistry,
        limits: LimitRegistry,
        storage: StorageRouter,
    ) -> None:
        self._rules = rules
        self._secrets = secrets
        self._read = read
        self._read_secrets = read_secrets
        self._open_backend = open_backend
        self._policies = policies
        self._limits = limits
        self._storage = storage
        # One at a time: a signal may come while new credentials are being checked.
        self._changing = asyncio.Lock()

    async def run(self, asked: asyncio.Event, *others: Callable[[], Awaitable[bool]]) -> None:
        """Reload whenever `asked` is set, for ever, and then call `others`."""
        while True:
            await asked.wait()
            asked.clear()
            for reload in (self.reload, *others):
                try:
                    await reload()
                except Exception:
                    # Any exception: a running service must not end because of a file.
                    logger.exception("the reload failed; what was in force stays")

    async def reload(self) -> bool:
        """Reload now and return whether the rules took effect; log each problem as a line."""
        try:
            await self.apply()
        except (Unusable, PolicyFileError) as error:
            for line in error.lines:
                logger.error("policies: %s", line)
            logger.error("policies: not reloaded; the previous policies stay in force")
            return False
        return True

    async def apply(self) -> None:
        """Read the rules and put them in force. Raises Unusable, or PolicyFileError."""
        async with self._changing:
            rules = await self._read()
            secrets = await asyncio.to_thread(self._secrets_of, rules)
            await self._put_in_force(rules, secrets)

    def read_credentials(self) -> dict[str, Secrets]:
        """Return the credentials that files hold now, by backend. Raises Unusable."""
        return self._secrets_of(self._rules)

    async def renew(self, secrets: Mapping[str, Secrets]) -> None:
        """Put these credentials in force, if they are not, and nothing else. Raises Unusable."""
        async with self._changing:
            if secrets.keys() == self._secrets.keys() and secrets != self._secrets:
                await self._put_in_force(self._rules, secrets)

    def _secrets_of(self, rules: Rules) -> dict[str, Secrets]:
        return {name: self._read_secrets(each) for name, each in rules.backends.items()}

    async def _put_in_force(self, rules: Rules, secrets: Mapping[str, Secrets]) -> None:
        opened: dict[str, Storage] = {}
        try:
            for name, backend in rules.backends.items():
                before = self._rules.backends.get(name), self._secrets.get(name)
                if before != (backend, secrets[name]):
                    opened[name] = await self._open_backend(backend, secrets[name])
            now = {name: opened.get(name) or self._storage.at(name) for name in rules.backends}
            if problems := await bucket_problems(StorageRouter(now), self._unseen(rules, opened)):
                raise Unusable(*problems)
        except BaseException:
            for storage in opened.values():
                await storage.aclose()
            raise
        # No await between the two: no call sees a policy without its backend.
        self._storage.replace(now)
        self._policies.replace(rules.policies)
        self._limits.replace(rules.limits)
        words = [*changes(self._rules, rules), *_renewed(self._secrets, secrets)]
        logger.info("policies reloaded: %s", ", ".join(words) or "nothing has changed")
        self._rules, self._secrets = rules, secrets

    def _unseen(self, rules: Rules, opened: Mapping[str, Storage]) -> list[Place]:
        """Return the places that are new, or whose backend is."""
        seen = {p for p in places(self._rules.policies.values()) if p[0] not in opened}
        return [place for place in places(rules.policies.values()) if place not in seen]


def changes(old: Rules, new: Rules) -> list[str]:
    """Return which policies and backends differ: a few words for each."""
    return [
        *changed("policy", old.policies, new.policies),
        *changed("backend", old.backends, new.backends),
        *changed("tenant", old.limits, new.limits),
    ]


def _renewed(old: Mapping[str, Secrets], new: Mapping[str, Secrets]) -> list[str]:
    names = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    return [f"credentials of backend {name} changed" for name in names]


def changed(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return which of a kind differ: a few words for each."""
    words = dict.fromkeys(new.keys() - old.keys(), "new")
    words |= dict.fromkeys(old.keys() - new.keys(), "gone")
    words |= {name: "changed" for name in new.keys() & old.keys() if new[name] != old[name]}
    return [f"{kind} {name} {words[name]}" for name in sorted(words)]
