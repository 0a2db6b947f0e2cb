"""The whole run: settings, every bucket, Redis."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from partway_server.config.backends import DEFAULT, Backend, secrets_of
from partway_server.config.load import read_policy_file
from partway_server.config.policy_file import PolicyFileError, Rules
from partway_server.config.settings import Settings
from partway_server.doctor import access_checks
from partway_server.doctor.bucket_checks import Progress, StorageExamination
from partway_server.doctor.finding import Finding, bad
from partway_server.doctor.probes.redis import examine
from partway_server.doctor.probes.storage_access import credentials_end
from partway_server.doctor.probes.storage_wire import open_wire
from partway_server.doctor.redis_checks import REACHABLE
from partway_server.doctor.redis_checks import redis as judge_redis
from partway_server.doctor.settings_checks import configuration, lifetimes, no_policies
from partway_server.domain.clock import Clock
from partway_server.domain.policy import Policy
from partway_server.redis_client.topology import connect

Say = Callable[[Finding], None]

STORAGE, REDIS = "storage", "redis"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look at, STORAGE or REDIS or "" for all, and what to set."""

    only: str = ""
    fix: bool = False
    cors_origin: str = "*"


async def examine_all(
    settings: Settings,
    wanted: Wanted,
    *,
    clock: Clock,
    random_hex: Callable[[int], str],
    progress: Progress,
    say: Say,
) -> None:
    """Everything, in order. Leaves nothing in storage or Redis, cancelled or not."""
    rules, problem = _rules(settings)
    if not wanted.only:
        unknown = settings.unknown(os.environ)
        for finding in configuration(settings, rules.policies, problem, unknown):
            say(finding)
    elif problem:
        say(no_policies(problem))
    if wanted.only != REDIS:
        for backend in rules.backends.values():
            policies = {n: p for n, p in rules.policies.items() if p.backend == backend.name}
            if policies:
                await _storage(
                    settings, backend, policies, wanted, clock, random_hex, progress, say
                )
    if wanted.only != STORAGE:
        progress("Redis")
        for finding in await _redis(settings, clock):
            say(finding)


def _rules(settings: Settings) -> tuple[Rules, str]:
    """What is in force, or what is wrong and, to go on with, what there is without a file."""
    try:
        return read_policy_file(settings), ""
    except PolicyFileError as exc:
        return read_policy_file(replace(settings, policy_file="")), "; ".join(exc.lines)


def _seen_from(backend: Backend, settings: Settings) -> Settings:
    """The settings as they would be if `backend` were the default. Raises RuleError."""
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
    )


async def _storage(
    given: Settings,
    backend: Backend,
    policies: Mapping[str, Policy],
    wanted: Wanted,
    clock: Clock,
    random_hex: Callable[[int], str],
    progress: Progress,
    say: Say,
) -> None:
    try:
        settings = _seen_from(backend, given)
        async with open_wire(
            region=settings.s3_region,
            endpoint_url=settings.s3_endpoint or None,
            public_endpoint_url=settings.s3_public_endpoint or None,
            addressing="path" if settings.s3_addressing == "path" else "virtual",
            access_key=settings.s3_access_key or None,
            secret_key=settings.s3_secret_key or None,
            session_token=settings.s3_session_token or None,
        ) as wire:
            if not wanted.only:
                end = await credentials_end(wire)
                say(lifetimes(settings, policies, end, clock.now()))
            for bucket, longest, headers in _buckets(policies):
                examination = StorageExamination(
                    settings=settings,
                    bucket=bucket,
                    where=bucket if backend.name == DEFAULT else f"{backend.name}/{bucket}",
                    longest=longest,
                    headers=headers,
                    wire=wire,
                    token=random_hex(16),
                    clock=clock,
                    cors_origin=wanted.cors_origin,
                    fix=wanted.fix,
                    progress=progress,
                    say=say,
                )
                await examination.run()
    except ValueError as exc:
        where = "PARTWAY_S3_REGION" if backend.name == DEFAULT else f"[backend.{backend.name}]"
        say(bad(access_checks.REGION, f"storage cannot be used: {exc}", f"See {where}."))


def _buckets(policies: Mapping[str, Policy]) -> Iterator[tuple[str, timedelta, Sequence[str]]]:
    """Each bucket, the longest life of an upload in it, and what headers policies add there."""
    for bucket in sorted({policy.bucket for policy in policies.values()}):
        here = [policy for policy in policies.values() if policy.bucket == bucket]
        headers = sorted({name for policy in here for name in policy.headers})
        # That one is sent anyway.
        added = [name for name in headers if name != "content-disposition"]
        yield bucket, timedelta(seconds=max(p.upload_seconds for p in here)), added


async def _redis(settings: Settings, clock: Clock) -> Sequence[Finding]:
    try:
        servers = connect(settings.redis_url)
    except ValueError:
        # Its text may hold a piece of the URL, and so of the password.
        found = "PARTWAY_REDIS_URL is not a URL that Redis clients understand"
        return [bad(REACHABLE, found, "For example redis://127.0.0.1:6379/0.")]
    try:
        return list(judge_redis(await examine(servers, clock)))
    finally:
        await servers.aclose()
