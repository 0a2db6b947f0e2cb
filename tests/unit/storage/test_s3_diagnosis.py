"""Tests the words for what prevents an answer of storage."""

import ssl
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import EndpointConnectionError
from partway_server.domain.obstacle import EXPIRED, OTHER_NAME, UNTRUSTED, certificate_word
from partway_server.storage import obstacles
from partway_server.storage.s3_diagnosis import listing_word, word_of


class Key:
    """The connection that an aiohttp error is about: the error only takes its text from it."""

    host, port, ssl, is_ssl = "host", 443, True, True


KEY: Any = Key()


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    """Return the error of OpenSSL with that code of a verification."""
    error = ssl.SSLCertVerificationError()
    error.verify_code = code
    return error


@pytest.mark.parametrize(("code", "word"), [(10, EXPIRED), (62, OTHER_NAME), (18, UNTRUSTED)])
def test_what_is_wrong_with_a_certificate_is_a_word(code: int, word: str) -> None:
    assert certificate_word(certificate_error(code)) == word


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (aiohttp.ClientConnectorDNSError(KEY, OSError()), "dns"),
        (aiohttp.ClientConnectorError(KEY, OSError()), "connect"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError()), "tls"),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "WRONG_VERSION_NUMBER")), "plain"),
        (
            aiohttp.ClientConnectorCertificateError(KEY, certificate_error(20)),
            UNTRUSTED,
        ),
        (aiohttp.ConnectionTimeoutError(), "timeout"),
        (aiohttp.ServerDisconnectedError(), "closed"),
        (TimeoutError(), "timeout"),
    ],
)
def test_what_is_in_the_way_is_a_word_also_if_the_sdk_wraps_it(error: Exception, word: str) -> None:
    assert word_of(error) == word
    wrapped = EndpointConnectionError(endpoint_url="https://files.example")
    wrapped.__context__ = error
    assert word_of(wrapped) == word


@pytest.mark.parametrize(
    ("status", "code", "reply", "word"),
    [
        (200, "", {"Name": "uploads"}, ""),
        (200, "", {}, "no S3"),
        (404, "NoSuchBucket", {}, ""),
        (404, "404", {}, "no S3"),
        (400, "", {}, "no S3"),
        (403, "AccessDenied", {}, ""),
        (503, "SlowDown", {}, ""),
        (502, "502", {}, "gateway"),
    ],
)
def test_an_answer_that_is_not_of_s3_is_noticed(
    status: int, code: str, reply: dict[str, str], word: str
) -> None:
    assert listing_word(status, code, reply) == word


@pytest.mark.parametrize("word", ["dns", "plain", "InvalidAccessKeyId", "PermanentRedirect"])
def test_what_is_wrong_with_a_backend_is_said_in_the_names_of_its_settings(word: str) -> None:
    assert obstacles.is_known(word)
    assert "PARTWAY_S3_" in obstacles.obstacle(word).remedy
    far = obstacles.obstacle(word, "far").remedy
    assert "of [backend.far]" in far and "PARTWAY_S3_" not in far
