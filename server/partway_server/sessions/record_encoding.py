"""Encode session records as Redis holds them, and decode them again. No I/O.

Records outlive the version that wrote them: whatever is added must be absent in the old ones, and
processes of an older version must read the new ones. Where they could not, FORM grows: then an
older version leaves the record alone, instead of taking it for garbled. See docs/versions.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from urllib.parse import quote

import msgpack

from partway_server.domain.grant import CopySource, Grant
from partway_server.domain.upload import AbortReason, ReportedParts, State, StoredObject, Upload
from partway_server.domain.usage import day_of
from partway_server.sessions.record_check import is_plausible
from partway_server.sessions.script_arguments import moment_of, unflat

FORM = 1
"""The form of the records that this version writes, and the latest that it reads. Also in
`prelude.lua`. A record from before there was a number has this form."""


class NewerRecord(Exception):
    """A session record in a form of a later version."""


class GarbledRecord(Exception):
    """A session record that Partway cannot have written as it is. The message has none of it."""


def fields(upload: Upload) -> dict[str, str | bytes | int]:
    """Return the fields of a record, except those that scripts set: lease_until, mark and the type
    of the last event. Empty stands for None, and so does a field that is absent.

    An empty field costs some 48 bytes. The previous version needs most of them, readers here
    none: once it is no longer supported, they are to be left out.
    """
    stored = upload.object
    packed = msgpack.packb(_stored(stored)) if stored else b""
    return {
        "form": FORM,
        "grant": upload.grant.pack(),
        "policy": upload.grant.policy,
        "state": upload.state,
        "epoch": upload.epoch,
        "reason": upload.abort_reason or "",
        "object": packed,
        "fingerprint": upload.fingerprint,
        "digest": upload.request_digest,
        "manifest": upload.manifest,
        "metadata": b"" if upload.metadata is None else msgpack.packb(dict(upload.metadata)),
        # Only composed uploads have any, and records of older versions stay as they are.
        **({"sources": _packed_sources(upload)} if upload.sources else {}),
        "parts": upload.reported.parts,
        "parts_bytes": upload.reported.size_bytes,
    }


def _packed_sources(upload: Upload) -> bytes:
    packed: bytes = msgpack.packb((upload.delete_sources, [astuple(s) for s in upload.sources]))
    return packed


def _stored(stored: StoredObject) -> tuple[int | str | bytes, ...]:
    # Without a checksum in the old form, for processes of an older version.
    added = (stored.checksum,) if stored.checksum else ()
    return stored.size_bytes, stored.etag, stored.version_id, *added


def upload_from(row: Mapping[bytes, bytes], sid: str = "") -> Upload:
    """Return the upload in a record as HGETALL returns it. Raises GarbledRecord, NewerRecord.

    If a `sid` is given, the record must be of that upload.
    """
    if is_newer(row):
        raise NewerRecord
    try:
        upload = _parsed(row)
        if not is_plausible(upload) or sid not in ("", upload.sid):
            raise GarbledRecord
    except Exception:
        # Whatever a parser raises; and not from it, because its text may have part of the record.
        raise GarbledRecord from None
    return upload


def is_newer(row: Mapping[bytes, bytes]) -> bool:
    """Return whether a record is in a form of a later version."""
    form = row.get(b"form", b"")
    return form.isdigit() and int(form) > FORM


def _parsed(row: Mapping[bytes, bytes]) -> Upload:
    lease_until, reason, stored = (row.get(name) for name in (b"lease_until", b"reason", b"object"))
    # A record from before there were events has no metadata.
    metadata = row.get(b"metadata")
    delete, sources = msgpack.unpackb(row[b"sources"]) if b"sources" in row else (False, ())
    return Upload(
        grant=Grant.unpack(row[b"grant"]),
        state=State(row[b"state"].decode()),
        epoch=_number(row[b"epoch"]),
        lease_until=moment_of(_number(lease_until)) if lease_until else None,
        abort_reason=AbortReason(reason.decode()) if reason else None,
        object=StoredObject(*msgpack.unpackb(stored)) if stored else None,
        fingerprint=row.get(b"fingerprint", b"").decode(),
        request_digest=row.get(b"digest", b""),
        manifest=row.get(b"manifest", b""),
        metadata=msgpack.unpackb(metadata) if metadata else None,
        sources=tuple(CopySource(*source) for source in sources),
        delete_sources=delete,
        reported=ReportedParts(row.get(b"parts", b""), _number(row.get(b"parts_bytes", b"0"))),
    )


def _number(digits: bytes) -> int:
    # Scripts calculate with it; int() accepts more than Lua does.
    if not digits.isdigit():
        raise ValueError
    return int(digits)


def sight(upload: Upload) -> tuple[bytes, int, str]:
    """Return what identifies a version of a record: the write token, the epoch, the state."""
    return bytes.fromhex(upload.grant.write_token), upload.epoch, upload.state


def usage_entry(grant: Grant) -> str:
    """Return what `counted` holds of an upload: its size, its day, its tenant and subject."""
    names = (quote(name, safe="") for name in (grant.caller.tenant, grant.caller.subject))
    return " ".join((str(grant.plan.size_bytes), str(day_of(grant.create_time)), *names))


def returned(sid: str, row: Sequence[bytes]) -> Upload:
    """Return the upload in a record as scripts return it. Raises GarbledRecord."""
    return upload_from(unflat(row), sid)


def returned_if_any(sid: str, row: Sequence[bytes]) -> Upload | None:
    """Return that upload, None if the script found no record. Raises GarbledRecord."""
    return returned(sid, row) if row else None
