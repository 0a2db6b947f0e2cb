"""Spans, if traces are on: of calls, of what they ask the stores, and of what is sent to webhooks.

`otel` implements them over OpenTelemetry, which is an extra: nothing else imports it. Until a
tracer is installed, all of this does nothing, but for the trace id of a caller, which the log has.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from partway_server.observability.call_context import CallContext, current_call

PROPAGATED = ("traceparent", "tracestate")
"""The metadata and headers that carry a trace (https://www.w3.org/TR/trace-context/)."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", re.ASCII)
_NO_TRACE = "0" * 32


class Span(Protocol):
    """A span that has begun."""

    def note(self, name: str, value: str | int) -> None:
        """Add an attribute. It must be no secret, no URL, no key and no upload ID."""
        ...

    def end(self, failure: str = "") -> None:
        """End it, as failed if `failure` names why."""
        ...


class Tracer(Protocol):
    """Makes spans."""

    def call(
        self, path: str, sent: Mapping[str, str], call: CallContext
    ) -> AbstractContextManager[None]:
        """Make the span of an RPC, which goes on with the trace that its caller has `sent`."""
        ...

    def begin(
        self, name: str, attributes: Mapping[str, str | int], *, current: bool
    ) -> Span | None:
        """Begin a span that is part of another; None if no other is open.

        If it is `current`, others are part of it until it ends, which is in the same task.
        """
        ...

    def delivery(
        self, name: str, sent: Mapping[str, str], attributes: Mapping[str, str | int]
    ) -> Span:
        """Begin the span of a delivery, which goes on with the trace of its event."""
        ...

    def headers(self) -> Mapping[str, str]:
        """Return the headers by which a request goes on with the current trace."""
        ...

    def sampled_trace_id(self) -> str:
        """Return the id of the current trace, "" without one or if it is not kept."""
        ...


_installed: list[Tracer] = []


@contextmanager
def installed(tracer: Tracer) -> Iterator[None]:
    """Make spans by this tracer in the block. It is the whole process's."""
    _installed.append(tracer)
    try:
        yield
    finally:
        _installed.remove(tracer)


def call_span(
    path: str, sent: Mapping[str, str], call: CallContext
) -> AbstractContextManager[None]:
    """Make the span of an RPC, and note its trace id for the log."""
    if _installed:
        return _installed[-1].call(path, sent, call)
    if (found := _TRACEPARENT.fullmatch(sent.get("traceparent", ""))) and found[1] != _NO_TRACE:
        call.trace_id = found[1]
    return nullcontext()


def begin(name: str, attributes: Mapping[str, str | int], *, current: bool = True) -> Span | None:
    """Begin a span that is part of another; None if no other is open, or traces are off.

    Unless it is `current`, none is part of it, and it may end anywhere.
    """
    return _installed[-1].begin(name, attributes, current=current) if _installed else None


def delivery(
    name: str, sent: Mapping[str, str], attributes: Mapping[str, str | int]
) -> Span | None:
    """Begin the span of a delivery to a webhook; None if traces are off."""
    return _installed[-1].delivery(name, sent, attributes) if _installed else None


def outgoing_headers() -> Mapping[str, str]:
    """Return the headers by which a request goes on with the current trace, none without one."""
    return _installed[-1].headers() if _installed else {}


def current_trace_id() -> str:
    """Return the id of the trace that the current call belongs to, "" without one."""
    call = current_call()
    return call.trace_id if call is not None else ""


def sampled_trace_id() -> str:
    """Return the id of the current trace if it is kept, for exemplars of metrics; "" otherwise."""
    return _installed[-1].sampled_trace_id() if _installed else ""


def is_on() -> bool:
    """Return whether spans are made."""
    return bool(_installed)
