"""Run the items of a batch as calls of their own, and answer each with a response or a status."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from google.protobuf.message import Message
from google.rpc import status_pb2

from partway_server.domain.errors import UploadError
from partway_server.domain.grant import Caller
from partway_server.domain.quota import Limit
from partway_server.observability.call_context import note_policy, part_of_call
from partway_server.rpc.admission import Admission
from partway_server.rpc.call_outcome import CallFailure, failure_of, log_failed_item
from partway_server.rpc.deadlines import budget_seconds
from partway_server.rpc.identity.base import Context
from partway_server.rpc.request_policy import policy_of
from partway_server.rpc.storage_turns import StorageTurns
from partway_server.workflow.batch import StorageTurn, run_together
from partway_server.workflow.rate_limits import RateLimits

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

logger = logging.getLogger(__name__)


class BatchRunner:
    """Runs batches, each item of which counts as a call of its caller."""

    def __init__(
        self,
        *,
        admission: Admission,
        rates: RateLimits,
        random_bytes: Callable[[int], bytes],
        timeout_seconds: float,
    ) -> None:
        self._admission = admission
        self._rates = rates
        self._random_bytes = random_bytes
        self._timeout_seconds = timeout_seconds

    async def run(
        self,
        rpc: str,
        caller: Caller,
        context: Context,
        requests: Sequence[Request],
        item: Callable[[Request, StorageTurn], Coroutine[Any, Any, Response]],
    ) -> list[Response | status_pb2.Status]:
        """Return what `item` answers each request with, or the status that its call would have."""
        # Leaves time to answer the batch, though some items take too long.
        seconds = 0.9 * budget_seconds(context, self._timeout_seconds)
        # The call itself was counted when it was admitted.
        more, excess = await self._rates.take_each(
            caller, Limit.CALLS_PER_SECOND, len(requests) - 1
        )
        turns = StorageTurns(self._admission, caller.tenant)
        works = [_as_call(rpc, item, request, turns.turn) for request in requests[: 1 + more]]
        outcomes: list[Response | Exception] = list(await run_together(works, seconds))
        if excess is not None:
            outcomes += [excess] * (len(requests) - len(outcomes))
        return self._answers(rpc, outcomes)

    def _answers(
        self, rpc: str, outcomes: Sequence[Response | Exception]
    ) -> list[Response | status_pb2.Status]:
        answers: list[Response | status_pb2.Status] = []
        concerning: Counter[str] = Counter()
        for outcome in outcomes:
            if not isinstance(outcome, Exception):
                answers.append(outcome)
                continue
            failure = failure_of(rpc, outcome, lambda: self._random_bytes(8).hex())
            # Or its frames would live on in a reference cycle.
            outcome.__traceback__ = outcome.__context__ = None
            answers.append(failure.status)
            if failure.cause:
                concerning[_text(failure)] += 1
        if concerning:
            counts = ", ".join(f"{count} {text}" for text, count in concerning.most_common())
            logger.info("%s: of %d items failed: %s", rpc, len(outcomes), counts)
        return answers


async def _as_call(
    rpc: str,
    item: Callable[[Request, StorageTurn], Coroutine[Any, Any, Response]],
    request: Request,
    turn: StorageTurn,
) -> Response:
    """Run an item with a context of its own, and log it if it fails."""
    begun = time.monotonic()
    with part_of_call():
        note_policy(policy_of(request))
        try:
            return await item(request, turn)
        except UploadError as error:
            log_failed_item(rpc, begun, error)
            raise


def _text(failure: CallFailure) -> str:
    return f"{failure.name} ({failure.cause})"
