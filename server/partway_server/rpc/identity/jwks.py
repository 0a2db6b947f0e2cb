"""Keeps the signing keys of an issuer at hand: fetched once for all callers, and reused for a day.

- Keys are fetched again in the background once they are TTL old, and used until they are STALE old
  if that fails: no caller notices a short outage of the issuer.
- A token with an unknown key ID causes a fetch, because issuers add keys; but all of them together
  cause no more than one every MIN_INTERVAL. A key ID that a fetch did not bring is not looked for
  again within UNKNOWN.
- There is at most one fetch at a time, and all callers who need it wait for the same one.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from partway_server.domain.clock import Clock
from partway_server.rpc.identity.key_set import InvalidKeySet, KeySet, parse_key_set

TTL = timedelta(minutes=10)
STALE = timedelta(hours=24)
UNKNOWN = timedelta(seconds=30)
MIN_INTERVAL = timedelta(seconds=10)
MAX_UNKNOWN = 1024

logger = logging.getLogger(__name__)


class UnknownKey(Exception):
    """The issuer has no key of that ID."""


class KeysUnavailable(Exception):
    """The keys, or the one key that is missing, cannot be fetched at the moment."""


class FetchFailed(Exception):
    """A key set could not be fetched. The reason is for operators, and has no URL in it."""


class KeySource(Protocol):
    """The keys of an issuer."""

    def current(self) -> KeySet | None:
        """Return the keys in force, None if there are none at the moment."""
        ...

    async def holding(self, kid: str) -> KeySet:
        """Return keys that include `kid`; "" asks for any. Raises UnknownKey, KeysUnavailable."""
        ...

    async def reload(self) -> bool:
        """Read the keys again now, and return whether that worked."""
        ...


class RemoteKeys:
    """Keys that `fetch` returns as a JWKS. It raises FetchFailed."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._fetched: datetime | None = None
        self._began: datetime | None = None
        self._failing = False
        self._fetching: asyncio.Task[None] | None = None
        self._unknown: OrderedDict[str, datetime] = OrderedDict()

    def current(self) -> KeySet | None:
        if self._fetched is None:
            return None
        age = self._clock.now() - self._fetched
        if age > TTL:
            self._start_fetch()
        return self._keys if age <= STALE else None

    async def holding(self, kid: str) -> KeySet:
        keys = self.current()
        if keys is not None and keys.knows(kid):
            return keys
        if keys is not None and self._is_unknown(kid):
            raise UnknownKey
        fetching = self._start_fetch()
        if fetching is not None:
            # Shielded: a caller that gives up must not end what others wait for.
            await asyncio.shield(fetching)
        keys = self.current()
        if keys is not None and keys.knows(kid):
            return keys
        if keys is None or self._failing:
            raise KeysUnavailable
        if fetching is not None:
            self._remember_unknown(kid)
        raise UnknownKey

    async def reload(self) -> bool:
        self._began = None
        self._unknown.clear()
        fetching = self._start_fetch()
        if fetching is not None:
            await asyncio.shield(fetching)
        return not self._failing

    def _start_fetch(self) -> asyncio.Task[None] | None:
        """Return the fetch in flight, or begin one; None if the last began too recently."""
        if self._fetching is None:
            now = self._clock.now()
            # Below zero if the clock was set back: that must not stop fetches until it catches up.
            if self._began is not None and timedelta() <= now - self._began < MIN_INTERVAL:
                return None
            self._began = now
            self._fetching = asyncio.create_task(self._fetch_once())
        return self._fetching

    async def _fetch_once(self) -> None:
        try:
            keys = parse_key_set(await self._fetch())
        except (FetchFailed, InvalidKeySet) as error:
            self._note_failure(str(error))
        except Exception as error:
            # Nothing that a fetch may raise can be left: callers wait for it.
            self._note_failure(type(error).__name__)
        else:
            self._put_in_force(keys)
        finally:
            self._fetching = None

    def _put_in_force(self, keys: KeySet) -> None:
        if self._keys is None or self._keys.body != keys.body:
            # Otherwise the same object stays, and with it all tokens that it verified.
            self._keys = keys
            logger.info("signing keys fetched: %d in use", len(keys))
        elif self._failing:
            logger.info("signing keys can be fetched again")
        self._fetched = self._clock.now()
        self._failing = False

    def _note_failure(self, why: str) -> None:
        if not self._failing:
            logger.warning(
                "signing keys cannot be fetched from PARTWAY_JWT_JWKS_URL: %s; %s",
                why,
                "those that are known stay in use for a day"
                if self._keys
                else "until they can, callers with a JWT get UNAVAILABLE",
            )
        self._failing = True

    def _is_unknown(self, kid: str) -> bool:
        seen = self._unknown.get(kid)
        return seen is not None and timedelta() <= self._clock.now() - seen < UNKNOWN

    def _remember_unknown(self, kid: str) -> None:
        self._unknown[kid] = self._clock.now()
        self._unknown.move_to_end(kid)
        if len(self._unknown) > MAX_UNKNOWN:
            self._unknown.popitem(last=False)
