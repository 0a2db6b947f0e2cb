"""Decides on a part size that the line carries. Arithmetic only."""

from dataclasses import dataclass, field

MIB = 1024 * 1024

LEAST_BYTES = 5 * MIB
"""The least on S3, where the service does not say (https://docs.aws.amazon.com/AmazonS3/latest/
userguide/qfacts.html)."""

USUAL_BYTES = 16 * MIB
"""The service's own, if it does not say."""

CARRIED_SECONDS = 15.0
"""How long one connection should need for a part: long to send, and not much to lose."""

LONGEST_SECONDS = 30.0

_MEASURED_SECONDS = 5.0
_SWALLOWED_BYTES = 512 * 1024
"""What buffers take at once, before the line has carried anything."""

_MOST_SPENT = 0.05
"""How much of the file may be sent again for parts that a slow line carries in time."""

_LEAST_BREAKS = 2
_OF_DISTANCE = 0.9


def carried_in_time(rate: float, least: int = LEAST_BYTES) -> int:
    """Return the part size, in whole MiB, that a connection of this rate carries in 15 s."""
    return max(least, int(rate * CARRIED_SECONDS) // MIB * MIB)


@dataclass(slots=True)
class PartSizeAdvice:
    """What the tries of one Upload show about its part size.

    The file has `size_bytes`, of which storage holds `stored_bytes`, in parts of `part_bytes`.
    """

    size_bytes: int
    part_bytes: int
    stored_bytes: int
    distances: list[int] = field(default_factory=list)
    """How far the parts came whose connections broke."""

    _sent_bytes: int = 0

    def finished(self, size_bytes: int) -> None:
        """Record that a part got through."""
        self.stored_bytes += size_bytes
        self._sent_bytes += size_bytes

    def broke(self, sent_bytes: int) -> None:
        """Record that a connection broke within a part."""
        if sent_bytes < self.part_bytes:
            self.distances.append(sent_bytes)

    def for_breaks(self, least: int) -> int:
        """Return a size that most connections live long enough for; 0: stay with this one.

        Smaller parts need a new Upload, for which the stored parts are sent again. It pays once
        what breaks is expected to cost more: nothing is expected of a line after one break.
        """
        if len(self.distances) < _LEAST_BREAKS:
            return 0
        near = sorted(self.distances)[len(self.distances) // 4]
        wanted = min(int(near * _OF_DISTANCE), self.part_bytes // 2) // MIB * MIB
        smaller = max(least, wanted)
        if smaller >= self.part_bytes:
            return 0
        wasted = sum(self.distances) / max(self._sent_bytes, self.part_bytes // 4)
        saved = wasted * (self.size_bytes - self.stored_bytes) * (1 - smaller / self.part_bytes)
        return smaller if saved > self.stored_bytes else 0

    def for_rate(self, moved_bytes: int, seconds: float, least: int) -> int:
        """Return the size for what moved in that time on one connection; 0: stay with this one.

        Only while next to nothing is sent, since that would be sent again.
        """
        if seconds < _MEASURED_SECONDS or moved_bytes > _MOST_SPENT * self.size_bytes:
            return 0
        return self.for_known_rate(max(moved_bytes - _SWALLOWED_BYTES, 1) / seconds, least)

    def for_known_rate(self, rate: float, least: int) -> int:
        """Return the size for this rate of one connection; 0: stay with this one."""
        if self.stored_bytes:
            return 0
        smaller = carried_in_time(rate, least)
        if self.part_bytes <= rate * LONGEST_SECONDS or 2 * smaller > self.part_bytes:
            return 0
        return smaller
