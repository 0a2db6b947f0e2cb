"""What the use cases work with: one value, made once for each service."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Required, TypedDict, Unpack

from partway_server.domain.clock import Clock
from partway_server.domain.key_marks import KeyMarks
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.quota import LimitRegistry
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.domain.upload_token_cipher import UploadTokenCipher
from partway_server.observability.metrics import Metrics
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Storage
from partway_server.workflow.background_tasks import Tasks

Sleep = Callable[[float], Awaitable[None]]
"""Waits for that many seconds."""


@dataclass(frozen=True, slots=True)
class Deps:
    """The seams, the policies, and where time and randomness come from.

    `lease` is how long a worker holds an upload before it must renew. A part that passes through
    the service must have `least_rate` bytes a second, by the `monotonic` clock.
    """

    policies: PolicyRegistry
    sessions: SessionStore
    storage: Storage
    upload_ids: UploadIdCipher
    upload_tokens: UploadTokenCipher
    key_marks: KeyMarks
    tasks: Tasks
    metrics: Metrics
    clock: Clock
    sleep: Sleep
    random_bytes: Callable[[int], bytes]
    lease: timedelta
    limits: LimitRegistry = field(default_factory=LimitRegistry)
    least_rate: int = 0
    monotonic: Callable[[], float] = time.monotonic


class Seams(TypedDict, total=False):
    """What a service is put together over; a test passes its own time and randomness."""

    policies: Required[PolicyRegistry]
    sessions: Required[SessionStore]
    storage: Required[Storage]
    clock: Required[Clock]
    sleep: Sleep
    random_bytes: Callable[[int], bytes]
    limits: LimitRegistry
    monotonic: Callable[[], float]
    metrics: Metrics


def make_deps(
    sealing_keys: Sequence[bytes],
    lease_seconds: float,
    *,
    least_rate: int = 0,
    **seams: Unpack[Seams],
) -> Deps:
    """Return the dependencies of one service; the first sealing key encrypts its IDs and tokens."""
    return Deps(
        policies=seams["policies"],
        sessions=seams["sessions"],
        storage=seams["storage"],
        upload_ids=UploadIdCipher(sealing_keys),
        upload_tokens=UploadTokenCipher(sealing_keys),
        key_marks=KeyMarks(sealing_keys),
        tasks=Tasks(),
        metrics=seams.get("metrics") or Metrics(now=seams["clock"].now),
        clock=seams["clock"],
        sleep=seams.get("sleep", asyncio.sleep),
        random_bytes=seams.get("random_bytes", os.urandom),
        lease=timedelta(seconds=lease_seconds),
        limits=seams.get("limits") or LimitRegistry(),
        least_rate=least_rate,
        monotonic=seams.get("monotonic", time.monotonic),
    )
