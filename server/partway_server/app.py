"""The composition root: the only place that constructs. Starts, drains, stops.

The order at the end matters. First the health service says NOT_SERVING, and load balancers get
`drain_seconds` to see it. Then no more calls are taken. Those in progress and, after them, the
detached tasks, which may be in the middle of a Complete, share `grace_seconds`. Only then do the
connections to storage and Redis go.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from partway_server.clock import Clock, SystemClock
from partway_server.coordinator import Coordinator
from partway_server.errors import SessionsUnavailable, StorageRefused, StorageUnavailable
from partway_server.findings import Report
from partway_server.janitor import BATCH, Janitor
from partway_server.loading import Loader
from partway_server.marks import Marks
from partway_server.objects.base import Objects
from partway_server.objects.capabilities import KNOWN
from partway_server.objects.s3 import S3Objects
from partway_server.observe import Metrics, serving
from partway_server.opening import Opener
from partway_server.policy import Policy, load_policies
from partway_server.rpc.identity import Identity
from partway_server.rpc.interceptors import Admission, Boundary
from partway_server.rpc.server import RpcServer
from partway_server.rpc.servicer import UploadServicer
from partway_server.sealing import Sealer
from partway_server.sessions.base import Sessions
from partway_server.sessions.redis import RedisSessions
from partway_server.sessions.redis_servers import connect
from partway_server.settings import Settings
from partway_server.settling import LONGEST_PUT, Settler, Sleep
from partway_server.sweeping import Sweeper
from partway_server.tasks import Tasks

BACKEND = "default"
"""The name of the one backend in upload_ids."""

Over = Callable[[Sessions, Objects], tuple[Sessions, Objects]]
"""Puts something around the two open stores, such as what counts their calls."""

logger = logging.getLogger(__name__)


class StartError(Exception):
    """The service cannot start, for the reason in its text: one line, for an operator."""


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that runs, built and not yet started."""

    server: RpcServer
    janitor: Janitor
    sweeper: Sweeper
    tasks: Tasks
    metrics: Metrics


def build(
    settings: Settings,
    *,
    policies: Mapping[str, Policy],
    sessions: Sessions,
    objects: Objects,
    clock: Clock,
    sleep: Sleep = asyncio.sleep,
    random_bytes: Callable[[int], bytes] = os.urandom,
    share_port: bool = False,
) -> Service:
    """Put the service together over its two stores."""
    tasks, metrics = Tasks(), Metrics()
    lease = timedelta(seconds=settings.lease_seconds)
    longest_url = timedelta(seconds=max(p.max_url_seconds for p in policies.values()))
    sealer = Sealer(settings.sealing_key_bytes())
    marks = Marks(settings.sealing_key_bytes())
    settler = Settler(
        sessions=sessions,
        objects=objects,
        clock=clock,
        sleep=sleep,
        lease=lease,
        tombstone=longest_url + LONGEST_PUT,
    )
    opener = Opener(
        backend=BACKEND,
        policies=policies,
        marks=marks,
        sessions=sessions,
        objects=objects,
        clock=clock,
        random_bytes=random_bytes,
        lease=lease,
    )
    loader = Loader(
        backend=BACKEND,
        sealer=sealer,
        sessions=sessions,
        objects=objects,
        settler=settler,
        clock=clock,
        lease=lease,
    )
    coordinator = Coordinator(
        policies=policies,
        sealer=sealer,
        sessions=sessions,
        objects=objects,
        opener=opener,
        loader=loader,
        settler=settler,
        tasks=tasks,
        clock=clock,
        sleep=sleep,
        lease=lease,
        metrics=metrics,
    )
    servicer = UploadServicer(
        coordinator=coordinator,
        policies=policies,
        identity=Identity(trust_metadata=settings.identity == "metadata"),
        timeout_seconds=settings.call_timeout_seconds,
    )
    server = RpcServer(
        servicer=servicer,
        boundary=Boundary(timeout_seconds=settings.call_timeout_seconds, random_bytes=random_bytes),
        admission=Admission(
            max_calls=settings.max_concurrent_calls, max_client_streams=settings.max_via_service
        ),
        reflect=settings.reflection,
        share_port=share_port,
    )
    janitor = Janitor(
        sessions=sessions,
        settler=settler,
        tasks=tasks,
        clock=clock,
        lease=lease,
    )
    sweeper = Sweeper(
        policies=policies,
        marks=marks,
        sessions=sessions,
        objects=objects,
        clock=clock,
        random_bytes=random_bytes,
        grace=timedelta(seconds=settings.sweep_grace_seconds),
    )
    return Service(server, janitor, sweeper, tasks, metrics)


