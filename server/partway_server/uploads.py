"""The nouns: who calls, what an upload_id grants, and an Upload with its life.

The transitions stand in one table, `CLAIMS` and `FINISHES`. Every session store enforces that
table, and nothing else, atomically:

- a *claim* takes an Upload into a leased state and raises its epoch, at least to the time in
  milliseconds, so that no epoch comes twice even if the row was lost or put back from a copy;
- a *finish* takes it out, and counts only with the epoch of the claim it belongs to, so that a
  worker which was paused past its lease changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

import msgpack

from partway_server.plan import Plan


class State(StrEnum):
    """Where an Upload stands. Expiry is no state: it is ACTIVE past its deadline."""

    INITIATING = "initiating"
    ACTIVE = "active"
    COMPLETING = "completing"
    COMPLETED = "completed"
    ABORTING = "aborting"
    ABORTED = "aborted"


LEASED = frozenset({State.INITIATING, State.COMPLETING, State.ABORTING})
"""States in which one worker at a time holds the Upload."""

CLAIMS: Mapping[State, frozenset[State]] = {
    State.INITIATING: frozenset({State.INITIATING}),
    # From ABORTED only after the object was seen: a late proof wins over a tombstone.
    State.COMPLETING: frozenset({State.ACTIVE, State.COMPLETING, State.ABORTED}),
    State.ABORTING: frozenset(
        {State.INITIATING, State.ACTIVE, State.COMPLETING, State.ABORTING, State.ABORTED}
    ),
}
"""Into a leased state: from which states. A leased state yields only once its lease is over."""

FINISHES: Mapping[State, frozenset[State]] = {
    # COMPLETED where the row is an old copy of one that went on.
    State.INITIATING: frozenset({State.ACTIVE, State.COMPLETED}),
    State.COMPLETING: frozenset({State.ACTIVE, State.COMPLETED, State.ABORTED}),
    State.ABORTING: frozenset({State.COMPLETED, State.ABORTED}),
}
"""Out of a leased state: into which states."""


class AbortReason(StrEnum):
    """Why an Upload was aborted."""

    REQUESTED = "requested"
    EXPIRED = "expired"
    LOST = "lost"
    OBJECT_EXISTS = "object_exists"
    CONFLICT = "conflict"


class Checksum(StrEnum):
    """How the checksum of a part is computed."""

    NONE = "none"
    CRC32C = "crc32c"
    SHA256 = "sha256"
    CRC64NVME = "crc64nvme"

    @property
    def size_bytes(self) -> int:
        return {"none": 0, "crc32c": 4, "sha256": 32, "crc64nvme": 8}[self.value]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the account, and the user or service inside it."""

    tenant: str
    subject: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What an upload_id says: everything that a caller has no say in after Initialize.

    `single` Uploads are one PUT of the whole object; they have no multipart_id, and carry the
    `metadata` that storage has not been told yet. Times are whole seconds.
    """

    sid: str
    caller: Caller
    policy: str
    backend: str
    bucket: str
    key: str
    single: bool
    plan: Plan
    content_type: str
    checksum: Checksum
    write_token: str
    create_time: datetime
    expire_time: datetime
    multipart_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def pack(self) -> bytes:
        """A compact form, for sealing and for session rows."""
        packed: bytes = msgpack.packb(
            (
                bytes.fromhex(self.sid),
                self.caller.tenant,
                self.caller.subject,
                self.policy,
                self.backend,
                self.bucket,
                self.key,
                self.single,
                self.plan.size_bytes,
                self.plan.part_size_bytes,
                self.content_type,
                self.checksum.value,
                bytes.fromhex(self.write_token),
                int(self.create_time.timestamp()),
                int(self.expire_time.timestamp()),
                self.multipart_id,
                dict(self.metadata),
            )
        )
        return packed

    @property
    def opened(self) -> bool:
        """Whether storage was told of the Upload; until then its id is in nobody's hands."""
        return self.single or bool(self.multipart_id)

    def with_multipart(self, multipart_id: str) -> Self:
        return replace(self, multipart_id=multipart_id)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """What `pack` packed. Raises ValueError if it is anything else."""
        fields: list[Any] = msgpack.unpackb(packed)
        sid, tenant, subject, policy, backend, bucket, key, single, size, part_size = fields[:10]
        content_type, checksum, token, created, expires, multipart_id, metadata = fields[10:]
        return cls(
            sid=sid.hex(),
            caller=Caller(tenant, subject),
            policy=policy,
            backend=backend,
            bucket=bucket,
            key=key,
            single=single,
            plan=Plan(size, part_size),
            content_type=content_type,
            checksum=Checksum(checksum),
            write_token=token.hex(),
            create_time=datetime.fromtimestamp(created, UTC),
            expire_time=datetime.fromtimestamp(expires, UTC),
            multipart_id=multipart_id,
            metadata=metadata,
        )


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The finished object, as storage says. `etag` is opaque and has no quotes."""

    size_bytes: int
    etag: str
    version_id: str = ""


def epoch_at(now: datetime) -> int:
    """The least epoch of a claim at this time."""
    return int(now.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Upload:
    """One object being assembled: what its id grants, and where it stands.

    `epoch` tells the claims apart, and grows from each to the next. `request_digest` tells a
    repeated Initialize from a reused request_id; `manifest` does the same for the parts that a
    Complete names.
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

    @property
    def sid(self) -> str:
        return self.grant.sid

    def leased(self, now: datetime) -> bool:
        """Whether a worker holds the Upload now."""
        return self.state in LEASED and self.lease_until is not None and self.lease_until > now

    def may_claim(self, target: State, now: datetime) -> bool:
        """Whether the table lets `target` be claimed now."""
        return self.state in CLAIMS[target] and not self.leased(now)

    def claimed(self, target: State, now: datetime, lease_until: datetime) -> Self:
        epoch = max(self.epoch + 1, epoch_at(now))
        return replace(self, state=target, epoch=epoch, lease_until=lease_until)

    def activated(self, multipart_id: str) -> Self:
        return self._finished(State.ACTIVE, grant=self.grant.with_multipart(multipart_id))

    def reopened(self) -> Self:
        return self._finished(State.ACTIVE, manifest=b"", abort_reason=None)

    def completed(self, stored: StoredObject) -> Self:
        return self._finished(State.COMPLETED, object=stored, abort_reason=None)

    def aborted(self, reason: AbortReason) -> Self:
        return self._finished(State.ABORTED, abort_reason=reason)

    def _finished(self, state: State, **changes: Any) -> Self:
        if state not in FINISHES.get(self.state, ()):
            raise ValueError(f"{self.state} cannot become {state}")
        return replace(self, state=state, lease_until=None, **changes)
