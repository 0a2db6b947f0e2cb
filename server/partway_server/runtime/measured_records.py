"""The capability records of backends of the kind `auto`: measured when the service starts.

A measurement is kept in Redis for a day, for the other replicas and the next starts. One that left
something open is used and not kept.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from partway_server.config.backends import Backend
from partway_server.config.capability_file import CapabilityFileError, parse_record
from partway_server.config.load import read_policy_file
from partway_server.config.policy_file import Rules
from partway_server.config.reload import Unusable
from partway_server.config.settings import Settings
from partway_server.domain.errors import SessionsUnavailable
from partway_server.redis_client.topology import connect
from partway_server.sessions.redis_measurements import RedisMeasurements
from partway_server.storage.capabilities import Capabilities

_DOUBTFUL = "backend %s: could not be found out this time, and so is not used: %s"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was measured of a backend: a capability record as TOML.

    `doubtful` are the capabilities that could not be found out, which the record counts as absent.
    `problems` are lines that say why nothing was measured; then there is no record.
    """

    text: str = ""
    doubtful: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


Store = tuple[str, ...]
"""What identifies a store and its buckets: what was measured of it is true of it."""

Measure = Callable[[Settings, Collection[str]], Awaitable[Mapping[str, Measurement]]]
"""Measures the backends of these names."""


class MeasuredRecords:
    """The records that are known. Without `measure`, only those that Redis has."""

    def __init__(self, settings: Settings, measure: Measure | None) -> None:
        self._settings = settings
        self._measure = measure
        self._known: dict[Store, Capabilities] = {}

    async def read_rules(self) -> Rules:
        """Return the rules that the settings name, with the records that their backends need.

        Raises PolicyFileError, and Unusable for a backend that cannot be measured.
        """
        rules = await asyncio.to_thread(read_policy_file, self._settings)
        stores = dict(_unmeasured(rules))
        if not stores:
            return rules
        await self._find({n: store for n, store in stores.items() if store not in self._known})
        records = {n: self._known[store] for n, store in stores.items() if store in self._known}
        return await asyncio.to_thread(read_policy_file, self._settings, records)

    async def _find(self, stores: Mapping[str, Store]) -> None:
        """Take the records of these stores from Redis, or measure them and keep them there."""
        kept = RedisMeasurements(connect(self._settings.redis_url))
        try:
            missing = {
                name: store
                for name, store in stores.items()
                if not self._take(name, store, await kept.find(store))
            }
            if missing and self._measure is not None:
                found = await self._measure(self._settings, missing)
                if problems := [line for name in missing for line in found[name].problems]:
                    raise Unusable(*problems)
                for name, store in missing.items():
                    self._take(name, store, found[name].text)
                    if doubtful := ", ".join(found[name].doubtful):
                        logger.warning(_DOUBTFUL, name, doubtful)
                    else:
                        await kept.keep(store, found[name].text)
        except SessionsUnavailable as error:
            raise Unusable("PARTWAY_REDIS_URL: Redis does not answer") from error
        finally:
            await kept.aclose()

    def _take(self, name: str, store: Store, text: str) -> bool:
        """Use a record, if it is one, and return whether it is."""
        if not text:
            return False
        try:
            record = parse_record(text.encode(), name)
        except CapabilityFileError as error:
            # Another version may have other fields, or something else wrote there.
            logger.warning("backend %s: what Redis has of it is not used: %s", name, error)
            return False
        logger.info("backend %s is used as it was found: %s", name, record.source)
        self._known[store] = record
        return True


def _unmeasured(rules: Rules) -> Iterator[tuple[str, Store]]:
    """Yield the backends that policies use and whose record must be measured."""
    used = {policy.backend for policy in rules.policies.values()}
    for name, backend in rules.backends.items():
        if name in used and backend.is_unmeasured:
            yield name, _store(rules, backend)


def _store(rules: Rules, backend: Backend) -> Store:
    buckets = {p.bucket for p in rules.policies.values() if p.backend == backend.name}
    where = (backend.endpoint, backend.public_endpoint, backend.region, str(backend.in_path))
    return (*where, *sorted(buckets))
