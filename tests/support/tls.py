"""A server with TLS for a test: its files, its CA, and what a stranger sees of it."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc
from cryptography import x509
from partway_server.config.certificate_files import CertificateFiles

from examples.certs import Authority, Pair


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A CA, and the files that its certificate for a server is in."""

    authority: Authority
    files: CertificateFiles

    @classmethod
    def made_in(cls, folder: Path, *, client_ca: bool = True) -> Self:
        """Make a CA, and write its files; with `client_ca`, callers need a certificate of it."""
        authority = Authority.new()
        ca, _ = authority.pair().write(folder, "ca")
        certificate, key = authority.server("localhost", "127.0.0.1").write(folder, "server")
        return cls(authority, CertificateFiles(certificate, key, ca if client_ca else None))

    def rotate(self) -> Pair:
        """Replace certificate and key by new ones, and return them."""
        pair = self.authority.server("localhost", "127.0.0.1")
        # The key first: in between, the files do not belong together.
        self.files.key.write_bytes(pair.key)
        self.files.certificate.write_bytes(pair.certificate)
        return pair

    def credentials(self, pair: Pair | None = None) -> grpc.ChannelCredentials:
        """Return the credentials of a caller that trusts the CA, and has this certificate."""
        return credentials(self.authority, pair)


def credentials(authority: Authority, pair: Pair | None = None) -> grpc.ChannelCredentials:
    """Return the credentials of a caller that trusts `authority`, and has this certificate."""
    key, certificate = (pair.key, pair.certificate) if pair else (None, None)
    return grpc.ssl_channel_credentials(authority.pem, key, certificate)


def serial_of(pair: Pair) -> int:
    """Return the serial number of a certificate."""
    return x509.load_pem_x509_certificate(pair.certificate).serial_number


async def shown_serial(port: int, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> int:
    """Return the serial number of the certificate that a server shows in this version of TLS.

    Raises OSError if it does not speak it.
    """
    return await asyncio.to_thread(_shown_serial, port, version)


def _shown_serial(port: int, version: ssl.TLSVersion) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # Otherwise OpenSSL itself would refuse the old versions.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain) as secure:
            der = secure.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number
