"""Audit the events that a consumer processed.

docs/events.md promises that an acknowledged outcome is announced. If Redis loses the event before
anyone reads it, it is announced when the upload is next asked for. So Status is called once for
each upload between the faults and this audit, except for those that Compose removed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from partway_server.domain.events import COMPLETED, INITIALIZED

from tests.chaos import ledger as record
from tests.chaos.bucket_reader import Holdings
from tests.chaos.consumer_process import Heard
from tests.chaos.ledger import Ledger, Story
from tests.chaos.upload_audit import Kind, Violation

Firsts = Mapping[str, Heard]
"""The first event of each type of one upload."""


def judge_events(ledger: Ledger, holdings: Holdings, heard: Sequence[Heard]) -> list[Violation]:
    """Return all violations of the promise."""
    stories = {story.key: story for story in ledger.stories if story.key}
    by_key: dict[str, dict[str, Heard]] = defaultdict(dict)
    for event in sorted(heard, key=lambda event: event.place):
        by_key[event.key].setdefault(event.type, event)
    found = [
        *_of_ids(heard),
        *(
            (Kind.EVENT_LOST, words, story.key)
            for story in stories.values()
            for words in _missing(ledger, story, by_key.get(story.key, {}))
        ),
        *(
            (Kind.EVENT_FALSE, words, key)
            for key, firsts in by_key.items()
            for words in (
                *_untrue(holdings, key, stories.get(key), firsts),
                *_order(ledger, stories.get(key), firsts),
            )
        ),
    ]
    return [Violation(kind, words, stories.get(key)) for kind, words, key in found]


def judge_deliveries(
    ledger: Ledger, stories: Sequence[Story], delivered: Sequence[Heard], heard: Sequence[Heard]
) -> list[Violation]:
    """Return all violations by a webhook, after everything about `stories` was delivered.

    `delivered` is in order of arrival. `heard` is what a consumer of the streams received: both
    must see the same ids.
    """
    firsts: dict[str, dict[str, Heard]] = defaultdict(dict)
    for event in delivered:
        firsts[event.key].setdefault(event.type, event)
    found = [
        Violation(Kind.EVENT_LOST, f"by webhook: {words}", story)
        for story in stories
        for words in _missing(ledger, story, firsts.get(story.key, {}))
    ]
    by_key = {story.key: story for story in stories}
    found += [
        Violation(Kind.EVENT_FALSE, f"by webhook: {words}", by_key.get(key))
        for key, reported in firsts.items()
        for words in _order(ledger, by_key.get(key), reported)
    ]
    of_ids = _of_ids([*heard, *delivered])
    return found + [
        Violation(kind, f"by webhook: {words}", by_key.get(key)) for kind, words, key in of_ids
    ]


def _of_ids(heard: Sequence[Heard]) -> Iterator[tuple[Kind, str, str]]:
    ids: dict[tuple[str, str], str] = {}
    changes: dict[str, tuple[str, str]] = {}
    for event in heard:
        change = event.key, event.type
        if ids.setdefault(change, event.id) != event.id:
            yield Kind.EVENT_FALSE, f"two {event.type} have different ids", event.key
        if changes.setdefault(event.id, change) != change:
            yield Kind.EVENT_FALSE, f"an id of {event.type} is another change's, too", event.key


def _missing(ledger: Ledger, story: Story, firsts: Firsts) -> Iterator[str]:
    ends = firsts.keys() - {INITIALIZED}
    if story.said(record.COMPLETED):
        if COMPLETED not in firsts and not _removed_and_forgotten(ledger, story):
            yield "it was said to be COMPLETED, and no event said so"
    elif story.said(record.ABORTED) and not ends:
        yield "it was said to be ABORTED, and no event said so"
    first = min((event.at for event in firsts.values()), default=record.NEVER)
    if ends and INITIALIZED not in firsts and not ledger.forgot(story.began, first):
        yield "its end was announced, and its beginning was not"


def _removed_and_forgotten(ledger: Ledger, story: Story) -> bool:
    """Return whether Redis may have lost, for good, the event or end of a removed source.

    No one asks again for what Compose removed.
    """
    return story.removable < record.NEVER and ledger.harmed(story.began)


def _untrue(holdings: Holdings, key: str, story: Story | None, firsts: Firsts) -> Iterator[str]:
    if (done := firsts.get(COMPLETED)) is None:
        return
    if (found := holdings.objects.get(key)) is None:
        if story is None or story.removable == record.NEVER:
            yield f"{COMPLETED} was announced, and there is no object at {key}"
    elif (found.etag, found.size_bytes) != (done.etag, done.size_bytes):
        yield f"{COMPLETED} announced of another object than there is at {key}"


def _order(ledger: Ledger, story: Story | None, firsts: Firsts) -> Iterator[str]:
    began, done = firsts.get(INITIALIZED), firsts.get(COMPLETED)
    ends = [event for kind, event in firsts.items() if kind != INITIALIZED]
    forgot = story is None or ledger.forgot(story.began, max(event.at for event in firsts.values()))
    if began and any(end.place < began.place for end in ends) and not forgot:
        yield f"an end was announced before {INITIALIZED}"
    if story is not None and _removed_and_forgotten(ledger, story):
        # A session record restored from before the end finds no object.
        return
    if done and any(done.place < end.place for end in ends):
        yield f"another end was announced after {COMPLETED}"
