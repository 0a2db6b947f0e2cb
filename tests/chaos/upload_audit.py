"""Audit every upload: what must hold whatever faults the services and Redis suffered.

Storage is authoritative. Each answer is compared with what storage has at the end, with what it
had at that moment, and with earlier answers.

Three things are excused and counted separately: an object that arrived after an acknowledged abort
that Redis had lost; a composed object unknown to its caller because Redis had lost the request; and
the empty object of a service that was killed during its storage check at startup.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from partway_server.storage.s3_startup_check import PROBE_PREFIX

from tests.chaos import composed
from tests.chaos.bucket_reader import Found, Holdings
from tests.chaos.ledger import (
    ABORTED,
    COMPLETED,
    NEVER,
    UNDER_WAY,
    Answer,
    Ledger,
    Story,
)

_WRONG_ALWAYS = {
    "UPLOAD_NOT_FOUND": "an id that was handed out is unknown",
    "INTERNAL": "the service has a fault",
    "OBJECT_EXISTS": "no one else writes this key",
    "UPLOAD_CONFLICT": "no one else writes this key",
    "PARTS_REFUSED": "storage has every part",
    "PARTS_MISMATCH": "every part has its size",
    "INVALID_REQUEST": "nothing is wrong with the request",
    "REQUEST_ID_REUSED": "the request is the same",
    "STORAGE_REFUSED": "storage refuses nothing",
    "VIA_SERVICE_OFF": "every policy lets parts through the service",
    "PART_CHANGED": "the bytes are those of the plan",
    "SOURCES_NOT_JOINABLE": "every source but the last is large enough",
    "CallFailed": "no Partway service answers so",
}
_ODD_CODES = ("UNKNOWN", "INTERNAL", "UNIMPLEMENTED", "DATA_LOSS", "OUT_OF_RANGE")
_SLACK = 0.5
"""Tolerated clock difference at a deadline, in seconds."""


class Kind(StrEnum):
    """A kind of violation; the last three are excused."""

    LOST = "acknowledged_lost"
    CORRUPTED = "corrupted"
    FALSE = "false_answers"
    ORPHAN = "orphans"
    UNFINISHED = "unfinished"
    EVENT_LOST = "events_lost"
    EVENT_FALSE = "events_false"
    MISCOUNTED = "usage_miscounted"
    RESURRECTED = "late_objects_redis_forgot"
    PROBE = "start_probes_left"
    UNREPORTED = "composed_redis_forgot"


EXCUSED = (Kind.RESURRECTED, Kind.PROBE, Kind.UNREPORTED)


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, with the `story` of its upload if that is known."""

    kind: Kind
    words: str
    story: Story | None = None


def judge(ledger: Ledger, holdings: Holdings) -> list[Violation]:
    """Return all violations of a run."""
    violations = []
    sums = _sums(holdings)
    for story in ledger.stories:
        found = holdings.objects.get(story.key)
        violations += [
            Violation(kind, words, story) for kind, words in _of_story(ledger, story, found)
        ]
        violations += [Violation(Kind.LOST, words, story) for words in composed.lost(story, sums)]
        violations += [
            Violation(Kind.ORPHAN, words, story) for words in composed.left(ledger, story, sums)
        ]
    return violations + _of_strangers(ledger, holdings)


def _of_strangers(ledger: Ledger, holdings: Holdings) -> list[Violation]:
    """Return what is in storage and belongs to no known upload."""
    by_name = {story.name: story for story in ledger.stories}
    known, sums = {story.key for story in ledger.stories}, _sums(holdings)
    violations = []
    for key in holdings.unfinished:
        story = by_name.get(key.rpartition("/")[2])
        violations.append(Violation(Kind.ORPHAN, f"an unfinished multipart upload at {key}", story))
    for key in holdings.objects.keys() - known:
        story = by_name.get(key.rpartition("/")[2])
        kind = Kind.PROBE if key.startswith(PROBE_PREFIX) else Kind.ORPHAN
        if story is not None and composed.unreported(ledger, story, key, sums):
            kind = Kind.UNREPORTED
        violations.append(Violation(kind, f"an object that no one knows at {key}", story))
    return violations


def _sums(holdings: Holdings) -> Mapping[str, str]:
    return {key: found.sha256 for key, found in holdings.objects.items()}


def _of_story(ledger: Ledger, story: Story, found: Found | None) -> Iterator[tuple[Kind, str]]:
    if story.unfinished:
        yield Kind.UNFINISHED, story.unfinished
    yield from _object(ledger, story, found)
    for words in (
        *_etags(story, found),
        *_ends(story),
        *_reasons(story),
        *_backwards(ledger, story),
        *_progress(story),
        *_reported(ledger, story),
        *_watches(story),
        *story.wrong,
        *composed.unusable(ledger, story),
        *_keys(ledger, story),
    ):
        yield Kind.FALSE, words
    if any(look.there for look in story.looks):
        yield Kind.FALSE, "storage had the object when it was said to be aborted"


