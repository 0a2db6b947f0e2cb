"""Identify callers by the client certificate that TLS has verified.

gRPC's own fields of a certificate are not used: its common name ends at a NUL, and is the first of
several. The certificate itself is parsed, once.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from partway_server.domain.certificate_names import CertificateRule, certificate_names
from partway_server.domain.clock import Clock
from partway_server.domain.errors import CredentialsRejected
from partway_server.domain.grant import Caller
from partway_server.domain.principal import ALL_SCOPES, Principal
from partway_server.rpc.identity.base import Context

logger = logging.getLogger(__name__)

_PEM = "x509_pem_cert"
_KEPT = 4096
"""How many certificates are kept parsed, at 2 kB each."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a client certificate says: the names in it, as rules write them, and when it expires."""

    names: Sequence[str]
    expire_time: datetime


class CertificateIdentity:
    """Authenticates calls by the client certificate of their connection, which has every scope."""

    def __init__(self, rule: CertificateRule, clock: Clock) -> None:
        self._rule = rule
        self._clock = clock
        self._caller = lru_cache(_KEPT)(self._find)

    async def authenticate(self, context: Context) -> Principal | None:
        """Return who calls, None if the connection has no client certificate.

        Raises CredentialsRejected if the certificate names no one, or has expired since the
        connection began.
        """
        pem = _pem_of(context)
        if pem is None:
            return None
        caller = self._caller(pem)
        if caller is None or _parsed(pem).expire_time <= self._clock.now():
            raise CredentialsRejected
        return Principal(caller, ALL_SCOPES)

    def _find(self, pem: bytes) -> Caller | None:
        names = _parsed(pem).names
        found = self._rule.match(names)
        if found is None:
            # Once for each certificate. It was verified, so its names are the operator's.
            logger.warning("a client certificate names no caller: %s", ", ".join(names) or "none")
            return None
        return Caller(*found)


def peer_names(context: Context) -> Sequence[str]:
    """Return the names in the verified client certificate of a call, none if it has none.

    They are as in `domain/certificate_names.py`: `spiffe://example.org/gateway`, `dns:gateway`.
    """
    pem = _pem_of(context)
    return () if pem is None else _parsed(pem).names


def _pem_of(context: Context) -> bytes | None:
    # Present only if the handshake verified it: the server asks for no other.
    return next(iter(context.auth_context().get(_PEM, ())), None)


@lru_cache(_KEPT)
def _parsed(pem: bytes) -> ClientCertificate:
    certificate = x509.load_pem_x509_certificate(pem)
    names = _names_in(certificate)
    return ClientCertificate(names, certificate.not_valid_after_utc)


def _names_in(certificate: x509.Certificate) -> Sequence[str]:
    """Return the names in a certificate, none if they cannot be read."""
    try:
        subject = [
            (each.rfc4514_attribute_name, each.value)
            for each in certificate.subject
            if isinstance(each.value, str)
        ]
        alternative = _alternative_names(certificate)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return ()
    return certificate_names(
        uris=alternative.get_values_for_type(x509.UniformResourceIdentifier),
        dns=alternative.get_values_for_type(x509.DNSName),
        subject=subject,
    )


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])
    return found.value
