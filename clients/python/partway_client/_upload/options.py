"""What a caller asks of one upload, and the limits derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from partway_client.models import Checksum, Route

_READ_AHEAD_BYTES = 128 * 1024 * 1024
"""How much is read for checksums at a time: it should still be cached when it is sent."""


def checked_object_metadata(given: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata of an object. Raises TypeError, with the key of what is not a string."""
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata[{key!r}] must be a string, not {type(value).__name__}")
    return dict(given)


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """What a caller asks of one upload. Sizes are in bytes; 0 leaves the choice to the service.

    `content_type` is None if it is to be guessed. With `resume`, an Upload with the same
    fingerprint may be continued. With an `upload_id`, the file is sent as that Upload.
    """

    policy: str
    content_type: str | None
    metadata: Mapping[str, str]
    part_size: int
    concurrency: int
    max_in_flight_bytes: int
    checksum: Checksum
    route: Route = Route.AUTO
    resume: bool = True
    upload_id: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.concurrency < 1 or self.max_in_flight_bytes < 1 or self.part_size < 0:
            raise ValueError(
                "concurrency and max_in_flight_bytes must be at least 1, part_size at least 0"
            )

    @property
    def identity(self) -> tuple[object, ...]:
        """What distinguishes two uploads of the same file, in a form that JSON can hold."""
        return self.policy, self.content_type, self.metadata, self.part_size, self.checksum

    @property
    def window(self) -> int:
        """How many URLs to ask for at once: enough to keep all workers busy, and few enough that
        they do not expire before they are used."""
        return min(max(2 * self.concurrency, 16), 64)

    def batch(self, part_size_bytes: int) -> int:
        """Return how many parts to read and ask for at once, if they carry checksums."""
        return max(1, min(self.window // 2, _READ_AHEAD_BYTES // max(part_size_bytes, 1)))

    def workers(self, part_size_bytes: int) -> int:
        """Return how many parts of that size may be in flight: at least one."""
        return max(1, min(self.concurrency, self.max_in_flight_bytes // max(part_size_bytes, 1)))
