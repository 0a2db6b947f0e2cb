"""Compose the events of an upload. The session stores append them. No I/O.

An event is a CloudEvent 1.0 in the JSON format (https://github.com/cloudevents/spec, spec.md and
formats/json-format.md). It is appended to the stream of the upload's shard atomically with the
change that it announces, so neither exists without the other.

A duplicate event has the same ID as the original. Duplicates arise in two ways:

- The session record remembers the type of the last event, which is not repeated. But records can
  be lost, and the streams with them. A record that is rebuilt from an upload ID and storage
  therefore announces its state, unless the deadline passed more than REPLAY_WINDOW ago: asking for
  last year's upload must not trigger anything.
- A record that is restored from an old copy repeats its transitions, and their events.

An event ID is derived from the write token, which is unique to an upload and part of every upload
ID, and from the type. So it needs no state.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
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
"""How long past the upload's deadline a rebuilt session record still announces its state."""

_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_ENDS = {AbortReason.REQUESTED: ABORTED, AbortReason.EXPIRED: EXPIRED}


@dataclass(frozen=True, slots=True)
class Event:
    """An event. `text` is the CloudEvent, with `id` and `type` in it; `sid` is the upload's."""

    id: str
    type: str
    sid: str
    text: str


def event_type_of(upload: Upload) -> str:
    """Return the type of the event that announces this upload's state, "" without one."""
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
    """Composes events with this `source`. A store keeps them at least for `keep`.

    `trace` returns what names the trace that an event arises in, if there is one: `traceparent` and
    `tracestate`, which are attributes of CloudEvents, too.
    """

    source: str = "/partway"
    keep: timedelta = timedelta(days=7)
    trace: Callable[[], Mapping[str, str]] = dict

    def inserted(self, upload: Upload, now: datetime) -> Event | None:
        """Return the event that announces a new session record, or None."""
        # Neither a claim nor Initialize assigns epoch 0: such a record was rebuilt.
        if upload.epoch == 0 and upload.grant.expire_time + REPLAY_WINDOW <= now:
            return None
        return self._event(upload, now)

    def finished(self, outcome: Upload, now: datetime) -> Event | None:
        """Return the event that announces the outcome of a claim, or None."""
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
            **self.trace(),
            "data": _data(upload),
        }
        return Event(str(event["id"]), kind, upload.sid, _written(event))


def _data(upload: Upload) -> dict[str, Any]:
    """Return the payload. Nothing in it authorizes anything: no upload ID, no signed URL."""
    grant, stored = upload.grant, upload.object
    # A single PUT has its metadata in the grant. If the record with it was lost, storage has it.
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
    """Format a time as RFC 3339, in UTC."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
