"""Verify that a session record, once parsed, is one that Partway can have written. No I/O.

A parser accepts more: a number where there was a text, a plan that divides by zero, an epoch that
is not a time. Each would fail somewhere else, for whoever reads the record.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from partway_server.domain.grant import CopySource, Grant
from partway_server.domain.part_plan import MAX_PARTS, Plan
from partway_server.domain.upload import State, StoredObject, Upload

_LAST = datetime(6000, 1, 1, tzinfo=UTC)
"""Later times are none: what is added to them must not overflow."""

_LAST_MS = int(_LAST.timestamp() * 1000)

_MAX_BITMAP_BYTES = -(-MAX_PARTS // 8)


def is_plausible(upload: Upload) -> bool:
    """Return whether every value of the upload has its type, and those that must agree do."""
    stored, reported = upload.object, upload.reported
    return (
        _is_grant(upload.grant)
        and 0 <= upload.epoch <= _LAST_MS
        and (upload.lease_until is None or upload.lease_until <= _LAST)
        and (upload.state is not State.COMPLETED or stored is not None)
        and (upload.state is not State.ABORTED or upload.abort_reason is not None)
        and (stored is None or _is_object(stored))
        and (upload.metadata is None or _is_texts(upload.metadata))
        and all(map(_is_source, upload.sources))
        and isinstance(upload.delete_sources, bool)
        and len(reported.parts) <= _MAX_BITMAP_BYTES
        and 0 <= reported.size_bytes <= upload.grant.plan.size_bytes
    )


def _is_grant(grant: Grant) -> bool:
    caller = grant.caller
    return (
        _all(
            str,
            *(caller.tenant, caller.subject, grant.policy, grant.backend, grant.bucket),
            *(grant.key, grant.content_type, grant.multipart_id),
        )
        and _all(bytes, grant.whole_checksum, grant.composition)
        and isinstance(grant.single, bool)
        # The packed form is bytes; a float has a hexadecimal form, too.
        and len(bytes.fromhex(grant.write_token)) > 0
        and grant.create_time <= grant.expire_time <= _LAST
        and _is_texts(grant.metadata)
        and _is_texts(grant.headers)
        and _is_plan(grant.plan)
    )


def _is_plan(plan: Plan) -> bool:
    return (
        _all(int, plan.size_bytes, plan.part_size_bytes, *plan.cuts)
        and plan.size_bytes >= 0
        and plan.part_size_bytes > 0
        and all(cut >= 0 for cut in plan.cuts)
        and (not plan.cuts or sum(plan.cuts) == plan.size_bytes)
        and plan.part_count <= MAX_PARTS
    )


def _is_object(stored: StoredObject) -> bool:
    return (
        _all(int, stored.size_bytes)
        and stored.size_bytes >= 0
        and _all(str, stored.etag, stored.version_id)
        and _all(bytes, stored.checksum)
        and stored.metadata is None
    )


def _is_source(source: CopySource) -> bool:
    texts = (source.bucket, source.key, source.etag, source.write_token)
    return _all(str, *texts) and _all(int, source.size_bytes) and source.size_bytes >= 0


def _is_texts(values: Any) -> bool:
    return isinstance(values, Mapping) and _all(str, *values.keys(), *values.values())


def _all(kind: type, *values: Any) -> bool:
    # Not isinstance: a bool is an int there.
    return all(type(value) is kind for value in values)
