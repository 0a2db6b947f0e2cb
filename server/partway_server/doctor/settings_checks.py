"""Judges settings that hold together but may not do what an operator wants. No I/O."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from partway_server.config.settings import Settings
from partway_server.doctor.finding import Finding, bad, ok, warn
from partway_server.domain.policy import Policy

POLICIES, LIFETIMES, KEYS = "settings.policies", "settings.lifetimes", "settings.sealing_keys"
ADDRESS = "settings.address"

_LOOPBACK = ("127.", "localhost", "::1")
_DISTINCT_BYTES = 24
"""Of 64 random bytes fewer than that differ about never."""


def configuration(
    settings: Settings, policies: Mapping[str, Policy], problem: str
) -> Iterator[Finding]:
    """What needs nothing but the settings. `problem`: why the policies are of no use, or ""."""
    yield _sealing_keys(settings)
    yield _address(settings)
    if problem:
        yield no_policies(problem)
    else:
        yield ok(POLICIES, f"{len(policies)} in use: {', '.join(sorted(policies))}")


def no_policies(problem: str) -> Finding:
    """The policy file cannot be used."""
    return bad(POLICIES, f"the policies cannot be used: {problem}", "Mend PARTWAY_POLICY_FILE.")


def _sealing_keys(settings: Settings) -> Finding:
    keys = settings.sealing_key_bytes()
    mend = "Make one with: openssl rand -base64 64 | tr -d '\\n'"
    weak = [number for number, key in enumerate(keys, 1) if len(set(key)) < _DISTINCT_BYTES]
    if weak:
        return bad(KEYS, f"key {weak[0]} of {len(keys)} is not random", mend)
    if len(keys) == 1:
        return ok(KEYS, "1 key, which seals and opens")
    return ok(KEYS, f"{len(keys)} keys: the first seals, all open")


def _address(settings: Settings) -> Finding:
    if is_local(settings.host):
        return ok(ADDRESS, f"{settings.address}: reached from this machine only")
    mend = "Put something that speaks TLS in front, and let nobody else reach this port."
    if settings.identity == "metadata":
        mend += " With PARTWAY_IDENTITY=metadata whoever reaches it can say that he is anybody."
        return warn(ADDRESS, f"{settings.address}: in plain text, and callers are believed", mend)
    return ok(ADDRESS, f"{settings.address}: in plain text; TLS ends in front of it")


def lifetimes(
    settings: Settings, policies: Mapping[str, Policy], end: datetime | None, now: datetime
) -> Finding:
    """Whether the credentials, which end at `end`, last as long as the URLs they sign."""
    longest = timedelta(seconds=max(policy.max_url_seconds for policy in policies.values()))
    if settings.s3_session_token:
        found = "the credentials are temporary, and given by hand: nothing renews them"
        mend = "Let the AWS SDK find them (a role, a profile): leave the PARTWAY_S3_ keys empty."
        return warn(LIFETIMES, found, mend)
    if end is None:
        return ok(LIFETIMES, f"the credentials do not end; URLs last {longest} at most")
    left = end - now
    if left < longest:
        found = f"the credentials end in {_minutes(left)}, and URLs with them, before the {longest}"
        found += " that a policy allows"
        mend = "Lower max_url_seconds, or have the role's sessions last longer."
        return warn(LIFETIMES, found, mend)
    found = f"the credentials are temporary, end in {_minutes(left)}, and are renewed by the SDK"
    return ok(LIFETIMES, found)


def _minutes(span: timedelta) -> str:
    return f"{max(0, int(span.total_seconds() // 60))} min"


def is_local(host: str) -> bool:
    """Whether the host is this machine."""
    return host.startswith(_LOOPBACK)


def in_plain_text(url: str) -> bool:
    """Whether callers send to `url` unencrypted, from other machines."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_local(parts.hostname or "")
