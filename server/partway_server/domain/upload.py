"""The nouns: who calls, what an upload_id grants, and an Upload with its life.

The transitions stand in one table, `CLAIMS` and `FINISHES`. Every session store enforces that
table, and nothing else, atomically:

- a *claim* takes an Upload into a leased state and raises its epoch, at least to the time in
  milliseconds, so that no epoch comes twice even if the row was lost or put back from a copy;
- a *finish* takes it out, and counts only with the epoch of the claim it belongs to, so that a
  worker which was paused past its lease changes nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

import msgpack

from partway_server.domain.part_plan import Plan


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
    State.ABORTING: frozenset({State.ACTIVE, State.COMPLETING, State.ABORTING, State.ABORTED}),
}
"""Into a leased state: from which states. A leased state yields only once its lease is over."""

FINISHES: Mapping[State, frozenset[State]] = {
    State.INITIATING: frozenset({State.ACTIVE}),
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
    SOURCE_CHANGED = "source_changed"


class Checksum(StrEnum):
    """How the checksum of a part is computed."""

    NONE = "none"
    CRC32C = "crc32c"
    SHA256 = "sha256"
    CRC64NVME = "crc64nvme"
    MD5 = "md5"

    @property
    def size_bytes(self) -> int:
        return {"none": 0, "crc32c": 4, "sha256": 32, "crc64nvme": 8, "md5": 16}[self.value]


BEST_FIRST = (Checksum.CRC64NVME, Checksum.CRC32C, Checksum.SHA256, Checksum.MD5)
"""What is chosen for a caller who asks for the best.

CRC64NVME alone can be held against the whole object, too; the CRCs cost a client a twentieth of
what the digests do; MD5 is what is left where storage knows no other.
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the account, and the user or service inside it."""

    tenant: str
    subject: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What an upload_id says: everything that a caller has no say in after Initialize.

    `single` Uploads are one PUT of the whole object; they have no multipart_id, and carry the
    `metadata` that storage has not been told yet. Times are whole seconds. `whole_checksum` is
    that of the whole object, if the caller knew it at Initialize. `headers` are what the policy
    said then of the object, by the headers of S3, for as long as storage has not been told: so a
    policy that changes changes no Upload under way. `composition` is of composed Uploads alone,
    whose plan has cuts: it tells what they are composed of, so that a repeat of the request can be
    held against it when there is no row any more.
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
    whole_checksum: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    composition: bytes = b""

    def pack(self) -> bytes:
        """A compact form, for sealing and for session rows."""
        # Only as far as they are set: an id from before there was such a field stays the same.
        added: list[object] = [
            self.whole_checksum,
            dict(self.headers),
            self.plan.cuts,
            self.composition,
        ]
        while added and not added[-1]:
            added.pop()
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
                *added,
            )
        )
        return packed

    @property
    def opened(self) -> bool:
        """Whether storage was told of the Upload; until then its id is in nobody's hands."""
        return self.single or bool(self.multipart_id)

    def with_multipart(self, multipart_id: str) -> Self:
        return replace(self, multipart_id=multipart_id, headers={})

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """What `pack` packed. Raises ValueError if it is anything else."""
        fields: list[Any] = msgpack.unpackb(packed)
        sid, tenant, subject, policy, backend, bucket, key, single, size, part_size = fields[:10]
        content_type, checksum, token, created, expires, multipart_id, metadata = fields[10:17]
        if len(fields) > 21:
            raise ValueError(f"a grant has no {len(fields)} fields")
        absent: tuple[Any, ...] = (b"", {}, (), b"")
        later = (*fields[17:], *absent[len(fields) - 17 :])
        whole_checksum, headers, cuts, composition = later
        return cls(
            sid=sid.hex(),
            caller=Caller(tenant, subject),
            policy=policy,
            backend=backend,
            bucket=bucket,
            key=key,
            single=single,
            plan=Plan(size, part_size, tuple(cuts)),
            content_type=content_type,
            checksum=Checksum(checksum),
            write_token=token.hex(),
            create_time=datetime.fromtimestamp(created, UTC),
            expire_time=datetime.fromtimestamp(expires, UTC),
            multipart_id=multipart_id,
            metadata=metadata,
            whole_checksum=whole_checksum,
            headers=headers,
            composition=composition,
        )


