"""What a fake service answers: the messages that depend on nothing but an upload or a request."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from partway.v1 import upload_pb2 as pb
from partway.v1 import upload_service_pb2 as service_pb

from partway_client.testing.fake_uploads import (
    MAX_SECONDS,
    UPLOAD_SECONDS,
    URL_SECONDS,
    FakeUpload,
    Refusal,
)

R = TypeVar("R", bound=Message)

BATCH_PARTS = 1_000

_BATCH_UPLOADS, _SOURCES = 100, 32
_MOST_BYTES = 5 * 1024**4
_PAGE = 1_000


def results_of(
    batch: Any, answer: Callable[[Any], Message], result: Callable[..., R]
) -> Iterator[R]:
    """Yield the result of each request of a batch: its answer, or why it is refused."""
    for request in batch.requests:
        try:
            yield result(response=answer(request))
        except Refusal as refusal:
            yield result(status=status_of(refusal))


def capabilities(part_size_bytes: int, *, via_service: bool) -> service_pb.GetCapabilitiesResponse:
    """Return what the only policy allows."""
    policy = service_pb.PolicyCapabilities(
        name="default",
        max_size_bytes=_MOST_BYTES,
        checksum_algorithms=[pb.CHECKSUM_ALGORITHM_NONE],
        default_checksum_algorithm=pb.CHECKSUM_ALGORITHM_NONE,
        min_part_size_bytes=1,
        default_part_size_bytes=part_size_bytes,
        max_part_size_bytes=_MOST_BYTES,
        upload_lifetime=Duration(seconds=UPLOAD_SECONDS),
        max_upload_lifetime=Duration(seconds=MAX_SECONDS),
        url_lifetime=Duration(seconds=URL_SECONDS),
        max_url_lifetime=Duration(seconds=URL_SECONDS),
        via_service=via_service,
    )
    return service_pb.GetCapabilitiesResponse(
        version="fake",
        policies=[policy],
        max_batch_uploads=_BATCH_UPLOADS,
        max_batch_parts=BATCH_PARTS,
        max_compose_sources=_SOURCES,
    )


def status_of(refusal: Refusal) -> status_pb2.Status:
    """Return the status of a refused call, with its reason."""
    status = status_pb2.Status(code=code_pb2.Code.Value(refusal.code), message=str(refusal))
    info = error_details_pb2.ErrorInfo(
        reason=f"ERROR_REASON_{refusal.reason}", domain="partway", metadata=refusal.metadata
    )
    status.details.add().Pack(info)
    return status


def whole_part(header: Any, body: bytes) -> service_pb.PutPartRequest:
    """Return a part that came in pieces as one request."""
    request = service_pb.PutPartRequest(
        upload_id=header.upload_id, part_number=header.part_number, checksum=header.checksum
    )
    request.body.data = body
    return request


def token_of(upload: FakeUpload, spec: Any, now: float) -> service_pb.UploadToken:
    """Return an upload token: any is taken."""
    token = service_pb.UploadToken(token=f"fake-{upload.message.id}", actions=spec.actions)
    token.expire_time.FromSeconds(int(now) + (spec.lifetime.seconds or URL_SECONDS))
    return token


def is_wanted(upload: FakeUpload, request: Any) -> bool:
    """Return whether a ListUploads asks for the upload."""
    message = upload.message
    began = message.create_time.ToNanoseconds()
    since, until = request.created_from, request.created_before
    return (
        request.state in (pb.UPLOAD_STATE_UNSPECIFIED, message.state)
        and request.fingerprint in ("", message.fingerprint)
        and request.policy in ("", message.policy)
        and began >= since.ToNanoseconds()
        and (not request.HasField("created_before") or began < until.ToNanoseconds())
    )


def page_of(found: Sequence[Any], request: Any) -> tuple[Sequence[Any], str]:
    """Return one page of what was found, and the token of the next."""
    start = int(request.page_token or 0)
    end = start + min(request.page_size or _PAGE, _PAGE)
    return found[start:end], str(end) if end < len(found) else ""
