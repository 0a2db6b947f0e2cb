"""Convert between the messages and the nouns of ListUploads: filters and pages. Decides nothing."""

from datetime import UTC, datetime
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.requests import UploadFilter
from partway_server.rpc import page_tokens
from partway_server.rpc.conversion import STATES
from partway_server.sessions.base import Cursor

_LAST_SECOND = 253_402_300_799
"""The last second of the year 9999."""


def upload_filter(request: pb.ListUploadsRequest) -> UploadFilter:
    """Return which uploads a ListUploadsRequest selects."""
    return UploadFilter(
        state=next((s for s, value in STATES.items() if value == request.state), None),
        fingerprint=request.fingerprint,
        policy=request.policy,
        created_from=_bound(request, "created_from"),
        created_before=_bound(request, "created_before"),
    )


def _bound(
    request: pb.ListUploadsRequest, field: Literal["created_from", "created_before"]
) -> datetime | None:
    """Return a bound of creation times, rounded up to a whole second, or None.

    Uploads are created at whole seconds, so rounding changes nothing.
    """
    if not request.HasField(field):
        return None
    moment: Timestamp = getattr(request, field)
    seconds = moment.seconds + (1 if moment.nanos else 0)
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), UTC)


def cursor(page_token: str) -> Cursor | None:
    """Return where a page of uploads begins. The token was validated before."""
    if not page_token:
        return None
    seconds, _, sid = page_tokens.decode(page_token).partition("-")
    return Cursor(datetime.fromtimestamp(int(seconds), UTC), sid)


def page_token(cursor: Cursor | None) -> str:
    """Return the token of a cursor, "" for None."""
    if cursor is None:
        return ""
    return page_tokens.encode(f"{int(cursor.create_time.timestamp())}-{cursor.sid}")
