"""Tests the line numbers of keys and tables, whatever TOML allows between them."""

import string
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partway_server.config.toml_positions import Path, line_of, lines_of

HARD = r'''
# [no.table]
[policy.a]   # [nor.this]
bucket = "b" # x = 1
types = [
  "image/*", # ]
  "a#b", '[',
  [1,
   2],
]
inline = { jpg = "]", "p ng" = ["}"] }

[ policy . "b c" ]
text = """
[policy.z]
quote "" \""" x = 1"""""
a . b.c = 1979-05-27
'q.r'."s\u0041" = 2
[policy.a.tags]
raw = @@@
a = 1
@@@'
empty = ""
[[list]]
z = 1
'''.replace("@@@", "'" * 3)

LINES = {
    ("policy",): 3,
    ("policy", "a"): 3,
    ("policy", "a", "bucket"): 4,
    ("policy", "a", "types"): 5,
    ("policy", "a", "inline"): 11,
    ("policy", "b c"): 13,
    ("policy", "b c", "text"): 14,
    ("policy", "b c", "a"): 17,
    ("policy", "b c", "a", "b"): 17,
    ("policy", "b c", "a", "b", "c"): 17,
    ("policy", "b c", "q.r"): 18,
    ("policy", "b c", "q.r", "sA"): 18,
    ("policy", "a", "tags"): 19,
    ("policy", "a", "tags", "raw"): 20,
    ("policy", "a", "tags", "empty"): 23,
    ("list",): 24,
    ("list", "z"): 25,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_every_key_has_its_line(newline: str, last: str) -> None:
    text = HARD.rstrip("\n").replace("\n", newline) + last
    assert tomllib.loads(text)
    assert lines_of(text) == LINES


def test_what_stands_in_a_value_has_the_line_of_its_key() -> None:
    lines = lines_of(HARD)
    assert line_of(lines, ("policy", "a", "inline", "jpg")) == 11
    assert line_of(lines, ("policy", "a", "nothing")) == 3
    assert line_of(lines, ()) == line_of({}, ("a",)) == 1


def test_a_file_of_nothing_has_no_lines() -> None:
    for text in ("", "\n\n", "# only this"):
        assert lines_of(text) == {}


bare = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=5)
names = bare | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)
values = st.one_of(
    st.integers(-9, 9).map(str),
    st.text("a[]{}#=., \"'\n\\", max_size=8).map(lambda text: f"{_quoted(text)}"),
    st.text('a[]{}#=.,\n"\\', max_size=8).map(lambda text: f"'''{text}'''"),
    st.just('[\n1, # ]\n["]"],\n]'),
    st.just('{ a = "}", b = [1] }'),
)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@given(st.lists(st.tuples(st.sampled_from(["[{}]", "{} = {}"]), names, values), max_size=8))
def test_keys_are_found_where_they_were_written(
    written: list[tuple[str, str, str]],
) -> None:
    text, expected, table = "", dict[Path, int](), Path()
    for number, (form, name, value) in enumerate(written):
        # Its number makes a name new.
        name += str(number)
        line = text.count("\n") + 1
        if form == "[{}]":
            table = (name,)
            text += f"[{_quoted(name)}] # [x]\n"
            expected[table] = line
        else:
            text += f"{_quoted(name)} = {value}\n\n"
            expected[*table, name] = line
    assert {path for path in _paths(tomllib.loads(text)) if path in expected} == set(expected)
    assert lines_of(text) == expected


def _paths(tables: dict[str, Any]) -> list[Path]:
    found: list[Path] = [(name,) for name in tables]
    for name, value in tables.items():
        if isinstance(value, dict):
            found += [(name, *path) for path in _paths(value)]
    return found


def test_a_file_of_many_lines_is_read_once() -> None:
    """Check that it is not read once per key: that would take a minute, and time out."""
    text = "".join(f"key{n} = {n}\n" for n in range(100_000))
    assert lines_of(text)[("key99999",)] == 100_000
