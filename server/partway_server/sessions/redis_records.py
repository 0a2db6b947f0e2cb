"""Read session records in Redis. One that cannot be read is removed, and counts as lost.

So its owner's next call rebuilds it from the upload ID and storage, like any other that Redis lost.
Only the very content that could not be read is removed: whoever replaced it meanwhile is not
disturbed. What it contained is in no log.

A record in a form of a later version is left alone, and its upload is unavailable here: a process
of that version serves it.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

from redis import exceptions

from partway_server.domain.errors import SessionsUnavailable
from partway_server.domain.upload import Upload
from partway_server.redis_client.client import RedisClient, RedisCommand
from partway_server.sessions import record_encoding, redis_keys
from partway_server.sessions.key_types import retry_mistyped
from partway_server.sessions.redis_scripts import RedisScripts
from partway_server.sessions.script_arguments import unflat

T = TypeVar("T")

logger = logging.getLogger(__name__)


class RedisRecords:
    """The session records of a store, as uploads."""

    def __init__(self, client: RedisClient, scripts: RedisScripts) -> None:
        self._client = client
        self._scripts = scripts

    async def get(self, sid: str) -> Upload | None:
        """Return the record of an upload, None if it is missing."""

        async def read() -> Upload | None:
            row = await self._raw(sid)
            return record_encoding.upload_from(row, sid) if row else None

        return await self._retry_garbled(sid, read)

    async def run(
        self,
        verb: str,
        sid: str,
        keys: Sequence[str],
        *args: str | bytes | int,
        parse: Callable[[Any], T],
    ) -> T:
        """Run a script on a record, and return its answer, parsed. `parse` may raise GarbledRecord.

        If the record cannot be read, by the script or by `parse`, the script is run a second time
        without it. It has not changed anything then, except in the record that was removed.
        """

        async def attempt() -> T:
            return parse(await self._scripts.run(verb, keys, *args))

        return await self._retry_garbled(sid, attempt)

    async def page(self, found: Sequence[tuple[str, Sequence[bytes]]]) -> list[Upload]:
        """Return the uploads of records as a listing found them, by sid, without the garbled."""
        uploads = []
        for sid, row in found:
            try:
                uploads.append(record_encoding.upload_from(unflat(row), sid))
            except record_encoding.GarbledRecord:
                await self._remove_garbled(sid)
            except record_encoding.NewerRecord:
                _report_newer(sid)
        return uploads

    async def _retry_garbled(self, sid: str, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            return await attempt()
        except record_encoding.NewerRecord as error:
            _report_newer(sid)
            raise SessionsUnavailable from error
        except record_encoding.GarbledRecord:
            await self._remove_garbled(sid)
        except exceptions.ResponseError:
            # A script that calculates with what is not a number, or misses a field.
            if not await self._remove_garbled(sid):
                raise
        return await attempt()

    async def _remove_garbled(self, sid: str) -> bool:
        """Remove the record if it cannot be read, and return whether it could not."""
        row = await self._raw(sid)
        try:
            if row:
                record_encoding.upload_from(row, sid)
            return False
        except record_encoding.NewerRecord:
            return False
        except record_encoding.GarbledRecord:
            key = redis_keys.row_key(sid)
        words = chain.from_iterable(row.items())
        if await self._scripts.run("remove_garbled", (key,), sid, *words):
            logger.error("upload %s: its session record, %s, is garbled and is removed", sid, key)
        return True

    async def _raw(self, sid: str) -> Mapping[bytes, bytes]:
        key = redis_keys.row_key(sid)
        command = RedisCommand(key, ("HGETALL", key))
        row: Mapping[bytes, bytes] = await retry_mistyped(
            self._client, (key,), lambda: self._client.run(command)
        )
        return row


def _report_newer(sid: str) -> None:
    logger.warning("upload %s: its session record is of a later version; it is left alone", sid)
