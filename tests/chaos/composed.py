"""Audit composed uploads and their sources.

If the sources were to be removed, either all of them exist or the composed object does. Otherwise
they are compared with storage like any upload. Redis may lose a Compose: then the sources stay, or
a repeat opens another upload, and no one learns of the first.
"""

from collections.abc import Iterator, Mapping

from tests.chaos.ledger import COMPLETED, Ledger, Story

Sums = Mapping[str, str]
"""The SHA-256 of each object, by its key."""


def lost(story: Story, sums: Sums) -> Iterator[str]:
    """Yield a violation if bytes are lost: a source is gone without a composed object."""
    gone = any(source.key not in sums for source in story.sources if source.said(COMPLETED))
    if gone and not any(_is_of(story, key) and sums[key] == story.sha256 for key in sums):
        yield "a source is gone, and there is no object of all of them"


def left(ledger: Ledger, story: Story, sums: Sums) -> Iterator[str]:
    """Yield the sources that should have been removed."""
    if story.delete_sources and story.said(COMPLETED) and not _forgot(ledger, story):
        for source in story.sources:
            if source.key in sums:
                yield f"it was to be removed once composed: {source.key}"


def unreported(ledger: Ledger, story: Story, key: str, sums: Sums) -> bool:
    """Return whether the object is a complete composition that Redis lost."""
    return (
        bool(story.sources)
        and _is_of(story, key)
        and sums[key] == story.sha256
        and _forgot(ledger, story)
    )


def unusable(ledger: Ledger, story: Story) -> Iterator[str]:
    """Yield the answers that wrongly report a changed source."""
    if story.delete_sources and _forgot(ledger, story):
        # An earlier request may have removed them.
        return
    for answer in story.answers:
        if answer.reason == "SOURCE_UNUSABLE" or answer.abort_reason == "SOURCE_CHANGED":
            yield f"{answer.verb} said that a source changed, and none did"


def _forgot(ledger: Ledger, story: Story) -> bool:
    """Return whether Redis lost writes during Compose; later losses make no difference."""
    ends = [answer.ended for answer in story.answers if answer.verb == "Compose"]
    return ledger.forgot(story.began, max(ends, default=story.began))


def _is_of(story: Story, key: str) -> bool:
    return key.rpartition("/")[2] == story.name
