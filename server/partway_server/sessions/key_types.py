"""Remove keys of ours that do not have the type they should: nothing of ours can be in them.

Something else wrote to such a key. Left alone, it would make every command that touches it fail,
and with it each batch that the command is part of.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from redis import exceptions

from partway_server.redis_client.client import RedisClient, RedisCommand
from partway_server.redis_client.scripts import load_script
from partway_server.sessions import redis_keys as rows

T = TypeVar("T")

_WRONG_TYPE = "WRONGTYPE"

_SCRIPT = load_script("sessions/scripts/remove_mistyped.lua", allow_oom=True)

logger = logging.getLogger(__name__)


async def retry_mistyped(
    client: RedisClient, keys: Iterable[str], attempt: Callable[[], Awaitable[T]]
) -> T:
    """Run `attempt`, which uses `keys`; if some have the wrong type, remove them and run it again.

    Raises what the attempt raises.
    """
    try:
        return await attempt()
    except exceptions.ResponseError as error:
        if _WRONG_TYPE not in str(error) or not await _remove_mistyped(client, keys):
            raise
    return await attempt()


async def _remove_mistyped(client: RedisClient, keys: Iterable[str]) -> bool:
    """Return whether there were any. Each is one line in the log."""
    by_slot: dict[str, list[str]] = {}
    for key in filter(rows.type_of, keys):
        by_slot.setdefault(rows.tag_of(key), []).append(key)
    answers = await client.run_all([_command(group) for group in by_slot.values()])
    removed = [key.decode() for answer in answers for key in answer]
    for key in removed:
        logger.error("Redis key %s was not a %s and is removed", key, rows.type_of(key))
    return bool(removed)


def _command(keys: list[str]) -> RedisCommand:
    types = [rows.type_of(key) for key in keys]
    words: list[str | bytes | int] = ["EVALSHA", _SCRIPT.sha, len(keys), *keys, "", *types]
    return RedisCommand(keys[0], words, script=_SCRIPT.source)
