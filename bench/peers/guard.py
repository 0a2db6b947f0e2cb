"""Fails if an upload costs more of Partway's CPU, to that of the obvious service, than it should.

Run it as `python -m bench.peers.guard`. Only CPU is compared, within a round, and the median of
many short rounds counts, because other work on the machine then slows both alike.
"""

import asyncio
import statistics
import sys

from bench.peers.catalogue import OBVIOUS, OURS, PEERS
from bench.peers.compare import Found, Plan, compare

AIMS = {"upload_100": 0.3, "upload_1": 0.7}
LIMITS = {"upload_100": 0.45, "upload_1": 0.95}
"""What fails. The ratio differs by a quarter with the processor and what else it does."""

ROUNDS = 21
SHARE = 0.1
_PARTS = {"upload_100": "100 parts", "upload_1": "1 part"}


def ratios(found: Found, row: str) -> list[float]:
    """Return the CPU of Partway to that of the obvious service, round by round."""
    figures = found.figures[row]
    return [a / b for a, b in zip(figures[OURS], figures[OBVIOUS], strict=True)]


def judge(found: Found) -> tuple[bool, list[str]]:
    """Return whether all ratios are within their limits, and a sentence about each with its aim."""
    good, sentences = True, []
    for row, limit in LIMITS.items():
        each = ratios(found, row)
        ratio = statistics.median(each)
        ours, theirs = (statistics.median(found.figures[row][name]) for name in (OURS, OBVIOUS))
        within = ratio <= limit
        good = good and within
        sentences.append(
            f"A whole upload of {_PARTS[row]} costs {ours:.2f} ms of Partway's CPU, and"
            f" {theirs:.2f} ms of {PEERS[OBVIOUS].title}'s: {ratio:.2f} times as much"
            f" ({min(each):.2f} to {max(each):.2f} in {len(each)} rounds), which is"
            f" {'within' if within else 'over'} the limit of {limit}, and"
            f" {'within' if ratio <= AIMS[row] else 'over'} the aim of {AIMS[row]}."
        )
    return good, sentences


def main() -> int:
    found = asyncio.run(compare(Plan((OBVIOUS, OURS), set(LIMITS), ROUNDS, SHARE)))
    if found.left_out:
        # What could not be measured is not within its limit.
        print(f"Not measured: {found.left_out}", file=sys.stderr)
        return 1
    good, sentences = judge(found)
    print("\n".join(sentences))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
