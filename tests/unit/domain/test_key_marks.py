"""Tests that a mark is ours, valid for its key and bucket only, and found anywhere in a key."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partway_server.domain.key_marks import SEGMENT_CHARS, KeyMark, KeyMarks

from tests.support.uploads import sid_of

OURS, OTHERS = bytes(range(64)), bytes(range(1, 65))
DEADLINE = datetime(2026, 3, 7, 12, tzinfo=UTC)
SID, TOKEN = sid_of("mark"), sid_of("token")
MARK = KeyMark(SID, TOKEN[:8], DEADLINE)


def marked_key(template: str = "acme/2026/03/01/{}/film.mp4", **changes: Any) -> str:
    facts: dict[str, Any] = {
        "write_token": TOKEN,
        "expire_time": DEADLINE,
        "bucket": "uploads",
    } | changes
    return template.format(KeyMarks([OURS]).marked(SID, key=template.format(SID), **facts))


@pytest.mark.parametrize(
    "template", ["{}", "a/{}/b", "a{}", "{}0f", "{}-{{}}", "é/{}.名前", "{0}/{0}"]
)
def test_a_mark_is_read_wherever_it_stands(template: str) -> None:
    assert KeyMarks([OURS]).read("uploads", marked_key(template)) == MARK


def test_a_segment_is_as_long_as_it_says() -> None:
    assert len(marked_key("{}")) == SEGMENT_CHARS


def test_any_of_the_sealing_keys_reads_it_and_no_other() -> None:
    key = marked_key()
    assert KeyMarks([OTHERS, OURS]).read("uploads", key) == MARK
    assert KeyMarks([OTHERS]).read("uploads", key) is None


def test_a_copy_of_our_object_elsewhere_has_no_mark() -> None:
    key = marked_key()
    marks = KeyMarks([OURS])
    assert marks.read("backups", key) is None
    for copy in (f"backup/{key}", f"{key}.bak", key.replace("acme", "evil")):
        assert marks.read("uploads", copy) is None


def test_the_mark_of_another_upload_in_the_callers_own_text_is_passed_over() -> None:
    another = marked_key("{}")
    key = marked_key(f"{another}/{{}}/{another}", write_token=sid_of("second"))
    found = KeyMarks([OURS]).read("uploads", key)
    assert found is not None and found.token_start == sid_of("second")[:8]


@given(st.integers(0, SEGMENT_CHARS - 1), st.sampled_from("0123456789abcdef"))
def test_no_character_of_it_can_be_another(place: int, character: str) -> None:
    segment = marked_key("{}")
    other = segment[:place] + character + segment[place + 1 :]
    found = KeyMarks([OURS]).read("uploads", other)
    assert found == (MARK if other == segment else None)


@pytest.mark.parametrize(
    "key", ["", "film.mp4", SID, f"{SID}-", f"{SID}-{'0' * 28}", f"{SID}-{TOKEN[:8]}/film.mp4"]
)
def test_a_key_without_a_mark_has_none(key: str) -> None:
    assert KeyMarks([OURS]).read("uploads", key) is None


@given(st.text(max_size=200))
def test_any_text_can_be_looked_at(key: str) -> None:
    assert KeyMarks([OURS]).read("uploads", key) is None
