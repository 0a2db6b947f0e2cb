"""TLS credentials for the connection to the service."""

import ssl
from os import PathLike, fspath
from pathlib import Path

import grpc

ChannelCredentials = grpc.ChannelCredentials

PemFile = str | PathLike[str]
"""The path of a PEM file."""


def tls_credentials(
    ca: bytes | None = None, cert: bytes | None = None, key: bytes | None = None
) -> ChannelCredentials:
    """Return credentials that trust the certificates `ca`, or those that gRPC comes with.

    `cert` and `key` are what the caller shows of itself. All are PEM.
    """
    return grpc.ssl_channel_credentials(ca, key, cert)


def chosen_credentials(
    given: ChannelCredentials | None,
    *,
    secure: bool,
    ca: PemFile | None,
    cert: PemFile | None,
    key: PemFile | None,
) -> ChannelCredentials | None:
    """Return the credentials that are given, or those of the files, or None for plain text.

    Raises ValueError for files that cannot be used.
    """
    if given is None and (secure or ca or cert or key):
        return tls_credentials_from(ca, cert, key)
    return given


def tls_credentials_from(
    ca: PemFile | None, cert: PemFile | None, key: PemFile | None
) -> ChannelCredentials:
    """Return the credentials in these files. Raises ValueError, with no content of a file in it."""
    if cert is not None and key is None:
        raise ValueError("a client certificate is given without its key")
    if key is not None and cert is None:
        raise ValueError("the key of a client certificate is given without the certificate")
    authorities = None
    if ca is not None:
        authorities = _read(ca, "CA")
        _check_authorities(ca)
    if cert is None or key is None:
        return tls_credentials(authorities)
    pair = _read(cert, "certificate"), _read(key, "key")
    _check_pair(cert, key)
    return tls_credentials(authorities, *pair)


def _read(file: PemFile, what: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise ValueError(f"the {what} file {fspath(file)} cannot be read: {words}") from error


def _check_authorities(file: PemFile) -> None:
    """Raise ValueError unless the file holds certificates. gRPC would fail at the first call."""
    try:
        ssl.create_default_context(cafile=file)
    except ssl.SSLError as error:
        raise ValueError(f"the CA file {fspath(file)} holds no PEM certificate") from error


def _check_pair(cert: PemFile, key: PemFile) -> None:
    """Raise ValueError unless the files are a certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # With a password, or OpenSSL would ask for one at the terminal.
        context.load_cert_chain(cert, key, password="")
    except (ValueError, ssl.SSLError) as error:
        mismatch = "KEY_VALUES_MISMATCH" in str(error)
        words = (
            "do not belong together"
            if mismatch
            else "are not a PEM certificate and its key, unencrypted"
        )
        raise ValueError(f"the files {fspath(cert)} and {fspath(key)} {words}") from error
