"""Compares what callers were answered with what storage has."""

from dataclasses import dataclass, field
from typing import Any

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway_server.domain.grant import Grant
from partway_server.storage.base import Head

from tests.support.bucket import Bucket
from tests.support.world import Failure

STATES = {
    value: name.removeprefix("UPLOAD_STATE_") for name, value in upload_pb2.UploadState.items()
}


@dataclass(eq=False, slots=True)
class Ghost:
    """One Upload as its caller knows it. `etag` is that of an acknowledged completion."""

    caller: str
    request: pb.InitializeRequest
    upload: upload_pb2.Upload | None = None
    grant: Grant | None = None
    urls: dict[int, upload_pb2.PresignedPart] = field(default_factory=dict)
    sent: dict[int, set[bytes]] = field(default_factory=dict)
    etag: str = ""
    aborted: bool = False
    late: bool = False
    lost_parts: bool = False

    @property
    def whole(self) -> bool:
        """Return whether every part was sent, and nothing has happened to them since."""
        assert self.upload is not None
        return len(self.sent) == self.upload.part_count and not self.lost_parts


class Truth:
    """A judge of answers that looks into the bucket; each method fails the test if one is false."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def heard(self, ghost: Ghost, answer: Any) -> None:
        """Compare an answer with storage."""
        if isinstance(answer, Failure):
            self._refused(ghost, answer)
        elif hasattr(answer, "upload"):
            self.agree(ghost, answer.upload)

    def agree(self, ghost: Ghost, upload: upload_pb2.Upload) -> None:
        state, ours = STATES[upload.state], self.ours(ghost)
        if state == "COMPLETED":
            assert ours is not None
            assert upload.object.etag == ours.etag
            assert ghost.etag in ("", ours.etag)
            if not ghost.etag:
                self._assert_content(ghost)
            ghost.etag, ghost.aborted = ours.etag, False
            return
        assert not ghost.etag, f"{state} after it was COMPLETED"
        assert ghost.grant is not None
        if state == "ABORTED":
            assert ours is None or (ghost.grant.single and ghost.late)
            ghost.aborted = True
        elif state == "ACTIVE":
            assert not ghost.aborted or ghost.grant.single
            assert ours is None or ghost.grant.single

    def _refused(self, ghost: Ghost, failure: Failure) -> None:
        """Check a refusal, which is an answer, too."""
        assert failure.code not in ("INTERNAL", "UNKNOWN", "NOT_FOUND"), failure
        if failure.reason == "PARTS_MISSING":
            assert not ghost.whole and self.ours(ghost) is None
        if failure.reason == "UPLOAD_NOT_ACTIVE":
            state = failure.metadata["state"].removeprefix("UPLOAD_STATE_")
            if state == "COMPLETED":
                assert self.ours(ghost) is not None
            if state == "ABORTED":
                assert not ghost.etag
                assert ghost.lost_parts or self.ours(ghost) is None and not ghost.whole

    def ours(self, ghost: Ghost) -> Head | None:
        """Return the object of this Upload, as storage has it."""
        assert ghost.grant is not None
        return self._bucket.object_with(ghost.grant.key, ghost.grant.write_token)

    def _assert_content(self, ghost: Ghost) -> None:
        assert ghost.grant is not None
        body = self._bucket.body(ghost.grant.key)
        for number in ghost.grant.plan.numbers():
            start = ghost.grant.plan.offset(number)
            part = body[start : start + ghost.grant.plan.size(number)]
            assert part in ghost.sent[number] or not part
