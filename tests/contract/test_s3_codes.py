"""Tests that service and client agree on what S3's error codes mean."""

from partway_client._upload import part_outcome
from partway_server.storage.s3_codes import Meaning, codes_of

CLIENTS_OWN = {"RequestExpired"}
"""What the client calls an AccessDenied whose message says that the URL has expired."""


def test_the_client_reads_them_as_the_service_does() -> None:
    assert codes_of(Meaning.DAMAGED) >= part_outcome._DAMAGED_CODES
    assert codes_of(Meaning.TRANSIENT) >= part_outcome._AGAIN_CODES
    assert codes_of(Meaning.EXPIRED) == part_outcome._EXPIRED_CODES - CLIENTS_OWN


def test_the_client_knows_every_code_of_damaged_bytes_in_a_part() -> None:
    # The other is for the hash of a payload, which no URL is signed with.
    missing = codes_of(Meaning.DAMAGED) - part_outcome._DAMAGED_CODES
    assert missing == {"XAmzContentSHA256Mismatch"}
