"""Tests which addresses of a service are taken."""

import pytest
from partway_client import UploadClient
from partway_client._transport.channel import checked_server


@pytest.mark.parametrize(
    "server",
    ["127.0.0.1:50051", "partway:443", "[::1]:50051", "dns:///partway:443", "unix:/run/partway"],
)
def test_an_address_is_taken_as_it_is(server: str) -> None:
    assert checked_server(server) == server


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("http://partway:50051", "without http:// or https://"),
        ("https://partway", "without http:// or https://"),
        ("::1:50051", "an IPv6 address needs brackets"),
        ("partway", "must be HOST:PORT"),
        ("partway:", "must be HOST:PORT"),
        ("partway:70000", "must be HOST:PORT"),
        ("", "must be HOST:PORT"),
    ],
)
def test_anything_else_is_told_what_is_wanted(server: str, words: str) -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT") as raised:
        UploadClient(server)
    assert words in str(raised.value)
