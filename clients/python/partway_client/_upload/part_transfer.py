"""Sends the parts of one Upload, as many at a time as the line takes, and retries them."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from partway_client._upload.checksums import PartChecksums
from partway_client._upload.context import UploadContext
from partway_client._upload.grpc_put import GrpcPartSender
from partway_client._upload.http_put import HttpPartSender
from partway_client._upload.line import PartOnLine
from partway_client._upload.part_outcome import PartOutcome, Verdict, judge
from partway_client._upload.presigned_urls import PresignedUrls
from partway_client._upload.route_choice import RouteChoice
from partway_client._upload.smaller_parts import PartSizeWatch
from partway_client.errors import (
    CallFailed,
    PartwayError,
    PermissionDenied,
    StorageUnreachable,
    TransferFailed,
    ViaServiceOff,
)
from partway_client.models import UploadInfo

logger = logging.getLogger(__name__)

_WARN_SECONDS = 10.0


class UploadGone(PartwayError):
    """Storage no longer knows the multipart upload; the service knows why."""


@dataclass(frozen=True, slots=True)
class Try:
    """One try to send a part: its outcome and how much was sent, or that it is to be repeated."""

    outcome: PartOutcome
    sent_bytes: int
    stopped: bool


class PartTransfer:
    """Sends parts of one Upload by the chosen route, as many at a time as the line takes.

    The options bound how many, and how many bytes. `on_sent` is called with the number and the
    entity tag of each part that arrived.
    """

    def __init__(
        self,
        context: UploadContext,
        *,
        upload: UploadInfo,
        checksums: PartChecksums,
        urls: PresignedUrls,
        route: RouteChoice,
        on_sent: Callable[[int, str], None],
    ) -> None:
        self._context = context
        self._upload = upload
        self._line = context.line
        self._source = context.source
        self._meter = context.meter
        self._retry = context.retry
        self._checksums = checksums
        self._urls = urls
        self._http = HttpPartSender(context)
        self._grpc = GrpcPartSender(context, upload=upload, checksums=checksums)
        self._route = route
        self._workers = context.options.workers(upload.part_size_bytes)
        # An Upload of one part may be one PUT of the whole object.
        self._single = upload.part_count == 1
        self._on_sent = on_sent
        self._finished = 0
        self._warn_time = float("-inf")
        self._sizes: PartSizeWatch

    async def send(self, numbers: Sequence[int]) -> None:
        """Send the parts, lowest first.

        Raises FileChanged, FileUnreadable, TransferFailed, UploadGone, SmallerParts, or the
        service's error to a request for URLs or to a part. Parts in flight are cancelled then.
        """
        logger.debug(
            "sending %d of %d parts, of %.1f MB, %s",
            *(len(numbers), self._upload.part_count, self._upload.part_size(1) / 1e6),
            "through the service" if self._route.via_service else "straight to storage",
        )
        self._urls.expect(numbers)
        stored = self._upload.size_bytes - sum(map(self._upload.part_size, numbers))
        self._sizes = PartSizeWatch(self._context, self._upload, stored)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._sizes.watch())
                await self._send_all(numbers)
                watch.cancel()
        except BaseExceptionGroup as failures:
            first = failures.exceptions[0]
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
        else:
            return
        finally:
            await self._urls.stop()
            self._keep_rate(last=True)
        # Outside the handler, or the group would be attached to it as its context.
        raise first

    async def _send_all(self, numbers: Sequence[int]) -> None:
        todo = iter(numbers)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._workers, len(numbers))):
                group.create_task(self._work(todo))

    async def _work(self, todo: Iterator[int]) -> None:
        # All workers share one iterator: a free worker takes the next part.
        for number in todo:
            outcome = await self._send(number)
            self._finished += 1
            self._sizes.finished(self._upload.part_size(number))
            self._urls.done(number)
            self._meter.part_sent()
            self._on_sent(number, outcome.etag)

    async def _send(self, number: int) -> PartOutcome:
        tries, not_reached, finished = 0, 0, self._finished
        while True:
            self._source.check()
            this = await self._try(number)
            outcome = this.outcome
            self._source.check()
            if outcome.verdict is Verdict.DONE:
                return outcome
            if this.stopped:
                # It was one part too many for the line: it waits for its turn.
                continue
            if outcome.broken:
                self._sizes.broke(this.sent_bytes)
            if finished != self._finished:
                # Other parts get through, so this is no reason to give up.
                tries, finished = 0, self._finished
            tries += 1
            self._meter.parts_retried += 1
            not_reached = not_reached + 1 if outcome.not_reached else 0
            if not_reached:
                self._route.not_reached(outcome.not_reached, not_reached)
                if self._route.via_service:
                    # The route changed: failures of the old one no longer count.
                    tries = not_reached = 0
                    continue
            self._give_up(outcome, tries)
            self._warn(number, outcome, tries)
            if outcome.verdict is Verdict.DAMAGED:
                # Damaged on its way, or changed in the file since it was signed for: then
                # retrying would not help.
                await self._checksums.check([number])
            # A connection that breaks repeatedly may be a refusal that we never get to read.
            if outcome.verdict is Verdict.PRESIGN or tries > 1:
                self._urls.refused(number)
            await self._retry.back_off(tries, base=0.5, cap=20.0)

    def _warn(self, number: int, outcome: PartOutcome, tries: int) -> None:
        """Say that a part does not get through.

        It is a warning unless it is a single failure, or there was one just now.
        """
        now, level = self._retry.monotonic(), logging.DEBUG
        if tries > 1 and now >= self._warn_time:
            self._warn_time, level = now + _WARN_SECONDS, logging.WARNING
        logger.log(
            level,
            "part %d: %s; try %d of %d",
            *(number, outcome.problem or outcome.error, tries + 1, self._retry.part_tries),
        )

    async def _try(self, number: int) -> Try:
        """Send a part once it has a place on the line."""
        async with self._line.place(self._upload.part_size(number)) as place:
            place.on_moved = self._moved
            if self._route.via_service:
                outcome = await self._grpc.send(number, place)
            else:
                outcome = await self._put(number, place)
            place.done = outcome.verdict is Verdict.DONE
            place.lost = outcome.congested and not place.stopped
            return Try(outcome, place.sent_bytes, place.stopped)

    async def _put(self, number: int, place: PartOnLine) -> PartOutcome:
        result = await self._http.send(await self._urls.take(number), place)
        verdict = judge(result, single=self._single)
        if verdict is Verdict.DONE:
            self._route.reached()
            return PartOutcome(verdict, etag=result.etag)
        error = TransferFailed(str(result), status=result.status, code=result.code)
        return PartOutcome(
            verdict,
            error,
            "" if result.reached else str(result),
            problem=str(result),
            broken=result.status is None and result.reached,
        )

    def _moved(self) -> None:
        self._sizes.moved()
        self._keep_rate(last=False)

    def _keep_rate(self, *, last: bool) -> None:
        controller = self._line.controller
        self._context.record.keep(controller.connection_rate, controller.busy_seconds, last=last)

    def _give_up(self, outcome: PartOutcome, tries: int) -> None:
        """Raise the error of `outcome` if no other try would help."""
        if outcome.verdict is Verdict.GONE:
            raise UploadGone
        if outcome.not_reached and self._route.may_switch:
            # After one more such try, the part goes through the service.
            return
        refused = outcome.verdict is Verdict.REFUSED
        if outcome.error is None or not (refused or tries >= self._retry.part_tries):
            return
        if outcome.not_reached and self._route.would_switch:
            raise StorageUnreachable(outcome.not_reached)
        if self._route.problem and _refuses_all_parts(outcome.error):
            raise StorageUnreachable(self._route.problem)
        raise outcome.error


def _refuses_all_parts(error: PartwayError) -> bool:
    """Return whether the service accepts no parts, or is too old to know how."""
    return isinstance(error, ViaServiceOff | PermissionDenied | CallFailed)
