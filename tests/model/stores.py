"""Models Redis and storage as values: a step takes one and returns the next, and a reply.

Redis is the session records of the real `MemorySessionStore`; the conformance suite requires the
same behaviour of it as of the scripts in Redis. Storage is written here, because it must misbehave.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from partway_server.domain.grant import Grant
from partway_server.domain.upload import Upload, epoch_at
from partway_server.sessions.memory_store import MemorySessionStore
from partway_server.storage.base import (
    CompleteUnknown,
    Head,
    KeyTaken,
    MultipartNotFound,
    StoredPart,
    UnfinishedUpload,
)

from tests.model.programs import SIZE, Call
from tests.support.clock import FakeClock

HELD = datetime(3000, 1, 1, tzinfo=UTC)
"""The end of every unexpired lease: the search, not the time, decides when it expires."""

OTHER = "somebody else's"


class Row(NamedTuple):
    """A session record, and when a janitor is due to look at it."""

    upload: Upload
    due: datetime


Rows = tuple[Row, ...]


def ask_sessions(rows: Rows, call: Call, now: datetime, losses: int) -> tuple[Rows, Any]:
    """Carry out a call of the Sessions seam in the memory twin; return the new value and reply.

    `losses` is how often Redis was lost or set back. The memory twin never is, so the model answers
    whether a record is current itself, by the rule of Redis: what was claimed since is current.
    """
    # An outage of Redis takes time: epochs given out afterwards are newer.
    now += timedelta(seconds=losses)

    def current(upload: Upload | None) -> bool:
        return upload is not None and (not losses or upload.epoch >= epoch_at(now))

    if call.verb == "is_current":
        return rows, current(call.arguments[0])
    sessions = MemorySessionStore(FakeClock(now))
    sessions._rows = {row.upload.sid: row.upload for row in rows}
    sessions._due = {row.upload.sid: row.due for row in rows}
    arguments = call.arguments
    if call.verb == "take_due":
        # A store may hand out fewer than it was asked for. One at a time is one actor's work.
        arguments = (1, arguments[1])
    reply = _finished(getattr(sessions, call.verb)(*arguments, **call.named))
    after = tuple(
        Row(_untimed(upload, now), sessions._due[sid])
        for sid, upload in sorted(sessions._rows.items())
    )
    if isinstance(reply, Upload):
        reply = _untimed(reply, now)
    elif isinstance(reply, tuple) and isinstance(reply[0], Upload):
        reply = _untimed(reply[0], now), *reply[1:]
    if call.verb == "look":
        reply = reply[0], current(reply[0])
    elif call.verb == "claim_active":
        sid = call.arguments[0].sid
        before = next((row.upload for row in rows if row.upload.sid == sid), None)
        reply = *reply[:2], reply[2] and current(before)
    return after, reply


def lease_over(rows: Rows, sid: str, now: datetime) -> Rows:
    """Let the lease of one session record run out, so that a janitor may look."""
    return tuple(
        Row(replace(row.upload, lease_until=None), min(row.due, now))
        if row.upload.sid == sid
        else row
        for row in rows
    )


def leased(rows: Rows) -> list[str]:
    return [row.upload.sid for row in rows if row.upload.lease_until is not None]


def _untimed(upload: Upload, now: datetime) -> Upload:
    return replace(upload, lease_until=HELD if upload.leased(now) else None)


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return the result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the memory twin waits for something")


class Object(NamedTuple):
    """A finished object. `source` is the multipart upload it was joined from."""

    key: str
    token: str
    source: str


class Multipart(NamedTuple):
    """An unfinished multipart upload. It has its parts once its id was handed out."""

    id: str
    key: str
    token: str
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """How a store behaves.

    `idempotent`: a Complete of what it completed before succeeds. `conditional`: a Complete fails
    while there is an object at the key. `sloppy`: joining the parts takes time; meanwhile the
    multipart upload is not listed, and an Abort does not stop it.
    """

    idempotent: bool = True
    conditional: bool = False
    sloppy: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    """A bucket. `joining` are the multipart uploads that a sloppy store is at work on."""

    kind: Kind
    open: tuple[Multipart, ...] = ()
    objects: tuple[Object, ...] = ()
    joining: tuple[Multipart, ...] = ()
    created: int = 0

    def at(self, key: str) -> Object | None:
        return next((o for o in self.objects if o.key == key), None)

    def holds(self, grant: Grant) -> bool:
        """Return whether the object at the key is this upload's."""
        there = self.at(grant.key)
        return there is not None and there.token == grant.write_token

    def ask(self, call: Call) -> tuple["Storage", Any]:
        """Carry out a call of the Objects seam."""
        step: Callable[..., tuple[Storage, Any]] = getattr(self, f"_{call.verb}")
        return step(*call.arguments, **call.named)

    def put(self, key: str, token: str) -> "Storage":
        """PUT a whole object; the store refuses to overwrite another."""
        if self.at(key) is not None:
            return self
        return replace(self, objects=(*self.objects, Object(key, token, "")))

    def send(self, multipart_id: str) -> "Storage":
        """Mark the parts as sent by the client."""
        now = tuple(m._replace(sent=m.sent or m.id == multipart_id) for m in self.open)
        return replace(self, open=now)

    def joined(self, multipart: Multipart) -> "Storage":
        """Make the object appear, replacing any other at its key."""
        others = tuple(o for o in self.objects if o.key != multipart.key)
        return replace(
            self,
            open=tuple(m for m in self.open if m != multipart),
            joining=tuple(m for m in self.joining if m != multipart),
            objects=(*others, Object(multipart.key, multipart.token, multipart.id)),
        )

    def settled(self) -> "Storage":
        """Finish all joins that a sloppy store was at work on."""
        done = self
        for multipart in self.joining:
            done = done.joined(multipart)
        return done

    def _create(self, grant: Grant, metadata: object) -> tuple["Storage", Any]:
        made = Multipart(f"m{self.created + 1}", grant.key, grant.write_token)
        return replace(self, open=(*self.open, made), created=self.created + 1), made.id

    def _list_multiparts(self, grant: Grant) -> tuple["Storage", Any]:
        return self, tuple(m.id for m in self.open if m.key == grant.key)

    def _list_parts(
        self, grant: Grant, after: int = 0, limit: int | None = None
    ) -> tuple["Storage", Any]:
        part = (StoredPart(1, SIZE, "etag"),)
        if grant.single:
            return self, part if self.holds(grant) else ()
        if (multipart := self._find(grant)) is None:
            return self, MultipartNotFound()
        return self, part if multipart.sent else ()

    def _unfinished(self, backend: str, bucket: str, prefix: str) -> tuple["Storage", Any]:
        return self, tuple(UnfinishedUpload(m.id, m.key) for m in self.open)

    def _complete(
        self, grant: Grant, parts: object, checksum: bytes = b""
    ) -> tuple["Storage", Any]:
        multipart, there = self._find(grant), self.at(grant.key)
        if multipart is None:
            if there is None or there.source != grant.multipart_id:
                return self, CompleteUnknown()
            if self.kind.conditional:
                return self, KeyTaken()
            return self, None if self.kind.idempotent else CompleteUnknown()
        if there is not None and self.kind.conditional:
            return self, KeyTaken()
        if not self.kind.sloppy:
            return self.joined(multipart), None
        listed = tuple(m for m in self.open if m != multipart)
        return replace(self, open=listed, joining=(*self.joining, multipart)), None

    def _abort(self, grant: Grant) -> tuple["Storage", Any]:
        kept = tuple(m for m in self.open if (m.id, m.key) != (grant.multipart_id, grant.key))
        return replace(self, open=kept), None

    def _head(self, grant: Grant) -> tuple["Storage", Any]:
        there = self.at(grant.key)
        return self, Head(SIZE, there.source, there.token) if there else None

    def _delete(self, grant: Grant, head: Head) -> tuple["Storage", Any]:
        kept = tuple(o for o in self.objects if (o.key, o.token) != (grant.key, head.write_token))
        return replace(self, objects=kept), None

    def _find(self, grant: Grant) -> Multipart | None:
        return next(
            (m for m in self.open if (m.id, m.key) == (grant.multipart_id, grant.key)), None
        )
