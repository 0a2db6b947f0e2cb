"""Tests what is found wrong with the files of a server's certificate, and the words for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from partway_server.config.certificate_files import (
    CertificateFileError,
    CertificateFiles,
    CertificatePem,
    certificate_hosts,
    examine_pem,
    read_pem,
)
from partway_server.config.settings import Settings

from examples.certs import Authority

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture(scope="module")
def pem(authority: Authority) -> CertificatePem:
    pair = authority.server("uploads.example.com", "*.example.com", "10.0.0.1", "fd00::1")
    return CertificatePem(pair.certificate, pair.key, authority.pem)


def test_a_certificate_is_read_with_its_names_and_its_end(pem: CertificatePem) -> None:
    facts = examine_pem(pem, NOW)
    assert facts.names == ["uploads.example.com", "*.example.com", "10.0.0.1", "fd00::1"]
    assert timedelta(days=89) < facts.expire_time - NOW < timedelta(days=91)


def test_the_earliest_end_of_the_chain_counts(authority: Authority, pem: CertificatePem) -> None:
    soon = authority.server("intermediate", lifetime=timedelta(days=3))
    facts = examine_pem(replace(pem, certificate=pem.certificate + soon.certificate), NOW)
    assert facts.expire_time - NOW < timedelta(days=4)


def _key(make: Callable[[], object], encryption: object = None) -> bytes:
    key = make()
    found: bytes = key.private_bytes(  # type: ignore[attr-defined]
        Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()
    )
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"certificate": b""}, "PARTWAY_TLS_CERT_FILE: holds no PEM certificate"),
        ({"certificate": b"-----BEGIN CERTIFICATE-----\nAAAA"}, "TLS_CERT_FILE: holds no"),
        ({"key": b"nothing"}, "PARTWAY_TLS_KEY_FILE: holds no PEM private key"),
        (
            {"key": _key(lambda: ec.generate_private_key(ec.SECP256R1()))},
            "PARTWAY_TLS_KEY_FILE: is not the key of the certificate",
        ),
        (
            {
                "key": _key(
                    lambda: ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")
                )
            },
            "PARTWAY_TLS_KEY_FILE: is encrypted",
        ),
        ({"key": _key(ed25519.Ed25519PrivateKey.generate)}, "is neither an RSA key of 2048 bits"),
        ({"key": _key(lambda: rsa.generate_private_key(65537, 1024))}, "is neither an RSA key"),
        ({"client_ca": b""}, "PARTWAY_TLS_CLIENT_CA_FILE: holds no PEM certificate"),
    ],
)
def test_what_is_wrong_is_reported_with_the_setting(
    pem: CertificatePem, change: dict[str, bytes], words: str
) -> None:
    with pytest.raises(CertificateFileError) as raised:
        examine_pem(replace(pem, **change), NOW)
    assert words in str(raised.value)


def test_a_key_in_the_place_of_a_certificate_is_not_shown(pem: CertificatePem) -> None:
    swapped = CertificatePem(pem.key, pem.certificate, None)
    with pytest.raises(CertificateFileError) as raised:
        examine_pem(swapped, NOW)
    assert not any(line in str(raised.value) for line in pem.key.decode().splitlines()[1:-1])
    assert pem.key.decode() not in repr(pem)


def test_an_expired_certificate_cannot_be_used(pem: CertificatePem) -> None:
    with pytest.raises(CertificateFileError, match="expired at"):
        examine_pem(pem, NOW + timedelta(days=91))


def test_a_file_that_cannot_be_read_is_reported_by_its_setting(tmp_path: Path) -> None:
    files = CertificateFiles(tmp_path / "none.pem", tmp_path / "none.key", None)
    with pytest.raises(CertificateFileError, match="PARTWAY_TLS_CERT_FILE: cannot be read: No su"):
        read_pem(files)


def test_settings_without_a_certificate_name_no_files() -> None:
    assert CertificateFiles.of_settings(Settings()) is None
    files = CertificateFiles.of_settings(Settings(tls_cert_file="a", tls_key_file="b"))
    assert files == CertificateFiles(Path("a"), Path("b"), None)


def test_the_hosts_of_a_certificate_are_read_without_its_key(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.server("a.example", "10.0.0.1").write(tmp_path, "server")
    key.unlink()
    assert certificate_hosts(certificate) == ["a.example", "10.0.0.1"]
    nameless, _ = authority.issue([], []).write(tmp_path, "nameless")
    assert certificate_hosts(nameless) == ()
