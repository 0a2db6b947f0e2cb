"""What all handlers share: the use cases, the caller of the call, and its answers."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from partway.v1 import upload_pb2

from partway_server.domain.grant import Caller
from partway_server.domain.policy import Policy
from partway_server.domain.quota import Limit
from partway_server.domain.upload import Upload
from partway_server.rpc import conversion
from partway_server.rpc.batch_runner import BatchRunner
from partway_server.rpc.deadlines import budget_seconds
from partway_server.rpc.identity.base import PRINCIPAL, Context
from partway_server.workflow.coordinator import Coordinator


class Handlers:
    """The base of the handlers of each group of RPCs."""

    def __init__(
        self,
        *,
        coordinator: Coordinator,
        policies: Mapping[str, Policy],
        timeout_seconds: float,
        batches: BatchRunner,
    ) -> None:
        self.batches = batches
        self.coordinator = coordinator
        self.policies = policies
        self.timeout_seconds = timeout_seconds

    def enter(self, caller: Caller, limit: Limit) -> None:
        """Count the call among those of the caller until it ends. Raises QuotaExceeded."""
        concurrency = self.coordinator.concurrency
        concurrency.enter(caller, limit)
        # However it ends, and also if its reader goes away between two messages.
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(partial(concurrency.leave, caller, limit))

    def wait(self, context: Context) -> timedelta:
        """Return how long a call may wait for storage, leaving time for one more look."""
        return timedelta(seconds=0.8 * budget_seconds(context, self.timeout_seconds))

    def message(self, upload: Upload) -> upload_pb2.Upload:
        return conversion.upload(upload, self.coordinator.upload_id(upload))


def current_caller() -> Caller:
    """Return who makes the call."""
    return PRINCIPAL.get().caller


def allowed_parts() -> tuple[int, int] | None:
    """Return the first and the last part that the caller's token is for, None for all."""
    token = PRINCIPAL.get().token
    return token.parts if token else None
