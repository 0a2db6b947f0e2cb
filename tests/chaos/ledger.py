"""Records what was sent and answered, upload by upload, with times.

Times are those of `time.monotonic` in the harness. An end of `NEVER` was not seen: the
request may still be in flight.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

NEVER = math.inf

COMPLETED, ABORTED = "COMPLETED", "ABORTED"
ACTIVE, COMPLETING, ABORTING, INITIATING = "ACTIVE", "COMPLETING", "ABORTING", "INITIATING"
UNDER_WAY = (INITIATING, ACTIVE, COMPLETING, ABORTING)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a service to a call, without ids and URLs.

    `state` is the Upload's, if the answer has it, `reason` that of an error, `code` its gRPC
    status. `parts_stored` is -1 where no progress was reported, `reported` where no reports were.
    `key` distinguishes two Uploads. The messages of one Watch all `began` when it did.
    """

    began: float
    ended: float
    verb: str
    state: str = ""
    etag: str = ""
    key: str = ""
    reason: str = ""
    code: str = ""
    abort_reason: str = ""
    parts_stored: int = -1
    reported: int = -1


@dataclass(slots=True)
class Sending:
    """An attempt at a part: `right` if its bytes are those of the file. `status` 0: no answer.

    By UploadPart if `by_service`, else by PUT; the status is that of HTTP either way.
    """

    part: int
    right: bool
    began: float
    ended: float = NEVER
    status: int = 0
    by_service: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What a separate S3 client saw at the key, after an abort with nothing in flight."""

    at: float
    there: bool


@dataclass(slots=True)
class Story:
    """The record of one upload. `name` is in its key, and unique to it.

    `sources` are what it is composed of. `removable` is from when on one of those may be gone: the
    first Compose that was to remove it. `reports` are the parts whose report was acknowledged, with
    the time. `wrong` is what was seen at once to be against the contract.
    """

    number: int
    kind: str
    name: str
    size_bytes: int
    sha256: str
    began: float
    part_count: int = 1
    single: bool = True
    sid: str = ""
    key: str = ""
    expires_at: float = NEVER
    answers: list[Answer] = field(default_factory=list)
    sendings: list[Sending] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    completes: list[float] = field(default_factory=list)
    aborts: list[float] = field(default_factory=list)
    abandoned: bool = False
    unfinished: str = ""
    sources: "Sequence[Story]" = ()
    delete_sources: bool = False
    removable: float = NEVER
    reports: dict[int, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def sent_by_raw_calls(self) -> bool:
        """Return whether every PUT and call is recorded; a library does not expose its own."""
        return self.kind not in ("library", "library-cut", "command")

    def said(self, state: str) -> list[Answer]:
        """Return the answers that report this state, in order of their ends."""
        return sorted((a for a in self.answers if a.state == state), key=lambda a: a.ended)

    def sent_parts(self, before: float) -> set[int]:
        """Return the parts acknowledged before then whose last bytes were right."""
        newest: dict[int, Sending] = {}
        for sending in self.sendings:
            if sending.began < before:
                newest[sending.part] = sending
        return {n for n, s in newest.items() if s.right and s.status == 200 and s.ended < before}

    def in_flight(self, since: float) -> bool:
        """Return whether a part was in flight at that time or sent later."""
        return any(s.ended > since for s in self.sendings)


@dataclass(slots=True)
class Ledger:
    """All stories of a run, and when Redis may have forgotten something: (from, to)."""

    began: float
    stories: list[Story] = field(default_factory=list)
    forgets: list[tuple[float, float]] = field(default_factory=list)
    strikes: list[tuple[float, str]] = field(default_factory=list)
    client_kills: int = 0

    def forgot(self, since: float, until: float) -> bool:
        """Return whether Redis may have forgotten, by `until`, what it knew at `since`."""
        return any(first <= until and since <= last for first, last in self.forgets)

    def harmed(self, since: float) -> bool:
        """Return whether a fault, and not expiry, made Redis lose writes after `since`."""
        return any(since <= last < NEVER for _, last in self.forgets)

    def count(self, state: str) -> int:
        return sum(any(a.state == state for a in story.answers) for story in self.stories)


def moments(story: Story) -> Sequence[tuple[float, str]]:
    """Return what happened to the upload, in order, as lines for a person."""
    lines = [(a.began, _of_answer(a)) for a in story.answers]
    lines += [(s.began, _of_sending(s)) for s in story.sendings]
    lines += [(look.at, f"storage itself: object {look.there}") for look in story.looks]
    lines += [(at, "Abort is sent") for at in story.aborts]
    lines += [(at, "Complete is sent") for at in story.completes]
    return sorted(lines)


def _of_answer(answer: Answer) -> str:
    reported = f"{answer.verb}: {answer.state or '-'}"
    for name in ("reason", "code", "abort_reason", "etag"):
        if value := getattr(answer, name):
            reported += f" {name}={value}"
    for name in ("parts_stored", "reported"):
        if (count := getattr(answer, name)) >= 0:
            reported += f" {name}={count}"
    return f"{reported} (after {answer.ended - answer.began:.3f} s)"


def _of_sending(sending: Sending) -> str:
    took = (
        "no end seen" if sending.ended == NEVER else f"after {sending.ended - sending.began:.3f} s"
    )
    bytes_sent = "right" if sending.right else "wrong"
    way = "UploadPart" if sending.by_service else "PUT"
    return f"{way} part {sending.part}, {bytes_sent} bytes: {sending.status} ({took})"
