"""The whole run: the settings, every bucket, Redis."""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path

from partway_server.config.backends import DEFAULT, Backend, Keys, Secrets, secrets_of
from partway_server.config.certificate_files import CertificateFiles
from partway_server.config.load import read_policy_file
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.config.secret_files import readable_by_all
from partway_server.config.settings import SECRET_FILES, Settings
from partway_server.doctor import access_checks
from partway_server.doctor.bucket_checks import BucketExamination, Progress
from partway_server.doctor.capability_check import ObservedCapabilities
from partway_server.doctor.finding import Finding, bad
from partway_server.doctor.probes.certificate import examine_files
from partway_server.doctor.probes.redis import examine
from partway_server.doctor.probes.storage_access import credentials_end
from partway_server.doctor.probes.storage_connection import ProbeConnection, open_connection
from partway_server.doctor.redis_checks import REACHABLE
from partway_server.doctor.redis_checks import redis as judge_redis
from partway_server.doctor.settings_checks import (
    configuration,
    lifetimes,
    no_policies,
    secret_files,
)
from partway_server.doctor.tls_checks import certificate
from partway_server.domain.clock import Clock
from partway_server.domain.policy import Policy
from partway_server.events.webhook_file import WebhookFileError, secret_paths
from partway_server.redis_client.topology import connect
from partway_server.storage.sigv4 import Credentials

Report = Callable[[Finding], None]

Observe = Callable[[Backend, ObservedCapabilities], None]
"""Is passed what one bucket of a backend was observed to do."""

STORAGE, REDIS = "storage", "redis"


@dataclass(frozen=True, slots=True)
class CheckSelection:
    """What to check, STORAGE, REDIS or "" for all, and whether to fix the bucket rules.

    `backends` are the names of those to check, () for all.
    """

    only: str = ""
    fix: bool = False
    cors_origin: str = "*"
    backends: tuple[str, ...] = ()


async def run_checks(
    settings: Settings,
    selection: CheckSelection,
    *,
    clock: Clock,
    random_hex: Callable[[int], str],
    progress: Progress,
    report: Report,
    observe: Observe = lambda backend, found: None,
) -> None:
    """Run every selected check in order, report each finding, and what was observed of a backend.

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
        for finding in secret_files(_secret_files(settings, rules)):
            report(finding)
    elif problem:
        report(no_policies(problem))
    if selection.only != REDIS:
        for backend in rules.backends.values():
            policies = {n: p for n, p in rules.policies.items() if p.backend == backend.name}
            if policies and (not selection.backends or backend.name in selection.backends):
                await _storage(
                    settings,
                    backend,
                    policies,
                    selection,
                    clock,
                    random_hex,
                    progress,
                    report,
                    observe,
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
        without = replace(settings, policy_file="", backend_record="")
        return read_policy_file(without), "; ".join(exc.lines)


def _seen_from(backend: Backend, settings: Settings) -> Settings:
    """Return the settings as if `backend` were the default; its credentials are separate."""
    if backend.name == DEFAULT:
        return settings
    return replace(
        settings,
        backend=backend.known_as,
        s3_endpoint=backend.endpoint,
        s3_public_endpoint=backend.public_endpoint,
        s3_region=backend.region,
        s3_addressing="path" if backend.in_path else "virtual",
        s3_session_token="",
        s3_ca_file=backend.ca_file,
        s3_multipart_seconds=backend.multipart_seconds,
    )


def _secret_files(settings: Settings, rules: Rules) -> dict[str, bool]:
    """Return the files of secrets that are named, each with whether every user may read it."""
    paths = {getattr(settings, name) for name in SECRET_FILES}
    for backend in rules.backends.values():
        paths |= {getattr(backend, f.name) for f in fields(backend) if f.name.endswith("_file")}
    with contextlib.suppress(WebhookFileError):
        paths |= set(secret_paths(Path(settings.webhook_file))) if settings.webhook_file else set()
    return {path: readable_by_all(path) for path in sorted(paths) if path}


async def _storage(
    given: Settings,
    backend: Backend,
    policies: Mapping[str, Policy],
    selection: CheckSelection,
    clock: Clock,
    random_hex: Callable[[int], str],
    progress: Progress,
    report: Report,
    observe: Observe,
) -> None:
    is_default = backend.name == DEFAULT
    try:
        settings, secrets = _seen_from(backend, given), secrets_of(backend, given, os.environ)
        async with _connections(settings, secrets) as (connection, signing):
            if not selection.only:
                end = await credentials_end(connection)
                by_hand = bool(secrets.url_signer.session_token)
                report(lifetimes(policies, end, clock.now(), by_hand=by_hand))
            for bucket, longest, headers in _buckets(policies):
                examination = BucketExamination(
                    settings=settings,
                    record=(backend.record or backend.known_as, backend.capabilities),
                    bucket=bucket,
                    where=bucket if is_default else f"{backend.name}/{bucket}",
                    longest=longest,
                    headers=headers,
                    connection=connection,
                    signing=signing,
                    token=random_hex(16),
                    clock=clock,
                    cors_origin=selection.cors_origin,
                    fix=selection.fix,
                    progress=progress,
                    report=report,
                )
                await examination.run()
                if examination.observed is not None:
                    observe(backend, examination.observed)
    except ValueError as exc:
        own = "PARTWAY_S3_REGION and PARTWAY_S3_CA_FILE"
        where = own if is_default else f"[backend.{backend.name}]"
        report(bad(access_checks.REGION, f"storage cannot be used: {exc}", f"Check {where}."))


@contextlib.asynccontextmanager
async def _connections(
    settings: Settings, secrets: Secrets
) -> AsyncIterator[tuple[ProbeConnection, ProbeConnection | None]]:
    """Open the connection of the control principal, and that of the signer if it is another."""
    async with contextlib.AsyncExitStack() as opened:
        signer = secrets.signer
        own = await opened.enter_async_context(_connection(settings, secrets.control, signer))
        if signer is None:
            yield own, None
            return
        keys = Keys(signer.access_key, signer.secret_key, signer.session_token or None)
        yield own, await opened.enter_async_context(_connection(settings, keys, None))


def _connection(
    settings: Settings, keys: Keys, signer: Credentials | None
) -> AbstractAsyncContextManager[ProbeConnection]:
    return open_connection(
        region=settings.s3_region,
        endpoint_url=settings.s3_endpoint or None,
        public_endpoint_url=settings.s3_public_endpoint or None,
        addressing="path" if settings.s3_addressing == "path" else "virtual",
        access_key=keys.access_key,
        secret_key=keys.secret_key,
        session_token=keys.session_token,
        ca_file=settings.s3_ca_file or None,
        signer=signer,
    )


def _buckets(policies: Mapping[str, Policy]) -> Iterator[tuple[str, timedelta, Sequence[str]]]:
    """Yield each bucket, the longest life of an upload in it, and the headers that policies add."""
    for bucket in sorted({policy.bucket for policy in policies.values()}):
        here = [policy for policy in policies.values() if policy.bucket == bucket]
        headers = sorted({name for policy in here for name in policy.headers})
        # Every upload sends that one anyway.
        added = [name for name in headers if name != "content-disposition"]
        yield bucket, timedelta(seconds=max(p.max_upload_seconds for p in here)), added


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
