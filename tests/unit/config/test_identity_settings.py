"""Tests what the settings about callers may be, and which of them contradict each other."""

import pytest
from partway_server.config.identity_settings import is_loopback

from tests.unit.config.test_settings import problems

JWT = {
    "identity": "jwt",
    "jwt_issuer": "https://issuer.example",
    "jwt_audience": "partway",
    "jwt_jwks_url": "https://issuer.example/jwks.json",
}


@pytest.mark.parametrize("identity", ["none", "metadata", " metadata "])
def test_a_method_may_stand_alone(identity: str) -> None:
    assert problems(identity=identity) == []


@pytest.mark.parametrize("identity", ["jwt", "jwt,metadata", "metadata, jwt"])
def test_methods_may_be_combined(identity: str) -> None:
    assert problems(**{**JWT, "identity": identity}) == []


@pytest.mark.parametrize(
    "identity", ["none,metadata", "none,jwt", "JWT", "password", ",", "metadata;jwt"]
)
def test_none_stands_alone_and_others_are_unknown(identity: str) -> None:
    [line] = problems(identity=identity)
    assert line.startswith("PARTWAY_IDENTITY") and "neither none alone" in line


@pytest.mark.parametrize(
    "address", ["0.0.0.0:50051", "[::]:50051", "10.0.0.1:50051", "partway:50051", "127.evil:50051"]
)
def test_anyone_may_call_only_where_no_one_else_can(address: str) -> None:
    [line] = problems(address=address)
    assert line.startswith("PARTWAY_IDENTITY")
    assert address in line and "PARTWAY_ALLOW_ANONYMOUS=true" in line
    assert problems(address=address, allow_anonymous="true") == []
    assert problems(address=address, identity="metadata") == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1:50051", "127.8.9.1:50051", "[::1]:50051", "localhost:50051"]
)
def test_on_loopback_anyone_may_call(address: str) -> None:
    assert problems(address=address) == []


@pytest.mark.parametrize(
    ("host", "loopback"), [("::ffff:127.0.0.1", False), ("localhost.evil", False), ("", False)]
)
def test_what_looks_like_loopback_may_not_be(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_problem_of_the_address_is_reported_by_itself() -> None:
    [line] = problems(address="nowhere")
    assert line.startswith("PARTWAY_ADDRESS")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"jwt_issuer": ""}, "PARTWAY_JWT_ISSUER"),
        ({"jwt_audience": ""}, "PARTWAY_JWT_AUDIENCE"),
        ({"jwt_audience": " , "}, "PARTWAY_JWT_AUDIENCE"),
        ({"jwt_jwks_url": ""}, "PARTWAY_JWT_JWKS_URL"),
        ({"jwt_jwks_file": "/etc/jwks.json"}, "PARTWAY_JWT_JWKS_URL"),
        ({"jwt_algorithms": "RS256,HS256"}, "PARTWAY_JWT_ALGORITHMS"),
        ({"jwt_algorithms": "none"}, "PARTWAY_JWT_ALGORITHMS"),
        ({"jwt_algorithms": "rs256"}, "PARTWAY_JWT_ALGORITHMS"),
        ({"jwt_algorithms": "ES256K"}, "PARTWAY_JWT_ALGORITHMS"),
        ({"jwt_algorithms": ","}, "PARTWAY_JWT_ALGORITHMS"),
        ({"jwt_leeway_seconds": "61"}, "PARTWAY_JWT_LEEWAY_SECONDS"),
        ({"jwt_leeway_seconds": "-1"}, "PARTWAY_JWT_LEEWAY_SECONDS"),
        ({"jwt_default_scopes": "upload write"}, "PARTWAY_JWT_DEFAULT_SCOPES"),
        ({"jwt_default_scopes": "upload,read"}, "PARTWAY_JWT_DEFAULT_SCOPES"),
        ({"identity": "metadata"}, "PARTWAY_JWT_ISSUER"),
        ({"identity": "none", "jwt_issuer": ""}, "PARTWAY_JWT_JWKS_URL"),
        ({"trusted_peers": "10.0.0.1/8"}, "PARTWAY_TRUSTED_PEERS"),
        ({"trusted_peers": "gateway"}, "PARTWAY_TRUSTED_PEERS"),
        ({"trusted_peers": "10.0.0.0/8,10.0.0.0/33"}, "PARTWAY_TRUSTED_PEERS"),
        ({"trusted_peers": "::ffff:10.0.0.0/104"}, "PARTWAY_TRUSTED_PEERS"),
    ],
)
def test_what_is_missing_or_wrong_is_one_line(changes: dict[str, str], named: str) -> None:
    [line] = problems(**{**JWT, **changes})
    assert line.startswith(named)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/jwks",
        "http://10.0.0.1/jwks",
        "http://localhost.evil/jwks",
        "http://127.0.0.1.evil/jwks",
        "http://127.0.0.1@evil/jwks",
        "https://user:hunter2@issuer.example/jwks",
        "https:///user:hunter2@issuer.example/jwks",
        "https://issuer.example/jwks#x",
        "https://",
        "https:///jwks",
        "https://issuer.example:99999/jwks",
        "https://issuer.example\\@evil/jwks",
        "https://issuer.example/a b",
        "https://issuér.example/jwks",
        "ftp://issuer.example/jwks",
        "file:///etc/passwd",
        "issuer.example/jwks",
        "//issuer.example/jwks",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("private", ["false", "true"])
def test_the_url_of_a_jwks_is_https(url: str, private: str) -> None:
    [line] = problems(**{**JWT, "jwt_jwks_url": url, "jwt_jwks_allow_private": private})
    assert line.startswith("PARTWAY_JWT_JWKS_URL")
    assert "hunter2" not in line


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_on_loopback_it_may_be_http_for_development(host: str) -> None:
    url = f"http://{host}/jwks.json"
    [line] = problems(**{**JWT, "jwt_jwks_url": url})
    assert "PARTWAY_JWT_JWKS_ALLOW_PRIVATE" in line
    assert problems(**{**JWT, "jwt_jwks_url": url, "jwt_jwks_allow_private": "true"}) == []


def test_a_file_of_keys_is_enough() -> None:
    assert problems(**{**JWT, "jwt_jwks_url": "", "jwt_jwks_file": "/etc/jwks.json"}) == []
