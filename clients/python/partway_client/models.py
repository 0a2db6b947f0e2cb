"""The values that callers get back, independent of protobuf."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

_SID = re.compile("([0-9a-f]{32})-[0-9a-f]{28}")
"""The service marks each key with the sid of its Upload, and a stamp."""


class State(StrEnum):
    """The state of an Upload, as the service reports it."""

    INITIATING = "initiating"
    ACTIVE = "active"
    COMPLETING = "completing"
    COMPLETED = "completed"
    ABORTING = "aborting"
    ABORTED = "aborted"


class Checksum(StrEnum):
    """The checksum that each part carries, for storage to verify.

    BEST, the default, leaves the choice to the service: the first of those listed below it that
    storage supports. With NONE, only TCP and TLS can detect a byte that changes in transit.
    """

    BEST = "best"
    CRC64NVME = "crc64nvme"
    CRC32C = "crc32c"
    SHA256 = "sha256"
    MD5 = "md5"
    NONE = "none"


ChecksumName = Literal["best", "crc64nvme", "crc32c", "sha256", "md5", "none"]
"""A Checksum as a plain string."""


class Route(StrEnum):
    """The route of parts to storage.

    AUTO, the default, is straight to storage or, if storage cannot be reached and the service
    allows it, through the service. DIRECT and SERVICE allow only one of them.
    """

    AUTO = "auto"
    DIRECT = "direct"
    SERVICE = "service"


RouteName = Literal["auto", "direct", "service"]
"""A Route as a plain string."""


@dataclass(frozen=True, slots=True)
class StoredProgress:
    """How much of an Upload was sent, as storage lists it or as callers reported it.

    `missing` are the remaining part numbers as (first, last) runs in order, at most 1,000.
    """

    parts_stored: int
    bytes_stored: int
    missing: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """How much of one limit is in use; `maximum` is None if there is no such limit."""

    limit: str
    used: int
    maximum: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """How much of each limit is in use: by the tenant as a whole, and by the caller's subject.

    Both have the same limits in the same order.
    """

    tenant: tuple[LimitUsage, ...]
    subject: tuple[LimitUsage, ...]


@dataclass(frozen=True, slots=True)
class PolicyCapabilities:
    """What one policy allows, with its storage. Sizes are in bytes, lifetimes in seconds.

    `extensions` are those that a file name may have, each with the content types that agree with
    it; empty: any. `checksums` are those that parts may carry, the best one first, and NONE if they
    need not carry any; `default_checksum` is None if a caller must name one. A file of up to
    `single_put_max_bytes` is sent as one PUT, a larger one in parts.
    """

    name: str
    min_size_bytes: int
    max_size_bytes: int
    content_types: tuple[str, ...]
    extensions: Mapping[str, tuple[str, ...]]
    required_metadata: tuple[str, ...]
    checksums: tuple[Checksum, ...]
    default_checksum: Checksum | None
    min_part_size_bytes: int
    default_part_size_bytes: int
    max_part_size_bytes: int
    single_put_max_bytes: int
    upload_seconds: int
    max_upload_seconds: int
    url_seconds: int
    max_url_seconds: int
    via_service: bool


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the service can do: its version, and each policy that the caller may use, by name."""

    version: str
    policies: tuple[PolicyCapabilities, ...]
    max_batch_uploads: int
    max_batch_parts: int
    max_compose_sources: int


@dataclass(frozen=True, slots=True)
class PartInfo:
    """A part as storage holds it. `checksum` is base64, "" if storage does not list it."""

    part_number: int
    size_bytes: int
    etag: str
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """An Upload as the service reports it. No repr shows its id, which authorizes calls about it.

    `etag` and `version_id` are empty until the state is COMPLETED; `abort_reason` is "" unless it
    is ABORTED. `checksum_algorithm` is that of the parts; `checksum` is that of the whole object,
    in base64, once COMPLETED and if storage returns it. `progress` is what storage holds, if
    requested; `reported` is what callers reported as sent, if the service returned it.
    `source_count` is how many objects it is composed of, 0 if its parts are sent; the parts of a
    composed one follow its sources, and `part_size_bytes` is that of the largest.
    """

    upload_id: str = field(repr=False)
    state: State
    policy: str
    bucket: str
    key: str
    uri: str
    etag: str
    version_id: str
    checksum_algorithm: Checksum
    checksum: str
    size_bytes: int
    part_size_bytes: int
    part_count: int
    content_type: str
    create_time: datetime
    expire_time: datetime
    abort_reason: str
    fingerprint: str
    progress: StoredProgress | None = None
    reported: StoredProgress | None = None
    source_count: int = 0

    @property
    def sid(self) -> str:
        """The short name of the Upload in its key, and in the service's logs and events.

        "" if the key has none.
        """
        found = _SID.search(self.key)
        return found[1] if found else ""

    def part_offset(self, part_number: int) -> int:
        """Return the offset of a sent part in the object, in bytes. Parts are numbered from 1."""
        return (part_number - 1) * self.part_size_bytes

    def part_size(self, part_number: int) -> int:
        """Return the size of a sent part in bytes; all but the last are equal."""
        if part_number < self.part_count:
            return self.part_size_bytes
        return self.size_bytes - self.part_offset(part_number)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A finished upload: the object, and what the transfer took.

    `parts` is how many the object has: `parts_sent` were sent now, `parts_resumed` were in storage
    before. `parts_retried` counts failed tries, `rpcs` the calls to the service, and `bytes_sent`
    all bytes sent: `bytes_resent` are those of failed tries, and `bytes_via_service` those that
    went through the service. Checksums are as in UploadInfo. `completed` is False if all parts are
    sent, and the upload token does not allow completing the Upload: there is no object yet.
    """

    upload_id: str = field(repr=False)
    bucket: str
    key: str
    uri: str
    etag: str
    version_id: str
    checksum_algorithm: Checksum
    checksum: str
    size_bytes: int
    content_type: str
    parts: int
    parts_sent: int
    parts_resumed: int
    parts_retried: int
    rpcs: int
    seconds: float
    bytes_sent: int
    bytes_via_service: int = 0
    completed: bool = True
    bytes_resent: int = 0


class Phase(StrEnum):
    """What an upload is doing."""

    SPOOLING = "spooling"
    STARTING = "starting"
    VERIFYING = "verifying"
    SENDING = "sending"
    COPYING = "copying"
    COMPLETING = "completing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an upload.

    `bytes_done` includes `bytes_resumed`, which storage held before, and decreases when a part
    fails and must be sent again. While SPOOLING, it counts bytes read, and `bytes_total` is 0 if
    unknown. While VERIFYING, it counts the bytes of the file that were compared with storage.
    """

    phase: Phase
    bytes_done: int
    bytes_total: int
    bytes_resumed: int
    parts_done: int
    parts_total: int
