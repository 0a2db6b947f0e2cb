"""Judge whether a session record is the latest, by which server process answers for its shard.

A server that answers for the first time may have restored an old copy, or be a replica that lagged
behind. So a record is the latest if it was written since the server that answers now was first seen
to answer for its shard. The sooner that is seen, the more records are: so all shards are asked when
the process starts, and every answer that names its server is noted.
"""

from collections.abc import Sequence
from typing import Any

from partway_server.domain.upload import Upload
from partway_server.sessions import redis_keys
from partway_server.sessions.redis_scripts import RedisScripts

_SKEW_MS = 5_000
"""How much the clocks of two servers, or of a server and this process, may differ."""


class Incarnations:
    """By shard, the run ID of the server that answered last, and since when it is known.

    `skewed` says that records may have been written by another clock than that of the server.
    """

    def __init__(self, scripts: RedisScripts, *, skewed: bool) -> None:
        self._scripts = scripts
        self._skew_ms = _SKEW_MS if skewed else 0
        self._known: dict[int, tuple[bytes, int]] = {}

    def is_current(self, sid: str, epoch: int, answer: Sequence[Any]) -> bool:
        """Return whether the record of an upload is certainly the latest.

        `answer` is the run ID of the server that has it, and the time, as scripts return them.
        """
        return epoch >= self._since(redis_keys.shard_of(sid), *answer)

    def judged(self, upload: Upload | None, answer: Sequence[Any]) -> tuple[Upload | None, bool]:
        """Return the upload, and whether its record is certainly the latest, which none is not."""
        return upload, upload is not None and self.is_current(upload.sid, upload.epoch, answer)

    async def ask(self, sid: str, epoch: int) -> bool:
        """Ask which server answers for an upload's record, and judge the record by that."""
        key = redis_keys.row_key(sid)
        return self.is_current(sid, epoch, await self._scripts.run("incarnation", (key,)))

    async def learn(self) -> None:
        """Ask, in one batch for each server, which one answers for each shard."""
        answers = await self._scripts.run_on_each_shard(
            lambda shard: self._scripts.command("incarnation", (redis_keys.due_key(shard),))
        )
        for shard, answer in enumerate(answers):
            self._since(shard, *answer)

    def _since(self, shard: int, run_id: bytes, now: int) -> int:
        known, since = self._known.get(shard, (b"", 0))
        if run_id != known:
            since = now + self._skew_ms
            self._known[shard] = run_id, since
        return since
