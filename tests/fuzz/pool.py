"""The Uploads that calls are about: kept fresh, because hostile calls also end them."""

from collections.abc import Sequence

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from tests.fuzz.lane import Target
from tests.fuzz.messages import CALLERS, Call
from tests.fuzz.sender import Sender

_MOST = 64
_ALGORITHMS = upload_pb2.ChecksumAlgorithm.values()
_SIZES = (0, 100, 5 * 1024 * 1024 + 1, 17 * 1024 * 1024, 2**40)


class Pool:
    """IDs of Uploads in all states, and of those that the lane made."""

    def __init__(self, target: Target) -> None:
        self._given, self._tokens = target.ids, target.tokens
        self._made, self._count = list[str](), 0

    def ids(self) -> Sequence[str]:
        """Return the IDs known at this moment."""
        return [*self._given, *self._made]

    def tokens(self) -> Sequence[str]:
        """Return upload tokens for some of the Uploads."""
        return self._tokens

    async def refresh(self, sender: Sender) -> None:
        """Open an Upload."""
        self._count += 1
        request = pb.InitializeRequest(
            size_bytes=_SIZES[self._count % len(_SIZES)],
            checksum_algorithm=_ALGORITHMS[self._count % 4],
        )
        call = Call("Initialize", (request.SerializeToString(),), CALLERS[0])
        _, _, answers = await sender.judged(call)
        self.learn(call, answers)

    def learn(self, call: Call, answers: Sequence[bytes]) -> None:
        """Remember the Upload that the call made, if it made one."""
        if call.method == "Initialize" and answers:
            made = pb.InitializeResponse.FromString(answers[0]).upload.id
            self._made = [*self._made[1 - _MOST :], made]
