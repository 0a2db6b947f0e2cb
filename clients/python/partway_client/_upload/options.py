"""What is asked of one upload, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from partway_client.models import Checksum, Route

_READ_AHEAD_BYTES = 128 * 1024 * 1024
"""How much is read for checksums at a time: it should still be in memory when it is sent."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of one upload. Sizes are in bytes; 0 leaves the choice to the service.

    With `resume`, an Upload with the same `fingerprint` may be gone on with.
    """

    policy: str
    content_type: str
    metadata: Mapping[str, str]
    part_size: int
    concurrency: int
    max_in_flight_bytes: int
    fingerprint: str
    checksum: Checksum
    resume: bool
    route: Route = Route.AUTO

    @property
    def window(self) -> int:
        """How many URLs are asked for at once: enough to keep all workers busy, and few enough
        that they do not run out before they are used."""
        return min(max(2 * self.concurrency, 16), 64)

    def batch(self, part_size_bytes: int) -> int:
        """How many parts are read and asked for at once, where they have checksums."""
        return max(1, min(self.window // 2, _READ_AHEAD_BYTES // max(part_size_bytes, 1)))

    def workers(self, part_size_bytes: int) -> int:
        """How many parts of that size are in flight at most, and always one."""
        return max(1, min(self.concurrency, self.max_in_flight_bytes // max(part_size_bytes, 1)))
