"""What is known of the call that is being handled: the fields of every line that it logs.

The outermost layer of rpc begins it, and what is learned later is noted where it is learned. Tasks
that a call starts inherit it, so that what outlives the call still says whose work it is.

Much of it comes from callers. `shown` keeps such text short, and on one line.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from zlib import crc32

from partway_server.domain.grant import Caller, Grant
from partway_server.observability.store_calls import StoreCall

MOST_CHARS = 128
"""What is kept of a text that a caller chooses."""

_PLAIN = re.compile(r"[\w.:/@+*%~,-]+", re.ASCII)


@dataclass(slots=True)
class CallContext:
    """Who calls what, and about which upload; "" for what is not known, or not yet.

    Of good calls, the share `good_share` is logged. `code` and `reason` say how the call ended.
    `waits` are the calls to the stores that are in flight for it, and `fault` is the last that got
    no answer.
    """

    request_id: str = ""
    rpc: str = ""
    peer: str = ""
    tenant: str = ""
    subject: str = ""
    sid: str = ""
    policy: str = ""
    trace_id: str = ""
    good_share: float = 1.0
    code: str = ""
    reason: str = ""
    waits: list[StoreCall] = field(default_factory=list)
    fault: StoreCall | None = None


FIELDS = ("request_id", "rpc", "peer", "tenant", "subject", "sid", "policy", "trace_id")
"""What lines of the log have of a call."""

_CALL: ContextVar[CallContext | None] = ContextVar("call", default=None)


def begin_call(call: CallContext | None) -> None:
    """Make it the call that this task, and those that it starts, work for; None: no call."""
    _CALL.set(call)


def current_call() -> CallContext | None:
    """Return the call that is being handled, None outside of calls."""
    return _CALL.get()


def request_id() -> str:
    """Return the id of the request that is being handled, "" outside of calls."""
    call = _CALL.get()
    return call.request_id if call is not None else ""


def is_sampled(call: CallContext | None) -> bool:
    """Return whether a good call is logged: all of an upload's, or none."""
    if call is None or call.good_share >= 1:
        return True
    return crc32((call.sid or call.request_id).encode()) < call.good_share * 2**32


def note_caller(caller: Caller) -> None:
    """Note who makes the call."""
    if (call := _CALL.get()) is not None:
        call.tenant, call.subject = caller.tenant, caller.subject


def note_policy(policy: str) -> None:
    """Note the policy that the call asks for, unless that of its upload is known."""
    if (call := _CALL.get()) is not None and not call.sid:
        call.policy = policy[:MOST_CHARS]


def note_sid(sid: str, *, new: bool = False) -> None:
    """Note the upload that the call is about, unless it is known; or one that it makes."""
    if sid and (call := _CALL.get()) is not None and (new or not call.sid):
        call.sid = sid


def note_upload(grant: Grant) -> None:
    """Note the upload that the call is about."""
    if (call := _CALL.get()) is not None:
        call.sid, call.policy = grant.sid, grant.policy


def note_policy_of(grant: Grant) -> None:
    """Note the policy of the upload that the call is about, of which only the sid is known."""
    if (call := _CALL.get()) is not None and call.sid == grant.sid:
        call.policy = grant.policy


@contextlib.contextmanager
def part_of_call() -> Iterator[None]:
    """Give the block a context of its own, as it is now: what it notes is not the whole call's."""
    call = _CALL.get()
    token = _CALL.set(None if call is None else replace(call, waits=[]))
    try:
        yield
    finally:
        _CALL.reset(token)


def begin_work(grant: Grant) -> None:
    """Name an upload, and whose it is, in every line of this task, which is part of no call."""
    tenant, subject = grant.caller.tenant, grant.caller.subject
    begin_call(CallContext(tenant=tenant, subject=subject, sid=grant.sid, policy=grant.policy))


def shown(value: object) -> str:
    """Return a value for a line of text: short, and in quotes with escapes if it needs them."""
    text = str(value)[:MOST_CHARS]
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
