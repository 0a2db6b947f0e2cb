"""The whole run: settings, every bucket, Redis."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from partway_server.clock import Clock
from partway_server.doctor import access
from partway_server.doctor.configuration import configuration, lifetimes, no_policies
from partway_server.doctor.examination import Progress, StorageExamination
from partway_server.doctor.finding import Finding, bad
from partway_server.doctor.sessions import REACHABLE
from partway_server.doctor.sessions import redis as judge_redis
from partway_server.objects.s3_probes.access import credentials_end
from partway_server.objects.s3_probes.wire import open_wire
from partway_server.policy import Policy, load_policies
from partway_server.sessions.redis import connect
from partway_server.sessions.redis_facts import examine
from partway_server.settings import Settings

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
    policies, problem = _policies(settings)
    if not wanted.only:
        for finding in configuration(settings, policies, problem):
            say(finding)
    elif problem:
        say(no_policies(problem))
    if wanted.only != REDIS:
        await _storage(settings, policies, wanted, clock, random_hex, progress, say)
    if wanted.only != STORAGE:
        progress("Redis")
        for finding in await _redis(settings, clock):
            say(finding)


def _policies(settings: Settings) -> tuple[Mapping[str, Policy], str]:
    """The policies, or what is wrong and, to go on with, the one that there is without a file."""
    default = {"default": Policy("default", settings.bucket)}
    if not settings.policy_file:
        return default, ""
    try:
        policies = load_policies(Path(settings.policy_file), settings.bucket)
    except (OSError, ValueError) as exc:
        return default, str(exc)
    return (policies, "") if policies else (default, "there is none in the file")


async def _storage(
    settings: Settings,
    policies: Mapping[str, Policy],
    wanted: Wanted,
    clock: Clock,
    random_hex: Callable[[int], str],
    progress: Progress,
    say: Say,
) -> None:
    try:
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
            for bucket, longest in _buckets(policies):
                examination = StorageExamination(
                    settings=settings,
                    bucket=bucket,
                    longest=longest,
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
        say(bad(access.REGION, f"storage cannot be used: {exc}", "See PARTWAY_S3_REGION."))


def _buckets(policies: Mapping[str, Policy]) -> Iterator[tuple[str, timedelta]]:
    """Each bucket, and the longest life of an upload in it."""
    for bucket in sorted({policy.bucket for policy in policies.values()}):
        lives = [p.upload_seconds for p in policies.values() if p.bucket == bucket]
        yield bucket, timedelta(seconds=max(lives))


async def _redis(settings: Settings, clock: Clock) -> Sequence[Finding]:
    try:
        redis = connect(settings.redis_url)
    except ValueError:
        # Its text may hold a piece of the URL, and so of the password.
        found = "PARTWAY_REDIS_URL is not a URL that Redis clients understand"
        return [bad(REACHABLE, found, "For example redis://127.0.0.1:6379/0.")]
    try:
        return list(judge_redis(await examine(redis, clock)))
    finally:
        await redis.aclose()
