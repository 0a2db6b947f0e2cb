"""An upload and its life cycle.

The transitions are defined in one table, `CLAIMS` and `FINISHES`. Every session store enforces that
table, and nothing else, atomically:

- a *claim* moves an upload into a leased state and raises its epoch, at least to the time in
  milliseconds, so that no epoch repeats even if the session record was lost or restored;
- a *finish* moves it out, and counts only with the epoch of its own claim, so that a worker which
  was paused past its lease changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from partway_server.domain.grant import CopySource, Grant


class State(StrEnum):
    """The state of an upload. Expiry is not one: an expired upload is ACTIVE past its deadline."""

    INITIATING = "initiating"
    ACTIVE = "active"
    COMPLETING = "completing"
    COMPLETED = "completed"
    ABORTING = "aborting"
    ABORTED = "aborted"


LEASED = frozenset({State.INITIATING, State.COMPLETING, State.ABORTING})
"""States in which one worker at a time has a lease on the upload."""

CLAIMS: Mapping[State, frozenset[State]] = {
    State.INITIATING: frozenset({State.INITIATING}),
    # From ABORTED only after the object was found, and unless the upload `stays_aborted`.
    State.COMPLETING: frozenset({State.ACTIVE, State.COMPLETING, State.ABORTED}),
    State.ABORTING: frozenset({State.ACTIVE, State.COMPLETING, State.ABORTING, State.ABORTED}),
}
"""For each leased state, the states it can be claimed from. A lease must have ended first."""

FINISHES: Mapping[State, frozenset[State]] = {
    State.INITIATING: frozenset({State.ACTIVE}),
    State.COMPLETING: frozenset({State.ACTIVE, State.COMPLETED, State.ABORTED}),
    State.ABORTING: frozenset({State.COMPLETED, State.ABORTED}),
}
"""For each leased state, the states it can finish in."""


class AbortReason(StrEnum):
    """Why an upload was aborted."""

    REQUESTED = "requested"
    EXPIRED = "expired"
    LOST = "lost"
    OBJECT_EXISTS = "object_exists"
    CONFLICT = "conflict"
    SOURCE_CHANGED = "source_changed"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The finished object, as storage reports it. `etag` is opaque and has no quotes.

    `checksum` is that of the whole object, by the upload's algorithm; b"" if storage reports none.
    `metadata` is the caller's, None if storage was not asked; it is ignored in comparisons.
    """

    size_bytes: int
    etag: str
    version_id: str = ""
    checksum: bytes = b""
    metadata: Mapping[str, str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a Complete names: the digest of its list of parts, and the whole object's checksum.

    Each is b"" if not named. Packed as bytes, so that older session records stay readable.
    """

    parts: bytes = b""
    checksum: bytes = b""

    def pack(self) -> bytes:
        return self.parts + self.checksum

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        digest = 32 if len(packed) >= 32 else 0
        return cls(packed[:digest], packed[digest:])


@dataclass(frozen=True, slots=True)
class ReportedParts:
    """The parts that callers report as sent, unverified, each of its planned size.

    `parts` is a bitmap, as short as possible: part n is bit n - 1, from the lowest bit of the first
    byte. `size_bytes` is the total size of those parts.
    """

    parts: bytes = b""
    size_bytes: int = 0


def epoch_at(now: datetime) -> int:
    """Return the lowest epoch that a claim can have at this time."""
    return int(now.timestamp() * 1000)


def moment_of(epoch: int) -> datetime:
    """Return the latest time at which a claim with this epoch was taken; see `epoch_at`."""
    return datetime.fromtimestamp(epoch / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload: one object being assembled, with its grant and its state.

    `epoch` distinguishes claims and grows with each. `request_digest` distinguishes a repeated
    Initialize from a reused request_id; `manifest`, a packed Manifest, does the same for Complete.
    `metadata` is the caller's, where the grant does not have it: None if the session record that
    had it was lost. `sources` are what a composed upload is copied from, and `delete_sources` says
    to remove them once it is complete; a rebuilt record has neither. `reported` is informational;
    no decision depends on it.
    """

    grant: Grant
    state: State
    epoch: int = 0
    lease_until: datetime | None = None
    abort_reason: AbortReason | None = None
    object: StoredObject | None = None
    fingerprint: str = ""
    request_digest: bytes = b""
    manifest: bytes = b""
    metadata: Mapping[str, str] | None = None
    sources: tuple[CopySource, ...] = ()
    delete_sources: bool = False
    reported: ReportedParts = ReportedParts()

    @property
    def sid(self) -> str:
        return self.grant.sid

    @property
    def whole_checksum(self) -> bytes:
        """Return the whole object's checksum as Initialize or the Complete named it, or b""."""
        return self.grant.whole_checksum or Manifest.unpack(self.manifest).checksum

    def differs_from(self, manifest: Manifest) -> bool:
        """Return whether it was completed with something other than this manifest names."""
        then = Manifest.unpack(self.manifest)
        if manifest.parts and then.parts and manifest.parts != then.parts:
            return True
        known = (self.object.checksum if self.object else b"") or self.whole_checksum
        return bool(manifest.checksum and known) and manifest.checksum != known

    @property
    def public_state(self) -> State:
        """Return the state as callers see it.

        ABORTING with a reason means that the abort was already reported, and is being repeated or
        buried: what was reported as ABORTED stays so.
        """
        if self.state is State.ABORTING and self.abort_reason is not None:
            return State.ABORTED
        return self.state

    @property
    def stays_aborted(self) -> bool:
        """Return whether the abort is final, even if an object of the upload shows up.

        The object of a single PUT that does came after the abort, which looked for it last. Parts
        may have been joined by a Complete that came before it.
        """
        reasons = (AbortReason.REQUESTED, AbortReason.EXPIRED)
        return self.grant.single and self.abort_reason in reasons

    @property
    def composing(self) -> bool:
        """Return whether parts have yet to be copied from sources in the session record."""
        return self.state is State.ACTIVE and bool(self.sources)

    @property
    def changes_by_itself(self) -> bool:
        """Return whether the service is at work on the upload, so that a caller may wait."""
        moving = (State.INITIATING, State.COMPLETING, State.ABORTING)
        return self.composing or self.public_state in moving

    def look_again(self, now: datetime, patience: timedelta) -> datetime:
        """Return when a janitor should look at the upload if it is ACTIVE.

        At its deadline; but composing is work, whose worker keeps postponing the due time. If the
        worker dies, the work is resumed where it stopped.
        """
        end = self.grant.expire_time
        return min(end, now + patience) if self.composing else end

    def leased(self, now: datetime) -> bool:
        """Return whether a worker has a lease on the upload now."""
        return self.state in LEASED and self.lease_until is not None and self.lease_until > now

    def may_claim(self, target: State, now: datetime) -> bool:
        """Return whether the table allows a claim of `target` now."""
        return self.state in CLAIMS[target] and not self.leased(now)

    def claimed(self, target: State, now: datetime, lease_until: datetime) -> Self:
        epoch = max(self.epoch + 1, epoch_at(now))
        return replace(self, state=target, epoch=epoch, lease_until=lease_until)

    def activated(self, multipart_id: str) -> Self:
        # A single PUT has none, and keeps the headers that storage has yet to receive.
        grant = self.grant if self.grant.single else self.grant.with_multipart(multipart_id)
        return self._finished(State.ACTIVE, grant=grant)

    def extended(self, expire_time: datetime) -> Self:
        """Return the upload, ACTIVE, with another deadline, and so with another ID.

        Its epoch does not become the time, as by a claim: a record that is stale stays so.
        """
        grant = replace(self.grant, expire_time=expire_time)
        return replace(self, grant=grant, epoch=self.epoch + 1)

    def reopened(self) -> Self:
        return self._finished(State.ACTIVE, manifest=b"", abort_reason=None)

    def completed(self, stored: StoredObject) -> Self:
        return self._finished(
            State.COMPLETED, object=stored, abort_reason=None, reported=ReportedParts()
        )

    def aborted(self, reason: AbortReason) -> Self:
        return self._finished(State.ABORTED, abort_reason=reason, reported=ReportedParts())

    def _finished(self, state: State, **changes: Any) -> Self:
        if state not in FINISHES.get(self.state, ()):
            raise ValueError(f"{self.state} cannot become {state}")
        return replace(self, state=state, lease_until=None, **changes)
