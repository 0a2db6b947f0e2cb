"""The parts of one Upload to storage, several at a time, tried again while that may help."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from partway_client._progress_meter import Meter
from partway_client._source.file_source import Source
from partway_client._transport.retry import Pace
from partway_client._upload.checksums import Sums
from partway_client._upload.grpc_put import Passer
from partway_client._upload.http_put import Outcome, Putter, Verdict, judge
from partway_client._upload.presigned_urls import Urls
from partway_client._upload.route import Way
from partway_client.errors import (
    CallFailed,
    PartwayError,
    StorageUnreachable,
    TransferFailed,
    ViaServiceOff,
)


class UploadGone(PartwayError):
    """Storage no longer knows the multipart upload; the service knows why."""


class Transfer:
    """Sends `workers` parts at a time, by `way`.

    `single`: the Upload has one part, and may be one PUT of the whole object. `on_sent` is told
    the number and the entity tag of each part that arrived.
    """

    def __init__(
        self,
        *,
        source: Source,
        sums: Sums,
        urls: Urls,
        putter: Putter,
        passer: Passer,
        way: Way,
        meter: Meter,
        pace: Pace,
        workers: int,
        single: bool,
        on_sent: Callable[[int, str], None],
    ) -> None:
        self._source = source
        self._sums = sums
        self._urls = urls
        self._putter = putter
        self._passer = passer
        self._way = way
        self._meter = meter
        self._pace = pace
        self._workers = workers
        self._single = single
        self._on_sent = on_sent
        self._finished = 0

    async def send(self, numbers: Sequence[int]) -> None:
        """Send the parts, lowest first.

        Raises FileChanged, FileUnreadable, TransferFailed, UploadGone, or what the service
        answers when it is asked for URLs, or is sent parts. What was in flight is cancelled then.
        """
        self._urls.want(numbers)
        todo = iter(numbers)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._workers, len(numbers))):
                    group.create_task(self._work(todo))
        except BaseExceptionGroup as failures:
            first = failures.exceptions[0]
        else:
            return
        finally:
            await self._urls.stop()
        # Outside of the handler, or the group would hang on it as its context.
        raise first

    async def _work(self, todo: Iterator[int]) -> None:
        # All workers share one iterator: who is free takes the next part.
        for number in todo:
            outcome = await self._send(number)
            self._finished += 1
            self._urls.done(number)
            self._meter.part_sent()
            self._on_sent(number, outcome.etag)

    async def _send(self, number: int) -> Outcome:
        tries, not_reached, finished = 0, 0, self._finished
        while True:
            self._source.check()
            outcome = await self._try(number)
            self._source.check()
            if outcome.verdict is Verdict.DONE:
                return outcome
            if finished != self._finished:
                # Others get through, so this is no reason to give up.
                tries, finished = 0, self._finished
            tries += 1
            self._meter.parts_retried += 1
            not_reached = not_reached + 1 if outcome.not_reached else 0
            if not_reached:
                self._way.not_reached(outcome.not_reached, not_reached)
                if self._way.via_service:
                    # Another way: what was tried before counts no more.
                    tries = not_reached = 0
                    continue
            self._give_up(outcome, tries)
            if outcome.verdict is Verdict.DAMAGED:
                # On its way, or in the file since it was signed for: that would not help again.
                await self._sums.check([number])
            # A connection that breaks again and again may be a refusal that we never get to read.
            if outcome.verdict is Verdict.PRESIGN or tries > 1:
                self._urls.refused(number)
            await self._pace.back_off(tries, base=0.5, cap=20.0)

    async def _try(self, number: int) -> Outcome:
        if self._way.via_service:
            return await self._passer.send(number)
        answer = await self._putter.put(await self._urls.take(number))
        verdict = judge(answer, single=self._single)
        if verdict is Verdict.DONE:
            self._way.reached()
            return Outcome(verdict, etag=answer.etag)
        error = TransferFailed(str(answer), status=answer.status, code=answer.code)
        return Outcome(verdict, error, "" if answer.reached else str(answer))

    def _give_up(self, outcome: Outcome, tries: int) -> None:
        if outcome.verdict is Verdict.GONE:
            raise UploadGone
        if outcome.not_reached and self._way.may_turn:
            # One more such try, and the part goes through the service.
            return
        refused = outcome.verdict is Verdict.REFUSED
        if outcome.error is None or not (refused or tries >= self._pace.part_tries):
            return
        if outcome.not_reached and self._way.closed:
            raise StorageUnreachable(outcome.not_reached)
        if self._way.problem and _passes_none(outcome.error):
            raise StorageUnreachable(self._way.problem)
        raise outcome.error


def _passes_none(error: PartwayError) -> bool:
    """Whether the service lets no parts through, or is too old to know how."""
    return isinstance(error, ViaServiceOff | CallFailed)
