"""What an upload ID carries: the grant of one upload, who it belongs to, and its packed form."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Self

import msgpack

from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import Plan


@dataclass(frozen=True, slots=True)
class Caller:
    """The identity of a caller: the account, and the user or service in it."""

    tenant: str
    subject: str


@dataclass(frozen=True, slots=True)
class Grant:
    """The content of an upload ID: everything that is fixed once Initialize has returned.

    A `single` upload is one PUT of the whole object. It has no multipart_id, and carries the
    `metadata` that storage has yet to receive. Times are whole seconds. `whole_checksum` is that of
    the whole object, if the caller knew it at Initialize. `headers` are the S3 headers that the
    policy prescribed then, until storage has received them: so a policy change does not affect
    uploads in progress. `composition` exists only for composed uploads, whose plan has cuts: it is
    the digest of their request, so that a repeat can be recognized without a session record.
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
        """Return a compact form, for upload IDs and session records."""
        # Only up to the last that is set: an ID from before such a field existed stays the same.
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
        """Return whether the upload exists in storage; until then no caller has its ID."""
        return self.single or bool(self.multipart_id)

    def with_multipart(self, multipart_id: str) -> Self:
        return replace(self, multipart_id=multipart_id, headers={})

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the grant that `pack` packed. Raises ValueError if it is malformed."""
        try:
            return cls._of_fields(msgpack.unpackb(packed))
        except (TypeError, AttributeError, OverflowError, OSError) as error:
            # Not what `pack` writes in that place: a number for a text, a text for a list.
            raise ValueError("not a packed grant") from error

    @classmethod
    def _of_fields(cls, fields: Sequence[Any]) -> Self:
        sid, tenant, subject, policy, backend, bucket, key, single, size, part_size = fields[:10]
        content_type, checksum, token, created, expires, multipart_id, metadata = fields[10:17]
        if len(fields) > 21:
            raise ValueError(f"a grant cannot have {len(fields)} fields")
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
class CopySource:
    """An object that a composed upload is copied from, as verified. `etag` has no quotes."""

    bucket: str
    key: str
    size_bytes: int
    etag: str
    write_token: str

    def grant(self, composed: Grant) -> Grant:
        """Return a grant for the source, based on `composed`, with what storage needs."""
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
    """Return a sid for an upload whose own now belongs to another. Unique, because keys are."""
    return hashlib.sha256(f"partway sid of key\0{bucket}\0{key}".encode()).digest()[:16].hex()
