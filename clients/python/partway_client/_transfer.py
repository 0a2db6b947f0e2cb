"""The parts of one Upload to storage, several at a time, tried again while that may help."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from partway_client._checksums import Sums
from partway_client._meter import Meter
from partway_client._pace import Pace
from partway_client._putting import Answer, Putter, Verdict, judge
from partway_client._source import Source
from partway_client._urls import Urls
from partway_client.errors import PartwayError, TransferFailed


class UploadGone(PartwayError):
    """Storage no longer knows the multipart upload; the service knows why."""


class Transfer:
    """Sends parts with `workers` PUTs at a time.

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
        self._meter = meter
        self._pace = pace
        self._workers = workers
        self._single = single
        self._on_sent = on_sent
        self._finished = 0

    async def send(self, numbers: Sequence[int]) -> None:
        """Send the parts, lowest first.

        Raises FileChanged, FileUnreadable, TransferFailed, UploadGone, or what the service
        answers when it is asked for URLs. What was in flight is cancelled then.
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
            answer = await self._send(number)
            self._finished += 1
            self._urls.done(number)
            self._meter.part_sent()
            self._on_sent(number, answer.etag)

    async def _send(self, number: int) -> Answer:
        tries, finished = 0, self._finished
        while True:
            self._source.check()
            part = await self._urls.take(number)
            answer = await self._putter.put(part)
            self._source.check()
            verdict = judge(answer, single=self._single)
            if verdict is Verdict.DONE:
                return answer
            if finished != self._finished:
                # Others get through, so this is no reason to give up.
                tries, finished = 0, self._finished
            tries += 1
            self._meter.parts_retried += 1
            self._give_up(verdict, answer, tries)
            if verdict is Verdict.DAMAGED:
                # On its way, or in the file since it was signed for: that would not help again.
                await self._sums.check([number])
            # A connection that breaks again and again may be a refusal that we never get to read.
            if verdict is Verdict.PRESIGN or tries > 1:
                self._urls.refused(number)
            await self._pace.back_off(tries, base=0.5, cap=20.0)

    def _give_up(self, verdict: Verdict, answer: Answer, tries: int) -> None:
        if verdict is Verdict.GONE:
            raise UploadGone
        if verdict is Verdict.REFUSED or tries >= self._pace.part_tries:
            raise TransferFailed(str(answer), status=answer.status, code=answer.code)
