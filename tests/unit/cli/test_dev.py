"""Tests the options of `partway-server dev`."""

import click
import pytest
from partway_server.cli.dev import _origin


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://App.Example/", "https://app.example"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("*", "*"),
    ],
)
def test_an_origin_is_written_as_browsers_do(given: str, origin: str) -> None:
    assert _origin(given) == origin


@pytest.mark.parametrize(
    "given",
    ["localhost:3000", "http://", "http://a/path", "ftp://a", "http://*.example", "null", ""],
)
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(click.BadParameter):
        _origin(given)
