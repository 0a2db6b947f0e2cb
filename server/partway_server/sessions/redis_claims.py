"""Claim uploads in Redis, and renew claims."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from partway_server.domain.grant import Grant
from partway_server.domain.upload import CLAIMS, LEASED, State, Upload
from partway_server.sessions import record_encoding, redis_keys
from partway_server.sessions.base import AFTER_LEASE
from partway_server.sessions.redis_incarnations import Incarnations
from partway_server.sessions.redis_records import RedisRecords
from partway_server.sessions.script_arguments import span_ms, words


class RedisClaims:
    """The claims of a store. `random_bytes` makes the marks of the changes."""

    def __init__(
        self,
        records: RedisRecords,
        incarnations: Incarnations,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._records = records
        self._incarnations = incarnations
        self._random_bytes = random_bytes

    async def of_seen(
        self,
        sid: str,
        target: State,
        lease: timedelta,
        manifest: bytes | None,
        seen: Upload | None,
    ) -> tuple[Upload | None, bool]:
        """Claim an upload that is as the caller saw it: see `SessionStore.claim`."""
        known = *(record_encoding.sight(seen) if seen else ("", "", "")), "", ""
        sources = CLAIMS.get(target, frozenset())
        claimed, row, _ = await self._claim(sid, target, sources, lease, manifest, known)
        return row, claimed

    async def of_active(
        self, grant: Grant, target: State, lease: timedelta, manifest: bytes | None
    ) -> tuple[Upload | None, bool, bool]:
        """Claim an upload that was not looked at: see `SessionStore.claim_active`."""
        # Only of one PUT does it matter whether the record was current, and to ask takes Redis
        # about as long as the claim.
        known = "", "", "", grant.pack(), "1" if grant.single else ""
        sources = CLAIMS.get(target, frozenset()) & {State.ACTIVE}
        claimed, row, before = await self._claim(grant.sid, target, sources, lease, manifest, known)
        if not before:
            return row, claimed, False
        epoch, *server = before
        return row, claimed, self._incarnations.is_current(grant.sid, int(epoch), server)

    async def renew(self, sid: str, epoch: int, lease: timedelta) -> bool:
        """Extend the lease of a claim: see `SessionStore.renew`."""
        return await self._records.run(
            "renew",
            sid,
            redis_keys.claim_keys(sid),
            self._random_bytes(8),
            sid,
            epoch,
            span_ms(lease),
            span_ms(AFTER_LEASE),
            words(LEASED),
            parse=bool,
        )

    async def _claim(
        self,
        sid: str,
        target: State,
        sources: Iterable[State],
        lease: timedelta,
        manifest: bytes | None,
        known: Sequence[str | bytes | int],
    ) -> tuple[bool, Upload | None, Sequence[Any]]:
        """Run the script, with what the caller knows of the record; return its answer, parsed."""
        return await self._records.run(
            "claim",
            sid,
            redis_keys.claim_keys(sid),
            self._random_bytes(8),
            sid,
            target,
            span_ms(lease),
            span_ms(AFTER_LEASE),
            b"" if manifest is None else b"=" + manifest,
            words(sources),
            words(LEASED),
            *known,
            parse=lambda answer: (
                bool(answer[0]),
                record_encoding.returned_if_any(sid, answer[1]),
                answer[2:],
            ),
        )
