"""List the uploads of a caller, over all shards."""

from collections.abc import Sequence
from typing import Any

from partway_server.domain.grant import Caller
from partway_server.domain.requests import UploadFilter
from partway_server.domain.upload import Upload
from partway_server.redis_client.client import RedisCommand
from partway_server.sessions import redis_keys
from partway_server.sessions.base import Cursor
from partway_server.sessions.redis_records import RedisRecords
from partway_server.sessions.redis_scripts import RedisScripts

_SCAN = 100
"""How many records of a shard one page examines at most."""


class RedisListing:
    """The records of a store by caller, newest first, a page at a time."""

    def __init__(self, scripts: RedisScripts, records: RedisRecords) -> None:
        self._scripts = scripts
        self._records = records

    async def page(
        self, caller: Caller, wanted: UploadFilter, before: Cursor | None, limit: int
    ) -> tuple[Sequence[Upload], Cursor | None]:
        """Return at most `limit` uploads, and where the next page begins, None at the end."""
        lowest, highest = redis_keys.bounds(before, wanted.created_from, wanted.created_before)
        # Sids are random: a shard holds about one in 64 of a page, hardly ever eight more.
        share = limit // redis_keys.SHARDS + 8

        def ask(shard: int) -> RedisCommand:
            args = (redis_keys.row_prefix(shard), lowest, highest, share, _SCAN)
            chosen = (wanted.state or "", wanted.fingerprint, wanted.policy)
            return self._scripts.command(
                "list_own", (redis_keys.own_key(shard, caller),), *args, *chosen
            )

        found, cursor = _page(await self._scripts.run_on_each_shard(ask), limit)
        page = await self._records.page(found)
        # Records of an older version do not name their policy, so scripts let them pass.
        return [u for u in page if wanted.policy in ("", u.grant.policy)], cursor


def _page(
    answers: Sequence[Any], limit: int
) -> tuple[list[tuple[str, Sequence[bytes]]], Cursor | None]:
    """Return the newest of what the shards found, by sid, and where the next page begins.

    A shard that was not read to its end says nothing about what is older than where it stopped, so
    what the others found beyond that point is left for the next page.
    """
    horizon = max(stopped for stopped, _ in answers)
    found = [entry for _, entries in answers for entry in entries if entry[0] >= horizon]
    found.sort(key=lambda entry: entry[0], reverse=True)
    if len(found) > limit:
        horizon = found[limit - 1][0]
    cursor = redis_keys.cursor_at(horizon.decode()) if horizon else None
    return [(redis_keys.cursor_at(place.decode()).sid, row) for place, row in found[:limit]], cursor
