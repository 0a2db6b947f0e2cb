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

from partway_server.domain.certificate_names import (
    CertificatePatterns,
    CertificateRule,
    certificate_names,
)
from partway_server.domain.clock import Clock
from partway_server.domain.grant import Caller
from partway_server.domain.principal import Principal, Scope
from partway_server.rpc.identity.base import Context
from partway_server.rpc.identity.metadata import valid_subject
from partway_server.rpc.identity.rejections import Rejections

logger = logging.getLogger(__name__)

_PEM = "x509_pem_cert"
_KEPT = 4096
"""How many certificates are kept parsed, at 2 kB each."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a client certificate says: the names in it, as rules write them, and when it expires."""

    names: Sequence[str]
    expire_time: datetime


class CertificateAuthenticator:
    """Authenticates calls by the client certificate of their connection."""

    def __init__(
        self,
        *,
        rule: CertificateRule,
        scopes: frozenset[Scope],
        clock: Clock,
        rejections: Rejections,
    ) -> None:
        self._rule = rule
        self._scopes = scopes
        self._clock = clock
        self._rejections = rejections
        self._caller = lru_cache(_KEPT)(self._find)

    async def authenticate(self, context: Context) -> Principal | None:
        pem = _pem_of(context)
        if pem is None:
            return None
        caller = self._caller(pem)
        if caller is None:
            raise self._rejections.reject("a client certificate names no caller")
        if _parsed(pem).expire_time <= self._clock.now():
            # It was valid when the connection began.
            raise self._rejections.reject("a client certificate has expired")
        return Principal(caller, self._scopes)

    def _find(self, pem: bytes) -> Caller | None:
        names = _parsed(pem).names
        found = self._rule.match(names)
        if found is None or not valid_subject(found[1]):
            # Once for each certificate. A CA of the operator's put these names into it.
            shown = ", ".join(names) or "none"
            logger.warning("PARTWAY_MTLS_RULE does not match the names in a certificate: %s", shown)
            return None
        return Caller(*found)


class TrustedCertificates:
    """Vouches for the peers whose client certificate has one of the names."""

    def __init__(self, names: CertificatePatterns) -> None:
        self._names = names

    def __call__(self, context: Context) -> bool:
        """Return whether the peer that makes a call is trusted."""
        return self._names.include(peer_names(context))


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
