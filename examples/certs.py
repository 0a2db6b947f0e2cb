"""Makes a private CA, and certificates of it for a server and for clients.

    python examples/certs.py DIRECTORY --tenant acme --subject alice

writes ca.pem, server.pem and server.key, client.pem and client.key; each key can be read by its
owner only. A second run with the same directory keeps the CA and makes new certificates, which
nothing needs to be restarted for. For trying things out: the key of the CA lies beside the rest.
"""

import argparse
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=90)

_BACKDATED = timedelta(minutes=5)
"""For callers whose clock is behind."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write NAME.pem and NAME.key, each replaced at once, and return their paths."""
        pem, key = directory / f"{name}.pem", directory / f"{name}.key"
        _write(key, self.key, 0o600)
        _write(pem, self.certificate, 0o644)
        return pem, key


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def new(cls, name: str = "Partway example CA") -> Self:
        """Make a CA with a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + CA_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def kept_in(cls, directory: Path) -> Self:
        """Return the CA in a directory, made if it is missing."""
        pem, key = directory / "ca.pem", directory / "ca.key"
        if not pem.exists() or not key.exists():
            made = cls.new()
            made.pair().write(directory, "ca")
            return made
        found = load_pem_private_key(key.read_bytes(), password=None)
        assert isinstance(found, ec.EllipticCurvePrivateKey)
        return cls(x509.load_pem_x509_certificate(pem.read_bytes()), found)

    @property
    def pem(self) -> bytes:
        """Return the CA's certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def pair(self) -> Pair:
        """Return the CA's certificate and key."""
        return Pair(self.pem, _key_pem(self.key))

    def server(self, *hosts: str, lifetime: timedelta = LIFETIME) -> Pair:
        """Return a certificate for a server at these host names and IP addresses."""
        return self.issue(
            [x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])],
            [_host(host) for host in hosts],
            usage=[ExtendedKeyUsageOID.SERVER_AUTH],
            lifetime=lifetime,
        )

    def client(self, spiffe_id: str, *, lifetime: timedelta = LIFETIME) -> Pair:
        """Return a certificate for a caller with a SPIFFE ID."""
        return self.issue([], [x509.UniformResourceIdentifier(spiffe_id)], lifetime=lifetime)

    def issue(
        self,
        subject: Sequence[x509.NameAttribute[str]],
        names: Sequence[x509.GeneralName],
        *,
        usage: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
        lifetime: timedelta = LIFETIME,
    ) -> Pair:
        """Return a certificate with this subject and these alternative names."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            # Also where the lifetime is negative, for one that has expired.
            .not_valid_before(now - _BACKDATED + min(lifetime, timedelta()))
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        )
        if names:
            # Critical where the subject is empty (RFC 5280, 4.2.1.6).
            alternative = x509.SubjectAlternativeName(names)
            builder = builder.add_extension(alternative, critical=not subject)
        certificate = builder.sign(self.key, hashes.SHA256())
        return Pair(certificate.public_bytes(Encoding.PEM), _key_pem(key))


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("directory", type=Path, help="where to write")
    parser.add_argument("--host", action="append", help="a name or address of the server")
    parser.add_argument("--trust-domain", default="example.org", help="of the SPIFFE ID")
    parser.add_argument("--tenant", default="acme")
    parser.add_argument("--subject", default="alice")
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    authority = Authority.kept_in(given.directory)
    hosts = given.host or ["localhost", "127.0.0.1", "::1"]
    authority.server(*hosts).write(given.directory, "server")
    spiffe_id = f"spiffe://{given.trust_domain}/{given.tenant}/{given.subject}"
    authority.client(spiffe_id).write(given.directory, "client")
    print(f"{given.directory}: a server at {', '.join(hosts)}; a client, {spiffe_id}")


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    beside.replace(path)


if __name__ == "__main__":
    main()
