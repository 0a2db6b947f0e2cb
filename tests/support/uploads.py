"""Uploads for tests that do not depend on what exactly is uploaded."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.part_plan import GIB, MIB, Plan
from partway_server.domain.upload import AbortReason, State, StoredObject, Upload

from tests.support.clock import START

ALICE = Caller("acme", "alice")


def sid_of(name: object) -> str:
    """Return a sid that looks random and is always the same for the same name."""
    return hashlib.sha256(repr(name).encode()).hexdigest()[:32]


def an_upload(
    state: State = State.ACTIVE,
    *,
    name: object = "one",
    sid: str = "",
    caller: Caller = ALICE,
    create_time: datetime = START,
    plan: Plan | None = None,
    **fields: Any,
) -> Upload:
    """Return an Upload in any state; `fields` are further fields of Upload.

    One that has ended says how: a record that does not is garbled.
    """
    if state is State.COMPLETED:
        fields.setdefault("object", StoredObject(GIB, "0123abcd-64"))
    if state is State.ABORTED:
        fields.setdefault("abort_reason", AbortReason.REQUESTED)
    sid = sid or sid_of(name)
    grant = Grant(
        sid=sid,
        caller=caller,
        policy="videos",
        backend="main",
        bucket="uploads",
        key=f"{caller.tenant}/2026/03/01/{sid}/film.mp4",
        single=False,
        plan=plan or Plan(GIB, 16 * MIB),
        content_type="video/mp4",
        checksum=Checksum.CRC32C,
        write_token=sid_of(("token", sid)),
        create_time=create_time,
        expire_time=create_time + timedelta(days=6),
        multipart_id="" if state is State.INITIATING else f"multipart-of-{sid}",
    )
    return Upload(grant, state, **fields)
