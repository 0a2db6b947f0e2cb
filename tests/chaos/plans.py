"""Which uploads there are: kind and size of each, by seed and number."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1024 * 1024
PART = 5 * MIB
"""The smallest part that is not the last."""

POLICIES: Mapping[str, Mapping[str, int]] = {
    "default": {"upload_seconds": 3600},
    "pieces": {"upload_seconds": 3600, "single_put_max_bytes": 0},
    # The shortest that there is, so that some expire while the run goes on.
    "brief": {"upload_seconds": 120, "url_seconds": 120},
    "brief-pieces": {"upload_seconds": 120, "url_seconds": 120, "single_put_max_bytes": 0},
}
"""What the services of a run allow; the janitor is given later times by a clock, not by these."""

KINDS: Mapping[str, int] = {
    "library": 28,
    "library-cut": 10,
    "command": 4,
    "plain": 12,
    "repeated": 8,
    "race-complete": 10,
    "race-abort": 10,
    "abort": 5,
    "abort-late-part": 5,
    "abort-in-flight": 4,
    "lost-reply": 7,
    "manifest": 4,
    "resent": 5,
    "abandoned": 8,
}
"""The kinds of uploads, each so many in 120; what they do stands where they are carried out."""

_ALWAYS_PIECES = ("resent",)


@dataclass(frozen=True, slots=True)
class Planned:
    """One upload to be: what to do, under which policy, with how many bytes."""

    number: int
    kind: str
    policy: str
    size_bytes: int
    part_size_bytes: int
    chance: random.Random

    @property
    def name(self) -> str:
        return f"u{self.number:06d}.bin"


def planned(seed: str, number: int) -> Planned:
    """The same for the same seed and number."""
    chance = random.Random(f"{seed}/upload/{number}")
    kind = chance.choices(list(KINDS), weights=list(KINDS.values()))[0]
    shape = chance.random()
    if shape < 0.45 and kind not in _ALWAYS_PIECES:
        policy, size = "default", chance.choice((0, 1, chance.randrange(2, 300_000)))
    elif shape < 0.85:
        policy, size = "pieces", chance.randrange(1, 300_000)
    else:
        whole = 2 if chance.random() < 0.2 else 1
        policy, size = "pieces", whole * PART + chance.randrange(1, 200_000)
    if kind == "abandoned":
        policy = {"default": "brief", "pieces": "brief-pieces"}[policy]
    return Planned(number, kind, policy, size, PART, chance)