def _object(ledger: Ledger, story: Story, found: Found | None) -> Iterator[tuple[Kind, str]]:
    completed, aborted = story.said(COMPLETED), story.said(ABORTED)
    if found is None:
        # A composition may have removed it: `composed.lost` checks that.
        if completed and story.removable == NEVER:
            yield Kind.LOST, "it was said to be COMPLETED, and there is no object"
        return
    if found.sha256 != story.sha256:
        yield Kind.CORRUPTED, f"{found.size_bytes} bytes in storage, {story.size_bytes} sent"
    if completed:
        return
    if not aborted:
        if story.sent_by_raw_calls and not (story.completes or (story.single and story.sendings)):
            yield Kind.FALSE, "there is an object, and no one asked for it"
    elif not _late(story):
        yield Kind.FALSE, "it was said to be ABORTED, and the object is there"
    elif ledger.harmed(story.began):
        yield Kind.RESURRECTED, "the object came after the abort, and Redis forgot the abort"
    else:
        yield Kind.ORPHAN, "the object came after the abort, and was not removed"


def _late(story: Story) -> bool:
    """Return whether a single PUT may have arrived after the first ABORTED was determined."""
    return story.single and story.in_flight(story.said(ABORTED)[0].began)


def _etags(story: Story, found: Found | None) -> Iterator[str]:
    reported = {answer.etag for answer in story.said(COMPLETED) if answer.etag}
    if len(reported) > 1:
        yield "two answers name different entity tags"
    elif found is not None and reported and reported != {found.etag}:
        yield "storage has another entity tag than the answers"


def _ends(story: Story) -> Iterator[str]:
    completed = story.said(COMPLETED)
    for aborted in story.said(ABORTED):
        if any(c.ended < aborted.began for c in completed):
            yield "ABORTED was said after COMPLETED"
        elif completed and not _late(story):
            yield "both ABORTED and COMPLETED were said"


def _reasons(story: Story) -> Iterator[str]:
    for answer in story.answers:
        asked = any(at < answer.ended for at in story.aborts)
        if words := _WRONG_ALWAYS.get(answer.reason):
            yield f"{answer.verb} said {answer.reason}: {words}"
        if answer.code in _ODD_CODES:
            yield f"{answer.verb} ended with {answer.code}"
        refused = answer.reason == "PARTS_MISSING" and not asked
        if refused and len(story.sent_parts(answer.began)) == story.part_count:
            yield "parts are said to be missing that storage had acknowledged"
        if answer.state != ABORTED:
            continue
        if answer.abort_reason in ("OBJECT_EXISTS", "CONFLICT"):
            yield f"aborted for {answer.abort_reason}, and no one else writes this key"
        if answer.abort_reason in ("LOST", "REQUESTED") and not asked:
            yield f"aborted for {answer.abort_reason}, and no one asked for it"
        if answer.abort_reason == "EXPIRED" and answer.ended < story.expires_at - _SLACK:
            yield "said to have expired before its time"


def _backwards(ledger: Ledger, story: Story) -> Iterator[str]:
    """Find final states that were reversed although Redis lost nothing.

    Status and Watch may look into storage, and so report an object before the Complete or Abort
    in flight does.
    """
    recorded = [a for a in story.said(COMPLETED) if a.verb not in ("Status", "Watch")]
    for last in (*recorded[:1], *story.said(ABORTED)[:1]):
        if last.state == ABORTED and _late(story):
            continue
        for answer in story.answers:
            if answer.began <= last.ended or answer.state not in UNDER_WAY:
                continue
            if not ledger.forgot(last.began, answer.ended):
                yield f"{answer.state} was said after {last.state}"


def _progress(story: Story) -> Iterator[str]:
    for answer in story.answers:
        if (
            answer.parts_stored < 0
            or story.sources
            or any(at < answer.ended for at in story.aborts)
        ):
            continue
        begun = {s.part for s in story.sendings if s.began < answer.ended}
        if not len(story.sent_parts(answer.began)) <= answer.parts_stored <= len(begun):
            yield f"progress said {answer.parts_stored} parts"


def _reported(ledger: Ledger, story: Story) -> Iterator[str]:
    """Check the counts of reported parts: reports are lost only with Redis, and at the end."""
    for answer in story.answers:
        if answer.reported < 0 or story.sources or not story.sent_by_raw_calls:
            continue
        most = len({s.part for s in story.sendings if s.began < answer.ended})
        reports = [at for at in story.reports.values() if at < answer.began]
        forgot = bool(reports) and ledger.forgot(story.began, answer.ended)
        if not (0 if forgot else len(reports)) <= answer.reported <= most:
            yield f"{answer.verb} spoke of {answer.reported} reported parts"


def _watches(story: Story) -> Iterator[str]:
    """Check the order within one Watch; `_backwards` compares different calls."""
    reported = [answer for answer in story.answers if answer.verb == "Watch"]
    for before, answer in pairwise(sorted(reported, key=lambda a: (a.began, a.ended))):
        if before.began == answer.began and before.state in (COMPLETED, ABORTED) and answer.state:
            yield f"a Watch said {answer.state} after {before.state}"


def _keys(ledger: Ledger, story: Story) -> Iterator[str]:
    reported: Sequence[Answer] = [
        a for a in story.answers if a.verb in ("Initialize", "Compose") and a.key
    ]
    if len({a.key for a in reported}) > 1 and not ledger.forgot(story.began, reported[-1].ended):
        yield f"a repeated {reported[-1].verb} opened another Upload"