async def run(
    settings: Settings,
    *,
    stop: asyncio.Event,
    started: Callable[[int], None] | None = None,
    share_port: bool = False,
    over: Over | None = None,
    clock: Clock | None = None,
) -> None:
    """Serve until `stop` is set, then drain; `started` is told the port.

    With `share_port`, other processes may listen on the same one. `over` is put around the stores
    once they were checked. A `clock` stands in for the machine's and for that of Redis.

    Raises StartError.
    """
    policies = _policies(settings)
    async with _stores(settings, clock) as (sessions, objects):
        await _check_sessions(sessions)
        await _check_buckets(objects, policies)
        if over is not None:
            sessions, objects = over(sessions, objects)
        service = build(
            settings,
            policies=policies,
            sessions=sessions,
            objects=objects,
            clock=clock or SystemClock(),
            share_port=share_port,
        )
        async with _metrics_served(settings, service.metrics):
            await _until(stop, service, settings, started)
    logger.info("stopped")


async def _until(
    stop: asyncio.Event,
    service: Service,
    settings: Settings,
    started: Callable[[int], None] | None,
) -> None:
    """Serve until `stop` is set, then drain."""
    try:
        port = service.server.bind(settings.address)
    except RuntimeError as error:
        raise StartError(
            f"cannot listen on {settings.address}: it is taken or not ours;"
            " choose another with PARTWAY_ADDRESS or --address"
        ) from error
    await service.server.start()
    logger.info("serving on %s:%d", settings.host, port)
    if started is not None:
        started(port)
    tidying = [
        asyncio.create_task(service.janitor.run(settings.janitor_seconds, stop)),
        asyncio.create_task(service.sweeper.run(settings.sweep_seconds, stop)),
    ]
    try:
        await stop.wait()
        logger.info("draining")
        await service.server.leave()
        await asyncio.sleep(settings.drain_seconds)
    finally:
        for task in tidying:
            task.cancel()
        await asyncio.wait(tidying)
        await finish(service, settings.grace_seconds)


@contextlib.asynccontextmanager
async def _metrics_served(settings: Settings, metrics: Metrics) -> AsyncIterator[None]:
    """Serve the metrics in the block, to its very end, if the settings say where."""
    if not settings.metrics_address:
        yield
        return
    async with contextlib.AsyncExitStack() as served:
        try:
            port = await served.enter_async_context(
                serving(metrics, settings.metrics_host, settings.metrics_port())
            )
        except OSError as error:
            raise StartError(
                f"cannot listen on {settings.metrics_address}: it is taken or not ours;"
                " choose another with PARTWAY_METRICS_ADDRESS or --metrics-address"
            ) from error
        logger.info("metrics on %s:%d", settings.metrics_host, port)
        yield


async def finish(
    service: Service, grace_seconds: float, now: Callable[[], float] = time.monotonic
) -> None:
    """End calls and detached tasks, which share `grace_seconds`."""
    end = now() + grace_seconds
    await service.server.stop(grace_seconds)
    await service.tasks.drain(max(0.0, end - now()))


