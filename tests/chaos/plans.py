"""Plans the uploads: kind and size of each, by seed and number."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1024 * 1024
PART = 5 * MIB
"""The smallest part that is not the last."""

_HOUR = {"upload_seconds": 3600, "max_upload_seconds": 3600}
_BRIEF = {"upload_seconds": 120, "max_upload_seconds": 120, "url_seconds": 120}

POLICIES: Mapping[str, Mapping[str, int]] = {
    "default": _HOUR,
    "pieces": {**_HOUR, "single_put_max_bytes": 0},
    # The shortest allowed, so that some expire during the run.
    "brief": _BRIEF,
    "brief-pieces": {**_BRIEF, "single_put_max_bytes": 0},
}
"""The policies of the services. For the janitor a clock moves ahead, not these times."""

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
    "via-service": 8,
    "watched": 10,
    "compose": 8,
}
"""The kinds of uploads by weight, of 146 in all; `load.py` dispatches them."""

_ALWAYS_PIECES = ("resent",)
_SOURCES_FROM = 1_000_000
"""The uploads of the lanes are numbered from 0, sources from here."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned upload: what to do, under which policy, with how many bytes."""

    number: int
    kind: str
    policy: str
    size_bytes: int
    part_size_bytes: int
    chance: random.Random
    sources: "tuple[Planned, ...]" = ()
    delete_sources: bool = False

    @property
    def name(self) -> str:
        return f"u{self.number:06d}.bin"


def planned(seed: str, number: int) -> Planned:
    """Plan an upload; return the same for the same seed and number."""
    chance = random.Random(f"{seed}/upload/{number}")
    kind = chance.choices(list(KINDS), weights=list(KINDS.values()))[0]
    if kind == "compose":
        return _composition(number, chance)
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


def _composition(number: int, chance: random.Random) -> Planned:
    """Plan a composition; all sources but the last have at least the smallest part size."""
    count, first = chance.choice((1, 2, 2, 3)), _SOURCES_FROM + 10 * number
    sizes = [PART + chance.randrange(200_000) for _ in range(count - 1)]
    sizes.append(chance.randrange(1, 300_000))
    sources = tuple(
        Planned(
            first + place,
            "source",
            chance.choice(("default", "pieces")),
            size,
            PART,
            random.Random(chance.getrandbits(64)),
        )
        for place, size in enumerate(sizes)
    )
    size, delete = sum(sizes), chance.random() < 0.5
    return Planned(number, "compose", "pieces", size, PART, chance, sources, delete)
