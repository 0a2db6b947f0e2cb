"""Tests which connections go through a proxy."""

import pytest
from partway_client._transport.proxies import grpc_proxy_for, http_proxy_for


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_without_variables_there_is_none() -> None:
    assert http_proxy_for("https", "s3.example.com", None) is None
    assert grpc_proxy_for("partway.example.com", 443) is None


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
@pytest.mark.parametrize("value", ["http://proxy:3128", "proxy:3128"])
def test_it_may_be_named_without_a_scheme(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert http_proxy_for("http", "s3.example.com", None) == "http://proxy:3128"
    assert http_proxy_for("https", "s3.example.com", None) is None
    assert grpc_proxy_for("partway.example.com", 443) == "http://proxy:3128"


def test_grpc_has_a_variable_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "one:1")
    monkeypatch.setenv("https_proxy", "two:2")
    assert grpc_proxy_for("partway.example.com", 443) == "http://two:2"
    monkeypatch.setenv("grpc_proxy", "three:3")
    assert grpc_proxy_for("partway.example.com", 443) == "http://three:3"


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
@pytest.mark.parametrize(
    ("listed", "host", "port", "direct"),
    [
        ("*", "s3.example.com", None, True),
        ("example.com", "s3.example.com", None, True),
        (".example.com", "s3.example.com", None, True),
        ("*.example.com", "s3.example.com", None, True),
        ("EXAMPLE.com", "S3.example.COM", None, True),
        ("ample.com", "s3.example.com", None, False),
        ("other.org, example.com", "example.com", 9000, True),
        ("example.com:9000", "example.com", 9000, True),
        ("example.com:9000", "example.com", 443, False),
        ("10.0.0.0/8", "10.1.2.3", 9000, True),
        ("10.0.0.0/8", "11.1.2.3", 9000, False),
        ("10.1.2.3", "10.1.2.3", 9000, True),
        ("fd00::/8", "fd00::1", 9000, True),
        ("", "s3.example.com", None, False),
        ("", "localhost", 9000, True),
        ("", "127.8.0.1", 9000, True),
        ("", "::1", 9000, True),
    ],
)
def test_what_is_reached_without_one(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    listed: str,
    host: str,
    port: int | None,
    direct: bool,
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv(name, listed)
    proxy = None if direct else "http://proxy:3128"
    assert http_proxy_for("https", host, port) == proxy
    assert grpc_proxy_for(host, port or 443) == proxy