async def sweep(settings: Settings, *, report: Report, dry_run: bool) -> None:
    """Once what the janitor and the sweeper of a service do all the time; each thing is reported.

    With `dry_run` nothing is changed, and buckets are not probed. Raises StartError, or
    SessionsUnavailable when Redis goes away in the middle.
    """
    policies = _policies(settings)
    async with _stores(settings) as (sessions, objects):
        await _check_sessions(sessions)
        service = build(
            settings, policies=policies, sessions=sessions, objects=objects, clock=SystemClock()
        )
        try:
            await tidy(service, report=report, dry_run=dry_run)
        finally:
            await service.tasks.drain(settings.grace_seconds)


async def tidy(service: Service, *, report: Report, dry_run: bool) -> None:
    """One pass over what is due and over storage."""
    if dry_run:
        await service.janitor.foresee(report)
    else:
        while len(await service.janitor.sweep(report)) == BATCH:
            pass
    await service.sweeper.sweep(report, dry_run=dry_run)


@contextlib.asynccontextmanager
async def _stores(
    settings: Settings, clock: Clock | None = None
) -> AsyncIterator[tuple[Sessions, Objects]]:
    """Both stores, open."""
    async with contextlib.AsyncExitStack() as opened:
        sessions = _sessions(settings, clock)
        opened.push_async_callback(sessions.aclose)
        objects = await _objects(settings)
        opened.push_async_callback(objects.aclose)
        yield sessions, objects


def _sessions(settings: Settings, clock: Clock | None) -> Sessions:
    try:
        return RedisSessions(connect(settings.redis_url), clock=clock)
    except ValueError as error:
        # Its text may hold a piece of the URL, and so of the password.
        raise StartError("PARTWAY_REDIS_URL is not a URL that Redis clients understand") from error


async def _objects(settings: Settings) -> Objects:
    try:
        return await S3Objects.open(
            name=BACKEND,
            endpoint_url=settings.s3_endpoint or None,
            public_endpoint_url=settings.s3_public_endpoint or None,
            region=settings.s3_region,
            addressing="path" if settings.s3_addressing == "path" else "virtual",
            access_key=settings.s3_access_key or None,
            secret_key=settings.s3_secret_key or None,
            session_token=settings.s3_session_token or None,
            capabilities=KNOWN[settings.backend],
        )
    except ValueError as error:
        raise StartError(f"storage cannot be used: {error}; check PARTWAY_S3_REGION") from error


async def _check_sessions(sessions: Sessions) -> None:
    try:
        await sessions.check()
    except ValueError as error:
        raise StartError(str(error)) from error
    except SessionsUnavailable as error:
        raise StartError("Redis does not answer; check PARTWAY_REDIS_URL") from error


async def _check_buckets(objects: Objects, policies: Mapping[str, Policy]) -> None:
    for bucket in sorted({policy.bucket for policy in policies.values()}):
        try:
            await objects.check(bucket)
        except ValueError as error:
            raise StartError(
                f"{error}; look at PARTWAY_BUCKET, the PARTWAY_S3_ settings and the credentials"
            ) from error
        except StorageUnavailable as error:
            raise StartError("storage does not answer; check PARTWAY_S3_ENDPOINT") from error
        except StorageRefused as error:
            raise StartError(
                f"storage refuses the bucket {bucket!r} ({error.storage_code});"
                " check PARTWAY_BUCKET, the credentials and what they may do"
            ) from error


def _policies(settings: Settings) -> Mapping[str, Policy]:
    if not settings.policy_file:
        only = Policy("default", settings.bucket, via_service=settings.via_service)
        return {only.name: only}
    try:
        policies = load_policies(Path(settings.policy_file), settings.bucket)
    except (OSError, ValueError) as error:
        raise StartError(f"PARTWAY_POLICY_FILE cannot be used: {error}") from error
    if not policies:
        raise StartError("PARTWAY_POLICY_FILE has no policy in it; begin one with [default]")
    return policies
