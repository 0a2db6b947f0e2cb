"""Tests that no file contains a banned word, and that the check finds one where it occurs."""

import pytest

from tests.contract.banned_words import banned, findings, report


def test_no_file_has_a_banned_word() -> None:
    assert report() == []


@pytest.mark.parametrize("word", ["t" + "old", "T" + "ELL", "no" + "body", "un" + "foreseen"])
def test_a_banned_word_is_found_with_its_line_and_what_to_write(word: str) -> None:
    [(number, found, instead)] = findings(f"a fine line\nand one with {word}.\n", banned())
    assert (number, found) == (2, word)
    assert instead


@pytest.mark.parametrize("text", ["a recommended setting", "test_it_is_to" + "ld_apart", "held"])
def test_parts_of_other_words_are_no_finding(text: str) -> None:
    assert list(findings(text, banned())) == []
