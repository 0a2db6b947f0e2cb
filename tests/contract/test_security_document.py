"""Tests that SECURITY.md names each threat once, with tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text()
ROWS = re.findall(r"^\| (S[0-9S, ]+) \| (.+) \| (.+) \| (.+) \|$", TEXT, re.M)


def test_every_threat_has_one_row() -> None:
    named = [int(number) for row in ROWS for number in re.findall(r"S(\d+)", row[0])]
    assert sorted(named) == list(range(1, 23))


def test_the_tests_of_each_row_exist() -> None:
    for threat, _, _, tests in ROWS:
        paths = re.findall(r"`(tests/[^`]+)`", tests)
        assert paths, threat
        assert not [path for path in paths if not (ROOT / path).exists()]


def test_it_is_one_page_and_the_readme_leads_to_it() -> None:
    assert len(TEXT.split()) < 1100
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text()
