"""Makes one call at a time to the service, and repeats it while that may help.

This is the only place that repeats calls; gRPC's own retries are off. All RPCs are idempotent, so
a call whose answer was lost is repeated like one that was refused.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import grpc

from partway_client._transport.call_credentials import CallCredentials, Metadata
from partway_client._transport.retry_policy import RetryPolicy
from partway_client._transport.status_mapping import error_of
from partway_client.errors import PartwayError, ServiceError, ServiceUnreachable

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

logger = logging.getLogger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")

CALL_SECONDS = 30.0

_WARN_SECONDS = 5.0
"""How long calls fail before that is said."""


class StreamCut(Exception):
    """A stream ended without its last message."""


@dataclass(slots=True)
class ServiceConnection:
    """The stub of one channel, the credentials of calls, and whether the service answers.

    `reached` is whether it ever did; `failing_since` when calls began to fail, on the clock of the
    policy, None while they succeed.
    """

    server: str
    stub: "UploadServiceAsyncStub"
    credentials: CallCredentials = field(repr=False)
    reached: bool = False
    failing_since: float | None = None
    warned: bool = False

    def answered(self) -> None:
        """Record that a call succeeded."""
        self.reached, self.failing_since, self.warned = True, None, False


class RetryingCaller:
    """Calls one service by `policy`. `attempts` counts every try of every call."""

    def __init__(self, connection: ServiceConnection, policy: RetryPolicy) -> None:
        self.connection = connection
        self._policy = policy
        self.attempts = 0

    async def unary(
        self,
        rpc: grpc.aio.UnaryUnaryMultiCallable[Q, A],
        request: Q,
        seconds: float = CALL_SECONDS,
    ) -> A:
        """Return the answer to `request`; each try has a deadline. Raises PartwayError."""

        async def once(metadata: Metadata) -> A:
            call = rpc(request, timeout=seconds, metadata=metadata)
            try:
                return await call
            finally:
                # Some grpcio versions never collect a call that is left without this.
                call.cancel()

        return await self.repeat(once)

    async def repeat(self, once: Callable[[Metadata], Awaitable[A]]) -> A:
        """Return what `once` returns, calling it again while that may help. Raises PartwayError.

        With a new token too, once, if the service refuses the one that the call carried.
        """
        credentials, tries, renewed = self.connection.credentials, 0, False
        while True:
            tries += 1
            self.attempts += 1
            metadata = await credentials.metadata()
            try:
                answer = await once(metadata)
            except grpc.aio.AioRpcError as failure:
                error, retried = error_of(failure, self.connection.server)
            except StreamCut:
                error, retried = self.cut(), True
            else:
                self.connection.answered()
                return answer
            if not renewed and await credentials.renew(error, metadata):
                renewed = True
                continue
            await self.wait_or_raise(error, tries, retried=retried)

    async def wait_or_raise(self, error: PartwayError, tries: int, *, retried: bool) -> None:
        """Back off before the next try; raise `error` if another would not help."""
        self.connection.reached |= isinstance(error, ServiceError)
        if not retried or tries >= self._most_tries():
            raise error
        self._warn(error)
        asked = error.retry_seconds if isinstance(error, ServiceError) else None
        logger.debug("a call failed (%s), try %d", type(error).__name__, tries)
        await self._policy.back_off(tries, base=0.25, cap=15.0, at_least=min(asked or 0.0, 60.0))

    def _warn(self, error: PartwayError) -> None:
        """Say, once until a call succeeds, what has been waited for for some seconds."""
        connection, now = self.connection, self._policy.monotonic()
        if connection.failing_since is None:
            connection.failing_since = now
        elif now - connection.failing_since >= _WARN_SECONDS and not connection.warned:
            connection.warned = True
            logger.warning("waiting for the service, and trying again: %s", error)

    def cut(self) -> PartwayError:
        """Return the error for a stream that ended too early."""
        return ServiceUnreachable(
            f"the service at {self.connection.server} stopped in the middle of an answer"
        )

    def _most_tries(self) -> int:
        # A mistyped address should fail sooner than a network lost half way.
        return self._policy.call_tries if self.connection.reached else self._policy.first_call_tries
