"""What RPCs take and return beyond the public models, as plain values instead of protobuf."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from partway_client.models import Checksum


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What Initialize asks for. `checksum` is that of the whole file, b"" if not known yet."""

    policy: str
    file_name: str
    size_bytes: int
    content_type: str
    metadata: Mapping[str, str]
    part_size_bytes: int
    fingerprint: str
    request_id: str
    presign_parts: int
    checksum_algorithm: Checksum
    checksum: bytes


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token of an upload is to allow: named actions, all if there are none, and how long.

    With 0 `lifetime_seconds` it lasts until the upload's deadline.
    """

    actions: Sequence[str] = ()
    lifetime_seconds: int = 0


@dataclass(frozen=True, slots=True)
class GivenToken:
    """The token of an upload. No repr shows it."""

    token: str = field(repr=False)
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class NewComposition:
    """What Compose asks for. The request_id makes a repeated call return the same Upload."""

    sources: Sequence[str] = field(repr=False)
    policy: str
    file_name: str
    content_type: str
    metadata: Mapping[str, str]
    delete_sources: bool
    fingerprint: str
    request_id: str


@dataclass(frozen=True, slots=True)
class PartUrl:
    """How to send one part to storage. No repr shows the URL, which authorizes the request.

    `expires_at` is in seconds since the epoch, by the service's clock.
    """

    part_number: int
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    offset_bytes: int
    size_bytes: int
    expires_at: int
