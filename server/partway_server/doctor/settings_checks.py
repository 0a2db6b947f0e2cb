"""Judges settings that are valid but may not do what an operator wants. No I/O."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from partway_server.config.identity_settings import listed, networks
from partway_server.config.settings import Settings
from partway_server.doctor.finding import Finding, bad, ok, warn
from partway_server.domain.policy import Policy
from partway_server.domain.sealer import key_id

POLICIES, LIFETIMES, KEYS = "settings.policies", "settings.lifetimes", "settings.sealing_keys"
ADDRESS, UNKNOWN, FILES = "settings.address", "settings.unknown", "settings.secret_files"

_ENCRYPT = (
    "Set PARTWAY_TLS_CERT_FILE, or put a TLS proxy in front and let nothing else reach this port."
)

_LOOPBACK = ("127.", "localhost", "::1")
_DISTINCT_BYTES = 24
"""64 random bytes have practically never fewer distinct ones."""


def configuration(
    settings: Settings,
    policies: Mapping[str, Policy],
    problem: str,
    unknown: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield what follows from the settings alone.

    `problem` says why the policies cannot be used, or ""; `unknown` has a line for each variable
    that is no setting.
    """
    if unknown:
        yield bad(UNKNOWN, "; ".join(unknown), "Correct or remove them: serve refuses to start.")
    yield _sealing_keys(settings)
    yield _address(settings)
    if problem:
        yield no_policies(problem)
    else:
        yield ok(POLICIES, f"{len(policies)} in use: {', '.join(sorted(policies))}")


def no_policies(problem: str) -> Finding:
    """Return the finding that the policy file cannot be used."""
    return bad(POLICIES, f"the policies cannot be used: {problem}", "Fix PARTWAY_POLICY_FILE.")


def _sealing_keys(settings: Settings) -> Finding:
    keys = settings.sealing_key_bytes()
    remedy = "Make one with: openssl rand -base64 64 | tr -d '\\n'"
    weak = [number for number, key in enumerate(keys, 1) if len(set(key)) < _DISTINCT_BYTES]
    if weak:
        return bad(KEYS, f"key {weak[0]} of {len(keys)} is not random", remedy)
    first, *others = dict.fromkeys(map(key_id, keys))
    if not others:
        return ok(KEYS, f"1 key, {first}, which encrypts and decrypts")
    return ok(KEYS, f"{first} encrypts and decrypts; {', '.join(others)} only decrypt")


def _address(settings: Settings) -> Finding:
    if is_local(settings.host):
        return ok(ADDRESS, f"{settings.address}: reached from this machine only")
    secure = bool(settings.tls_cert_file)
    how = "over TLS" if secure else "in plain text"
    remedy = [] if secure else [_ENCRYPT]
    methods = listed(settings.identity)
    if "none" in methods and not settings.tls_client_ca_file:
        remedy.append("With PARTWAY_IDENTITY=none whoever reaches it may do everything.")
        return warn(ADDRESS, f"{settings.address}: {how}, and for anyone", " ".join(remedy))
    if "metadata" in methods and any(not n.prefixlen for n in networks(settings.trusted_peers)):
        remedy.append("With PARTWAY_TRUSTED_PEERS of every address, it believes any caller.")
        return warn(ADDRESS, f"{settings.address}: {how}, callers are trusted", " ".join(remedy))
    if secure:
        who = ", and callers need a certificate" if settings.tls_client_ca_file else ""
        return ok(ADDRESS, f"{settings.address}: over TLS{who}")
    return ok(ADDRESS, f"{settings.address}: in plain text; TLS ends in front of it")


def secret_files(files: Mapping[str, bool]) -> Iterator[Finding]:
    """Judge the files that hold secrets, each with whether every user may read it."""
    if exposed := [path for path, by_all in files.items() if by_all]:
        remedy = f"chmod o-r {' '.join(exposed)}; for a Kubernetes volume, set defaultMode: 0400."
        yield warn(FILES, f"every user of this machine can read {', '.join(exposed)}", remedy)
    elif files:
        yield ok(FILES, f"{len(files)} named, none of which every user can read")


def lifetimes(
    policies: Mapping[str, Policy], end: datetime | None, now: datetime, *, by_hand: bool
) -> Finding:
    """Judge whether the credentials that sign URLs, which end at `end`, outlast the URLs.

    `by_hand` says that they are temporary and that a setting holds them.
    """
    longest = timedelta(seconds=max(policy.max_url_seconds for policy in policies.values()))
    if by_hand:
        found = "the credentials are temporary and set by hand: nothing renews them"
        remedy = "Let the AWS SDK find them (a role, a profile): leave the PARTWAY_S3_ keys empty."
        return warn(LIFETIMES, found, remedy)
    if end is None:
        return ok(LIFETIMES, f"the credentials do not end; URLs last {longest} at most")
    left = end - now
    if left < longest:
        found = f"the credentials end in {_minutes(left)}, and URLs with them, before the {longest}"
        found += " that a policy allows"
        remedy = "Lower max_url_seconds, or have the role's sessions last longer."
        return warn(LIFETIMES, found, remedy)
    found = f"the credentials are temporary, end in {_minutes(left)}, and are renewed by the SDK"
    return ok(LIFETIMES, found)


def _minutes(span: timedelta) -> str:
    return f"{max(0, int(span.total_seconds() // 60))} min"


def is_local(host: str) -> bool:
    """Return whether the host is this machine."""
    return host.startswith(_LOOPBACK)


def in_plain_text(url: str) -> bool:
    """Return whether callers send to `url` unencrypted, from other machines."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_local(parts.hostname or "")
