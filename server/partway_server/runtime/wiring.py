"""The service, put together over its two stores: the one list of what needs what."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from partway_server.cleanup.expiry import Janitor
from partway_server.cleanup.orphans import Sweeper
from partway_server.config.settings import Settings
from partway_server.domain.clock import Clock
from partway_server.domain.key_marks import KeyMarks
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.observability.metrics import Metrics
from partway_server.rpc.caller_identity import CallerResolver
from partway_server.rpc.interceptors import Admission, ErrorInterceptor
from partway_server.rpc.server import RpcServer
from partway_server.rpc.servicer import UploadServicer
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Storage
from partway_server.workflow.abort import Aborter
from partway_server.workflow.background_tasks import Tasks
from partway_server.workflow.complete import Settler, Sleep
from partway_server.workflow.compose import Composer
from partway_server.workflow.coordinator import Coordinator
from partway_server.workflow.ending import Ender
from partway_server.workflow.freshness import Reader
from partway_server.workflow.initialize import Opener
from partway_server.workflow.leases import LONGEST_PUT, Recorder
from partway_server.workflow.presign import ORPHAN_URL_SECONDS, Selector
from partway_server.workflow.recovery import Loader
from partway_server.workflow.upload_part import ViaService
from partway_server.workflow.watch import Watching


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
    policies: PolicyRegistry,
    sessions: SessionStore,
    storage: Storage,
    clock: Clock,
    sleep: Sleep = asyncio.sleep,
    random_bytes: Callable[[int], bytes] = os.urandom,
    share_port: bool = False,
) -> Service:
    """Put the service together over its two stores."""
    tasks, metrics = Tasks(), Metrics()
    lease = timedelta(seconds=settings.lease_seconds)
    orphan_url = timedelta(seconds=ORPHAN_URL_SECONDS)
    upload_ids = UploadIdCipher(settings.sealing_key_bytes())
    marks = KeyMarks(settings.sealing_key_bytes())
    recorder = Recorder(
        sessions=sessions,
        storage=storage,
        clock=clock,
        lease=lease,
        tombstone=lambda: max(policies.longest_url(), orphan_url) + LONGEST_PUT,
    )
    aborter = Aborter(recorder=recorder, sessions=sessions, storage=storage, lease=lease)
    settler = Settler(
        recorder=recorder,
        aborter=aborter,
        sessions=sessions,
        storage=storage,
        clock=clock,
        sleep=sleep,
        lease=lease,
    )
    opener = Opener(
        policies=policies,
        marks=marks,
        sessions=sessions,
        storage=storage,
        clock=clock,
        random_bytes=random_bytes,
        lease=lease,
    )
    loader = Loader(
        upload_ids=upload_ids,
        sessions=sessions,
        storage=storage,
        recorder=recorder,
        aborter=aborter,
        clock=clock,
        lease=lease,
    )
    composer = Composer(
        upload_ids=upload_ids,
        sessions=sessions,
        storage=storage,
        opener=opener,
        loader=loader,
        settler=settler,
        aborter=aborter,
        tasks=tasks,
        clock=clock,
        sleep=sleep,
        lease=lease,
    )
    reader = Reader(
        sessions=sessions,
        storage=storage,
        loader=loader,
        recorder=recorder,
        settler=settler,
        tasks=tasks,
        clock=clock,
        lease=lease,
    )
    coordinator = Coordinator(
        upload_ids=upload_ids,
        sessions=sessions,
        opener=opener,
        composer=composer,
        loader=loader,
        reader=reader,
        selector=Selector(policies=policies, storage=storage, reader=reader, clock=clock),
        via_service=ViaService(
            policies=policies,
            sessions=sessions,
            storage=storage,
            loader=loader,
            reader=reader,
            clock=clock,
            metrics=metrics,
        ),
        ender=Ender(
            sessions=sessions,
            storage=storage,
            loader=loader,
            settler=settler,
            aborter=aborter,
            tasks=tasks,
            clock=clock,
            sleep=sleep,
            lease=lease,
        ),
        watching=Watching(sessions=sessions, sleep=sleep),
        tasks=tasks,
        clock=clock,
    )
    servicer = UploadServicer(
        coordinator=coordinator,
        policies=policies,
        identity=CallerResolver(trust_metadata=settings.identity == "metadata"),
        timeout_seconds=settings.call_timeout_seconds,
    )
    server = RpcServer(
        servicer=servicer,
        error_interceptor=ErrorInterceptor(
            timeout_seconds=settings.call_timeout_seconds, random_bytes=random_bytes
        ),
        admission=Admission(
            max_calls=settings.max_concurrent_calls,
            max_watchers=settings.max_watchers,
            max_client_streams=settings.max_via_service,
        ),
        reflect=settings.reflection,
        share_port=share_port,
        max_calls=settings.max_concurrent_calls + settings.max_watchers,
    )
    janitor = Janitor(
        sessions=sessions,
        settler=settler,
        aborter=aborter,
        composer=composer,
        tasks=tasks,
        clock=clock,
        lease=lease,
        kept=recorder.kept,
    )
    sweeper = Sweeper(
        policies=policies,
        marks=marks,
        sessions=sessions,
        storage=storage,
        clock=clock,
        random_bytes=random_bytes,
        grace=timedelta(seconds=settings.sweep_grace_seconds),
    )
    return Service(server, janitor, sweeper, tasks, metrics)