@dataclass(frozen=True, slots=True)
class Source:
    """An object that a composed Upload is copied from, as storage proved it. `etag`: no quotes."""

    bucket: str
    key: str
    size_bytes: int
    etag: str
    write_token: str

    def grant(self, composed: Grant) -> Grant:
        """As much of the grant that made the source as storage goes by, from the composed one's."""
        return replace(
            composed,
            bucket=self.bucket,
            key=self.key,
            plan=Plan(self.size_bytes, max(self.size_bytes, 1)),
            write_token=self.write_token,
            multipart_id="",
            composition=b"",
        )


def sid_of_key(bucket: str, key: str) -> str:
    """The sid of an Upload whose own is another's by now. No key is used twice, nor is this."""
    return hashlib.sha256(f"partway sid of key\0{bucket}\0{key}".encode()).digest()[:16].hex()


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The finished object, as storage says. `etag` is opaque and has no quotes.

    `checksum` is that of the whole object, by the Upload's algorithm; b"" if storage tells none.
    `metadata` is the caller's, None where storage was not asked just now; it makes no difference.
    """

    size_bytes: int
    etag: str
    version_id: str = ""
    checksum: bytes = b""
    metadata: Mapping[str, str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a Complete names: the digest of its list of parts, and the whole object's checksum.

    Each is b"" if it names none. As bytes, rows from before there was a checksum stay readable.
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
class Reported:
    """The parts that callers say they sent, each as long as planned: no more than their word.

    `parts` is a bitmap, as long as it must be: part n is bit n - 1, from the lowest bit of the
    first byte. `size_bytes` is the size of those parts together.
    """

    parts: bytes = b""
    size_bytes: int = 0


def epoch_at(now: datetime) -> int:
    """The least epoch of a claim at this time."""
    return int(now.timestamp() * 1000)


def moment_of(epoch: int) -> datetime:
    """When a claim with this epoch was taken, or later: see `epoch_at`."""
    return datetime.fromtimestamp(epoch / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Upload:
    """One object being assembled: what its id grants, and where it stands.

    `epoch` tells the claims apart, and grows from each to the next. `request_digest` tells a
    repeated Initialize from a reused request_id; `manifest`, a packed Manifest, does the same for
    what a Complete names. `metadata` is the caller's, where the grant does not have it: None if
    the row that had it was lost. `sources` are what a composed Upload is copied from, and
    `delete_sources` says to remove them once it is complete; a row that was rebuilt knows neither.
    `reported` is for callers to look at; nothing is decided by it.
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
    sources: tuple[Source, ...] = ()
    delete_sources: bool = False
    reported: Reported = Reported()

    @property
    def sid(self) -> str:
        return self.grant.sid

    @property
    def whole_checksum(self) -> bytes:
        """That of the whole object, as Initialize or the Complete at work named it, or b""."""
        return self.grant.whole_checksum or Manifest.unpack(self.manifest).checksum

    @property
    def public_state(self) -> State:
        """The state as callers are told.

        ABORTING with a reason is an Upload whose abort was answered, and is being repeated or
        buried: what was said to be ABORTED stays so.
        """
        if self.state is State.ABORTING and self.abort_reason is not None:
            return State.ABORTED
        return self.state

    @property
    def composing(self) -> bool:
        """Whether parts are to be copied, and the row says from where."""
        return self.state is State.ACTIVE and bool(self.sources)

    def look_again(self, now: datetime, patience: timedelta) -> datetime:
        """When a janitor is to look at the Upload if it is ACTIVE.

        At its deadline; but what is composed is work, and whoever does it says again and again
        that it goes on, so that it is taken up where it was left.
        """
        end = self.grant.expire_time
        return min(end, now + patience) if self.composing else end

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
        return self._finished(
            State.COMPLETED, object=stored, abort_reason=None, reported=Reported()
        )

    def aborted(self, reason: AbortReason) -> Self:
        return self._finished(State.ABORTED, abort_reason=reason, reported=Reported())

    def _finished(self, state: State, **changes: Any) -> Self:
        if state not in FINISHES.get(self.state, ()):
            raise ValueError(f"{self.state} cannot become {state}")
        return replace(self, state=state, lease_until=None, **changes)
