"""The lines that are simulated, as data: from 56 kB/s to 10 Gb/s."""

from dataclasses import dataclass

KB, MB = 1_000, 1_000_000
INFINITY = float("inf")


@dataclass(frozen=True, slots=True)
class SimulatedLine:
    """A line towards storage, and the file to send over it. Rates are in bytes per second.

    All connections together carry `rate`, each of them at most `connection_rate`. What is sent
    arrives `delay` seconds later, and so does an answer. A connection is reset after that many
    bytes of `reset_bytes`, evenly spread. Every `stall_every` seconds nothing moves for
    `stall_seconds`.
    """

    name: str
    rate: float
    size_bytes: int
    delay: float = 0.0
    connection_rate: float = INFINITY
    reset_bytes: tuple[int, int] | None = None
    stall_every: float = INFINITY
    stall_seconds: float = 0.0

    @property
    def ideal_seconds(self) -> float:
        """Return how long the bytes take if the line is always filled, by as many connections."""
        moving = self.size_bytes / self.rate
        return moving + self.stall_seconds * (moving // self.stall_every)


LINES = (
    SimulatedLine("56 kB/s", 56 * KB, 2_800 * KB, delay=0.1),
    SimulatedLine("128 kB/s", 128 * KB, 6 * MB, delay=0.1),
    SimulatedLine("256 kB/s", 256 * KB, 12 * MB, delay=0.05),
    SimulatedLine("500 kB/s", 500 * KB, 24 * MB, delay=0.05),
    SimulatedLine("1 MB/s", 1 * MB, 40 * MB, delay=0.02),
    SimulatedLine("1 MB/s, stalls", 1 * MB, 30 * MB, stall_every=10, stall_seconds=6),
    SimulatedLine("1 MB/s, resets after 8 to 24 MB", 1 * MB, 40 * MB,
                  reset_bytes=(8 * MB, 24 * MB)),
    SimulatedLine("2 MB/s, 300 ms", 2 * MB, 60 * MB, delay=0.3),
    SimulatedLine("4 MB/s", 4 * MB, 120 * MB, delay=0.02),
    SimulatedLine("4 MB/s, resets after 3 to 9 MB", 4 * MB, 60 * MB, reset_bytes=(3 * MB, 9 * MB)),
    SimulatedLine("4 MB/s, 500 kB/s each", 4 * MB, 100 * MB, connection_rate=500 * KB),
    SimulatedLine("8 MB/s, 1 MB/s each", 8 * MB, 200 * MB, delay=0.05, connection_rate=1 * MB),
    SimulatedLine("100 Mb/s", 12_500 * KB, 300 * MB, delay=0.01),
    SimulatedLine("100 Mb/s, 100 ms, 2.5 MB/s each", 12_500 * KB, 300 * MB, 0.1, 2_500 * KB),
    SimulatedLine("100 Mb/s, stalls", 12_500 * KB, 250 * MB, stall_every=5, stall_seconds=3),
    SimulatedLine("200 Mb/s, resets after 40 to 120 MB", 25 * MB, 500 * MB, 0.02,
                  reset_bytes=(40 * MB, 120 * MB)),
    SimulatedLine("400 Mb/s, 8 MB/s each", 50 * MB, 800 * MB, delay=0.05, connection_rate=8 * MB),
    SimulatedLine("1 Gb/s", 125 * MB, 1_500 * MB, delay=0.005),
    SimulatedLine("2.5 Gb/s", 312 * MB, 2_000 * MB),
    SimulatedLine("10 Gb/s", 1_250 * MB, 2_000 * MB),
)  # fmt: skip
