"""What callers ask for when an Upload begins, and how a repeat of it is known."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgpack

from partway_server.domain.checksum import Checksum, ChecksumChoice
from partway_server.domain.grant import CopySource, Grant
from partway_server.domain.upload import State, Upload
from partway_server.domain.upload_token import TokenParams

ComposeDelete = Literal["own", "tenant"]
"""Whose Compose may remove an object as its source: its uploader's, or any of the tenant's."""


_DIGESTED = {
    ChecksumChoice.BEST: "best",
    # What it was called before callers could say that they want none.
    ChecksumChoice.DEFAULT: "none",
    Checksum.NONE: "no checksum",
}


@dataclass(frozen=True, slots=True)
class UploadParams:
    """What Initialize asks for. Sizes are in bytes.

    `whole_checksum` is the CRC64NVME of the
    file, if it is known; with another algorithm it is not used. With `sources`, it is what Compose
    asks for; then `composition` is the digest of that request. `token` is what is asked of an
    upload token; a repeat may ask for another. With `multipart`, it is sent in parts even if it is
    small.
    """

    policy: str
    file_name: str
    size_bytes: int
    content_type: str
    metadata: Mapping[str, str]
    part_size_bytes: int
    checksum: Checksum | ChecksumChoice
    fingerprint: str
    request_id: str
    whole_checksum: bytes = b""
    sources: tuple[CopySource, ...] = ()
    delete_sources: bool = False
    composition: bytes = b""
    token: TokenParams | None = None
    multipart: bool = False

    def digest(self) -> bytes:
        """Return what distinguishes a repeated request from another with the same request_id."""
        if self.sources:
            return self.composition
        fields = (
            self.policy,
            self.file_name,
            self.size_bytes,
            self.content_type,
            sorted(self.metadata.items()),
            self.part_size_bytes,
            _DIGESTED.get(self.checksum) or self.checksum.value,
            self.fingerprint,
            # As it was before there was one, so that a repeat is known across an upgrade.
            *((self.whole_checksum,) if self.whole_checksum else ()),
            *(("multipart",) if self.multipart else ()),
        )
        return hashlib.sha256(msgpack.packb(fields)).digest()


@dataclass(frozen=True, slots=True)
class ComposeParams:
    """What Compose asks for: one object from those of `upload_ids`, in order."""

    policy: str
    file_name: str
    content_type: str
    metadata: Mapping[str, str]
    upload_ids: Sequence[str]
    delete_sources: bool
    fingerprint: str
    request_id: str

    def digest(self, sources: Sequence[Grant]) -> bytes:
        """Return what distinguishes a repeated request from another with the same request_id."""
        fields = (
            self.policy,
            self.file_name,
            self.content_type,
            sorted(self.metadata.items()),
            # An id changes with the key that seals it; the Upload's token does not.
            [source.write_token for source in sources],
            self.delete_sources,
            self.fingerprint,
        )
        return hashlib.sha256(b"partway compose\0" + msgpack.packb(fields)).digest()


@dataclass(frozen=True, slots=True)
class UploadFilter:
    """Which uploads to list; what is None or empty selects nothing.

    `state` is one as callers see it (`Upload.public_state`). An upload is created at a whole
    second: `created_from` includes it, `created_before` does not.
    """

    state: State | None = None
    fingerprint: str = ""
    policy: str = ""
    created_from: datetime | None = None
    created_before: datetime | None = None

    def admits(self, upload: Upload) -> bool:
        """Return whether the filter selects `upload`."""
        created = upload.grant.create_time
        return (
            (self.state is None or upload.public_state is self.state)
            and (not self.fingerprint or upload.fingerprint == self.fingerprint)
            and (not self.policy or upload.grant.policy == self.policy)
            and (self.created_from is None or created >= self.created_from)
            and (self.created_before is None or created < self.created_before)
        )
