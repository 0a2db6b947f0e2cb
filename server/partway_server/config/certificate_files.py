"""The certificate files that an operator names: read, and checked before anything uses them.

No message shows text of a file: in the place of a certificate there may be a key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from partway_server.config.settings import Settings

CERTIFICATE, KEY, CLIENT_CA = (
    "PARTWAY_TLS_CERT_FILE",
    "PARTWAY_TLS_KEY_FILE",
    "PARTWAY_TLS_CLIENT_CA_FILE",
)

SOON = timedelta(days=14)
"""How long before its end operators are warned."""

_MIN_RSA_BITS = 2048


class CertificateFileError(Exception):
    """A certificate file cannot be used. The text names its setting and says why."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a server finds its certificate, its key, and the CAs of its callers' certificates.

    Without `client_ca` no caller needs a certificate.
    """

    certificate: Path
    key: Path
    client_ca: Path | None

    @classmethod
    def of_settings(cls, settings: Settings) -> Self | None:
        """Return the files that the settings name, None if they name none."""
        if not settings.tls_cert_file:
            return None
        client_ca = settings.tls_client_ca_file
        return cls(
            certificate=Path(settings.tls_cert_file),
            key=Path(settings.tls_key_file),
            client_ca=Path(client_ca) if client_ca else None,
        )

    @property
    def paths(self) -> Sequence[Path]:
        """Return the files that there are to read."""
        files = (self.certificate, self.key, self.client_ca)
        return [path for path in files if path is not None]


@dataclass(frozen=True, slots=True, repr=False)
class CertificatePem:
    """What the files hold."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a server's certificate says: its names, and when it or a CA above it expires."""

    names: Sequence[str]
    expire_time: datetime


def read_pem(files: CertificateFiles) -> CertificatePem:
    """Read the files, unchecked. Raises CertificateFileError."""
    return CertificatePem(
        _content(CERTIFICATE, files.certificate),
        _content(KEY, files.key),
        _content(CLIENT_CA, files.client_ca) if files.client_ca is not None else None,
    )


def examine_pem(pem: CertificatePem, now: datetime) -> CertificateFacts:
    """Return what the certificate says.

    Raises CertificateFileError unless the key is that of the certificate, the certificate has not
    expired, and the CAs of callers are certificates.
    """
    chain = _certificates(CERTIFICATE, pem.certificate)
    key = _private_key(pem.key)
    if _public_der(chain[0].public_key()) != _public_der(key.public_key()):
        raise CertificateFileError(f"{KEY}: is not the key of the certificate")
    facts = CertificateFacts(_hosts(chain[0]), min(each.not_valid_after_utc for each in chain))
    if facts.expire_time <= now:
        raise CertificateFileError(f"{CERTIFICATE}: expired at {facts.expire_time:%Y-%m-%d %H:%M}Z")
    if pem.client_ca is not None:
        _certificates(CLIENT_CA, pem.client_ca)
    return facts


def certificate_hosts(path: Path) -> Sequence[str]:
    """Return the names in the server's certificate. Raises CertificateFileError."""
    return _hosts(_certificates(CERTIFICATE, _content(CERTIFICATE, path))[0])


def _hosts(certificate: x509.Certificate) -> Sequence[str]:
    """Return the DNS names and IP addresses that a certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    except ValueError as error:
        raise CertificateFileError(f"{CERTIFICATE}: has a malformed extension") from error
    names = extension.value
    return [
        *names.get_values_for_type(x509.DNSName),
        *map(str, names.get_values_for_type(x509.IPAddress)),
    ]


def _content(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateFileError(f"{setting}: cannot be read: {error.strerror}") from error


def _certificates(setting: str, pem: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CertificateFileError(f"{setting}: holds no PEM certificate") from error


def _private_key(pem: bytes) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise CertificateFileError(f"{KEY}: is encrypted; decrypt it for the service") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateFileError(f"{KEY}: holds no PEM private key") from error
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _MIN_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key
    # Other kinds are refused by gRPC's TLS library or by many callers.
    raise CertificateFileError(
        f"{KEY}: is neither an RSA key of {_MIN_RSA_BITS} bits nor an EC key"
    )


def _public_der(key: object) -> bytes:
    der: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return der
