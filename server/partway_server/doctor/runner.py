"""The whole run: the settings, every bucket, Redis."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import timedelta

from partway_server.config.backends import DEFAULT, Backend, secrets_of
from partway_server.config.certificate_files import CertificateFiles
from partway_server.config.load import read_policy_file
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.config.settings import Settings
from partway_server.doctor import access_checks
from partway_server.doctor.bucket_checks import BucketExamination, Progress
from partway_server.doctor.finding import Finding, bad
from partway_server.doctor.probes.certificate import examine_files
from partway_server.doctor.probes.redis import examine
from partway_server.doctor.probes.storage_access import credentials_end
from partway_server.doctor.probes.storage_connection import ProbeConnection, open_connection
from partway_server.doctor.redis_checks import REACHABLE
from partway_server.doctor.redis_checks import redis as judge_redis
from partway_server.doctor.settings_checks import configuration, lifetimes, no_policies
from partway_server.doctor.tls_checks import certificate
from partway_server.domain.clock import Clock
from partway_server.domain.policy import Policy
from partway_server.redis_client.topology import connect

Report = Callable[[Finding], None]

STORAGE, REDIS = "storage", "redis"


@dataclass(frozen=True, slots=True)
class CheckSelection:
    """What to check, STORAGE, REDIS or "" for all, and whether to fix the bucket rules."""

    only: str = ""
    fix: bool = False
    cors_origin: str = "*"


async def run_checks(
    settings: Settings,
    selection: CheckSelection,
    *,
    clock: Clock,
    random_hex: Callable[[int], str],
    progress: Progress,
    report: Report,
) -> None:
    """Run every selected check in order, and report each finding.

    Leaves nothing in storage or Redis, cancelled or not.
    """
    rules, problem = _rules(settings)
    if not selection.only:
        unknown = settings.unknown(os.environ)
        for finding in configuration(settings, rules.policies, problem, unknown):
            report(finding)
        if (files := CertificateFiles.of_settings(settings)) is not None:
            now = clock.now()
            for finding in certificate(examine_files(files, now), now):
                report(finding)
    elif problem:
        report(no_policies(problem))
    if selection.only != REDIS:
        for backend in rules.backends.values():
            policies = {n: p for n, p in rules.policies.items() if p.backend == backend.name}
            if policies:
                await _storage(
                    settings, backend, policies, selection, clock, random_hex, progress, report
                )
    if selection.only != STORAGE:
        progress("Redis")
        for finding in await _redis(settings, clock):
            report(finding)


def _rules(settings: Settings) -> tuple[Rules, str]:
    """Return the rules of the policy file and "", or the rules without a file and the problem."""
    try:
        return read_policy_file(settings), ""
    except PolicyFileError as exc:
        return read_policy_file(replace(settings, policy_file="")), "; ".join(exc.lines)


def _seen_from(backend: Backend, settings: Settings) -> Settings:
    """Return the settings as if `backend` were the default. Raises RuleError."""
    if backend.name == DEFAULT:
        return settings
    secrets = secrets_of(backend, settings, os.environ)
    return replace(
        settings,
        backend=backend.known_as,
        s3_endpoint=backend.endpoint,
        s3_public_endpoint=backend.public_endpoint,
        s3_region=backend.region,
        s3_addressing="path" if backend.in_path else "virtual",
        s3_access_key=secrets.access_key or "",
        s3_secret_key=secrets.secret_key or "",
        s3_session_token=secrets.session_token or "",
        s3_ca_file=backend.ca_file,
    )


async def _storage(
    given: Settings,
    backend: Backend,
    policies: Mapping[str, Policy],
    selection: CheckSelection,
    clock: Clock,
    random_hex: Callable[[int], str],
    progress: Progress,
    report: Report,
) -> None:
    is_default = backend.name == DEFAULT
    try:
        settings = _seen_from(backend, given)
        async with _connection(settings) as connection:
            if not selection.only:
                end = await credentials_end(connection)
                report(lifetimes(settings, policies, end, clock.now()))
            for bucket, longest, headers in _buckets(policies):
                examination = BucketExamination(
                    settings=settings,
                    bucket=bucket,
                    where=bucket if is_default else f"{backend.name}/{bucket}",
                    longest=longest,
                    headers=headers,
                    connection=connection,
                    token=random_hex(16),
                    clock=clock,
                    cors_origin=selection.cors_origin,
                    fix=selection.fix,
                    progress=progress,
                    report=report,
                )
                await examination.run()
    except ValueError as exc:
        own = "PARTWAY_S3_REGION and PARTWAY_S3_CA_FILE"
        where = own if is_default else f"[backend.{backend.name}]"
        report(bad(access_checks.REGION, f"storage cannot be used: {exc}", f"Check {where}."))


def _connection(settings: Settings) -> AbstractAsyncContextManager[ProbeConnection]:
    return open_connection(
        region=settings.s3_region,
        endpoint_url=settings.s3_endpoint or None,
        public_endpoint_url=settings.s3_public_endpoint or None,
        addressing="path" if settings.s3_addressing == "path" else "virtual",
        access_key=settings.s3_access_key or None,
        secret_key=settings.s3_secret_key or None,
        session_token=settings.s3_session_token or None,
        ca_file=settings.s3_ca_file or None,
    )


def _buckets(policies: Mapping[str, Policy]) -> Iterator[tuple[str, timedelta, Sequence[str]]]:
    """Yield each bucket, the longest life of an upload in it, and the headers that policies add."""
    for bucket in sorted({policy.bucket for policy in policies.values()}):
        here = [policy for policy in policies.values() if policy.bucket == bucket]
        headers = sorted({name for policy in here for name in policy.headers})
        # Every upload sends that one anyway.
        added = [name for name in headers if name != "content-disposition"]
        yield bucket, timedelta(seconds=max(p.upload_seconds for p in here)), added


async def _redis(settings: Settings, clock: Clock) -> Sequence[Finding]:
    try:
        servers = connect(settings.redis_url)
    except ValueError:
        # The text of the error may contain part of the URL, and so of the password.
        found = "PARTWAY_REDIS_URL is not a valid Redis URL"
        return [bad(REACHABLE, found, "For example redis://127.0.0.1:6379/0.")]
    try:
        return list(judge_redis(await examine(servers, clock)))
    finally:
        await servers.aclose()
