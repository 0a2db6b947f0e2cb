"""What is told of an Upload, and when: decided here, appended by the session stores. No I/O.

An event is a CloudEvent 1.0 in the JSON format (https://github.com/cloudevents/spec, spec.md and
formats/json-format.md). It is appended to the stream of the Upload's shard in the same step as the
change that it tells of, so that there is never one without the other.

What is told twice has the same id, and this is how it comes to be told twice:

- An event of the type that was told last is not told again, for the row says so. But rows can be
  lost, and with them the streams. A row that is rebuilt from an id and storage therefore tells what
  it shows, unless the deadline is more than RETOLD past: a caller who asks for an Upload of last
  year is to start nothing.
- A row that is put back from a copy goes the way that it went before, and tells it.

An id comes from the write token, which no two Uploads share and which is in every upload_id, and
the type. So it needs no memory.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from partway_server.domain.upload import AbortReason, State, Upload

INITIALIZED = "upload.initialized"
COMPLETED = "upload.completed"
ABORTED = "upload.aborted"
EXPIRED = "upload.expired"
FAILED = "upload.failed"

TYPES = (INITIALIZED, COMPLETED, ABORTED, EXPIRED, FAILED)

REPLAY_WINDOW = timedelta(days=1)
"""How long past an Upload's deadline a row that is rebuilt still tells what it shows."""

_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_ENDS = {AbortReason.REQUESTED: ABORTED, AbortReason.EXPIRED: EXPIRED}


@dataclass(frozen=True, slots=True)
class Event:
    """One event: the id and type that are in `text`, the CloudEvent, and the sid of its Upload."""

    id: str
    type: str
    sid: str
    text: str


def event_type_of(upload: Upload) -> str:
    """The type of the event of an Upload that has come to this state, "" if it has none."""
    match upload.state:
        case State.ACTIVE:
            return INITIALIZED
        case State.COMPLETED:
            return COMPLETED
        case State.ABORTED if upload.abort_reason is not None:
            return _ENDS.get(upload.abort_reason, FAILED)
        case _:
            return ""


@dataclass(frozen=True, slots=True)
class EventComposer:
    """How a store tells: the `source` of its events, and how long it keeps them at least."""

    source: str = "/partway"
    keep: timedelta = timedelta(days=7)

    def inserted(self, upload: Upload, now: datetime) -> Event | None:
        """What to tell if this row is stored where there was none."""
        # No claim and no Initialize gives out the epoch 0: such a row was rebuilt.
        if upload.epoch == 0 and upload.grant.expire_time + REPLAY_WINDOW <= now:
            return None
        return self._event(upload, now)

    def finished(self, outcome: Upload, now: datetime) -> Event | None:
        """What to tell if a claim ends so."""
        return self._event(outcome, now)

    def _event(self, upload: Upload, now: datetime) -> Event | None:
        if not (kind := event_type_of(upload)):
            return None
        named = f"partway event\0{upload.grant.write_token}\0{kind}".encode()
        event = {
            "specversion": "1.0",
            "id": hashlib.sha256(named).digest()[:16].hex(),
            "source": self.source,
            "type": kind,
            "subject": upload.sid,
            "time": _moment(now),
            "datacontenttype": "application/json",
            "data": _data(upload),
        }
        return Event(str(event["id"]), kind, upload.sid, _written(event))


def _data(upload: Upload) -> dict[str, Any]:
    """Nothing in it lets anybody do anything: no upload_id, no URL that is signed."""
    grant, stored = upload.grant, upload.object
    # A single PUT has its metadata in the grant. Where the row with it was lost, storage knows.
    metadata = grant.metadata if grant.single else upload.metadata
    if metadata is None and stored is not None:
        metadata = stored.metadata
    return {
        "upload": upload.sid,
        "tenant": grant.caller.tenant,
        "subject": grant.caller.subject,
        "policy": grant.policy,
        "backend": grant.backend,
        "bucket": grant.bucket,
        "key": grant.key,
        "uri": f"s3://{grant.bucket}/{quote(grant.key)}",
        "size_bytes": grant.plan.size_bytes,
        "content_type": grant.content_type,
        "etag": stored.etag if stored else "",
        "version_id": stored.version_id if stored else "",
        "checksum": base64.b64encode(stored.checksum).decode("ascii") if stored else "",
        "checksum_algorithm": grant.checksum.upper(),
        "metadata": None if metadata is None else dict(metadata),
        "fingerprint": upload.fingerprint,
        "create_time": _moment(grant.create_time),
        "abort_reason": upload.abort_reason.upper() if upload.abort_reason else "",
    }


def _moment(moment: datetime) -> str:
    """As RFC 3339 has it, in UTC."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
