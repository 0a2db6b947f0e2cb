"""What each backend can do, as data. A rule of ours that hangs on a backend reads it here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from partway_server.plan import PartLimits
from partway_server.uploads import Checksum


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One backend. The defaults are what nearly every S3-compatible store does.

    `source` says where the record comes from. `conditional_put` and `conditional_complete`:
    If-None-Match is honoured on PutObject and on CompleteMultipartUpload. `metadata_round_trip`:
    metadata given at create is told by HEAD, so the write token can prove an outcome.
    `idempotent_complete`: a repeated Complete succeeds. `exact_key_listing_only`:
    ListMultipartUploads answers only for a whole key. `checksums`: verified on each part.
    """

    source: str
    limits: PartLimits = field(default_factory=PartLimits)
    equal_parts: bool = False
    conditional_put: bool = False
    conditional_complete: bool = False
    metadata_round_trip: bool = True
    idempotent_complete: bool = False
    exact_key_listing_only: bool = False
    checksums: frozenset[Checksum] = frozenset()
    lifecycle: bool = False
    cors_api: bool = False


KNOWN: Mapping[str, Capabilities] = {}
