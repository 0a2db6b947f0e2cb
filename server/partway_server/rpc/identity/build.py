"""Puts together the methods of authentication that the settings name, the strongest first."""

from collections.abc import Sequence
from pathlib import Path

from partway_server.config.identity_settings import listed, networks
from partway_server.config.settings import Settings, SettingsError
from partway_server.domain.certificate_names import CertificatePatterns, CertificateRule
from partway_server.domain.clock import Clock
from partway_server.domain.principal import Scope
from partway_server.rpc.identity.anonymous import AnonymousAuthenticator
from partway_server.rpc.identity.authorization import AUTHORIZATION_KEY
from partway_server.rpc.identity.base import Authenticator
from partway_server.rpc.identity.certificates import CertificateAuthenticator, TrustedCertificates
from partway_server.rpc.identity.chain import AuthenticationChain
from partway_server.rpc.identity.claims import ClaimRules
from partway_server.rpc.identity.jwks import KeySource, RemoteKeys
from partway_server.rpc.identity.jwks_fetch import JwksFetcher
from partway_server.rpc.identity.jwks_file import FileKeys
from partway_server.rpc.identity.jwt import JwtAuthenticator, TokenRules
from partway_server.rpc.identity.key_set import InvalidKeySet
from partway_server.rpc.identity.metadata import TENANT_KEY, MetadataAuthenticator, Trust
from partway_server.rpc.identity.peers import TrustedPeers
from partway_server.rpc.identity.rejections import Rejections


def build_identity(
    settings: Settings, clock: Clock, *, first: Sequence[Authenticator] = ()
) -> AuthenticationChain:
    """Return what authenticates calls; `first` come before the methods that the settings name.

    The order is fixed. A JWT decides before metadata does, so that a gateway on a trusted address
    may pass on the tokens of its callers. Metadata decides before a client certificate does: that
    of a gateway names the gateway and not its caller.

    Raises SettingsError if the JWKS file cannot be used.
    """
    methods = listed(settings.identity)
    rejections = Rejections(clock)
    chain: list[Authenticator] = [*first]
    reloads = []
    if "jwt" in methods:
        keys = _keys(settings, clock)
        reloads.append(keys.reload)
        rules = _token_rules(settings)
        chain.append(JwtAuthenticator(rules=rules, keys=keys, clock=clock, rejections=rejections))
    if "metadata" in methods:
        chain.append(MetadataAuthenticator(trusted=_trusted(settings), rejections=rejections))
    if "mtls" in methods:
        chain.append(_by_certificate(settings, clock, rejections))
    if "none" in methods:
        chain.append(AnonymousAuthenticator())
    expected_key = TENANT_KEY if methods == ("metadata",) else AUTHORIZATION_KEY
    return AuthenticationChain(chain, expected_key=expected_key, reloads=reloads)


def _trusted(settings: Settings) -> list[Trust]:
    """Return what vouches for a peer whose metadata is believed; one of them is enough."""
    names = CertificatePatterns(settings.trusted_certificates)
    return [TrustedPeers(networks(settings.trusted_peers)), TrustedCertificates(names)]


def _by_certificate(
    settings: Settings, clock: Clock, rejections: Rejections
) -> CertificateAuthenticator:
    return CertificateAuthenticator(
        rule=CertificateRule(settings.mtls_rule),
        scopes=frozenset(map(Scope, settings.mtls_scopes.split())),
        clock=clock,
        rejections=rejections,
    )


def _keys(settings: Settings, clock: Clock) -> KeySource:
    if settings.jwt_jwks_url:
        private = settings.jwt_jwks_allow_private
        return RemoteKeys(JwksFetcher(settings.jwt_jwks_url, allow_private=private), clock)
    try:
        return FileKeys(Path(settings.jwt_jwks_file), clock)
    except (OSError, InvalidKeySet) as error:
        words = error.strerror if isinstance(error, OSError) else error
        problem = f"PARTWAY_JWT_JWKS_FILE: {settings.jwt_jwks_file} cannot be used: {words}"
        raise SettingsError([problem]) from error


def _token_rules(settings: Settings) -> TokenRules:
    return TokenRules(
        issuer=settings.jwt_issuer,
        audiences=listed(settings.jwt_audience),
        algorithms=frozenset(listed(settings.jwt_algorithms)),
        claims=ClaimRules(
            tenant=settings.jwt_tenant_claim,
            subject=settings.jwt_subject_claim,
            scope=settings.jwt_scope_claim,
            default_scopes=frozenset(map(Scope, settings.jwt_default_scopes.split())),
            leeway_seconds=settings.jwt_leeway_seconds,
        ),
    )
