"""Sends calls as they are: bytes in, bytes out, over a few connections."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

import grpc

from tests.fuzz.lane import Target
from tests.fuzz.messages import METHODS, Call
from tests.fuzz.oracle import Oracle, Refusal

PATIENCE = 60.0
"""The service ends every call before that, unless the machine is busy with much else."""

SERVICE = "partway.v1.UploadService"
_READ_MESSAGES = 40
_BY_CLIENT = "Internal error from Core"
"""What grpc.aio as a client reports if a call is refused while it is still sending messages."""
_DETAILS = "grpc-status-details-bin"


class Sender:
    """Connections to one service. Use it as a context."""

    def __init__(
        self, address: str, oracle: Oracle, connections: int = 4, seconds: float = PATIENCE
    ) -> None:
        """`seconds` are how long an answer may take: no call may stay without one."""
        self._seconds = seconds
        # Otherwise all channels would share one connection.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            grpc.aio.insecure_channel(address, options=options) for _ in range(connections)
        ]
        self._oracle = oracle
        self._methods = [
            {name: self._bound(channel, name) for name in METHODS} for channel in self._channels
        ]
        self._turn = itertools.cycle(self._methods)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    @staticmethod
    def _bound(channel: grpc.aio.Channel, name: str) -> Any:
        path, method = f"/{SERVICE}/{name}", METHODS[name]
        if method.client_streaming:
            return channel.stream_unary(path)
        return channel.unary_stream(path) if method.server_streaming else channel.unary_unary(path)

    def begin(self, call: Call) -> Any:
        """Begin the call and return it."""
        method = next(self._turn)[call.method]
        request: Any = _stream(call.messages)
        if not METHODS[call.method].client_streaming:
            request = call.messages[0]
        return method(request, metadata=call.metadata, timeout=self._seconds)

    async def judged(self, call: Call) -> tuple[str, str, list[bytes]]:
        """Send the call; return its code, what is wrong ("" if nothing), and its answers."""
        begun = self.begin(call)
        try:
            answers = await self._answers(call, begun)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            if error.details() == _BY_CLIENT:
                return "lost by the client", "", []
            refusal = Refusal(code, error.details() or "", _packed(error))
            return code, self._oracle.of_refusal(refusal), []
        if any(map(self._oracle.shows_secret, answers)):
            return "OK", "a secret in an answer", answers
        return "OK", "", answers

    async def _answers(self, call: Call, begun: Any) -> list[bytes]:
        if not METHODS[call.method].server_streaming:
            return [await begun]
        # Watch goes on for as long as its Upload.
        limit = 1 if call.method == "Watch" else _READ_MESSAGES
        answers: list[bytes] = []
        async for answer in begun:
            answers.append(answer)
            if len(answers) == limit:
                begun.cancel()
                break
        return answers


def sender_to(target: Target, connections: int = 4) -> Sender:
    """Return connections to the service under attack."""
    return Sender(target.grpc, target.oracle(), connections, target.patience)


def _packed(error: grpc.aio.AioRpcError) -> bytes:
    """Return the google.rpc.Status in the trailers, b"" if they have none."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            return value if isinstance(value, bytes) else value.encode()
    return b""


async def _stream(messages: Iterable[bytes]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message
        await asyncio.sleep(0)
