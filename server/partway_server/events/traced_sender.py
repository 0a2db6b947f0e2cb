"""Make a span of each delivery: a decorator over a sender.

An event says which trace it arose in, as the extension of CloudEvents for that does
(https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md); its
deliveries are part of the same trace, and so is what the endpoint does with them.
"""

import json
from typing import Any

from partway_server.events.retry_schedule import DeliveryResponse
from partway_server.events.webhook_sender import Sender
from partway_server.observability import tracing


class TracedSender:
    """A sender to the webhook `name`. Without traces, it does nothing of its own."""

    def __init__(self, sender: Sender, name: str) -> None:
        self._sender = sender
        self._name = name

    async def send(self, event_id: str, body: str) -> DeliveryResponse:
        if not tracing.is_on():
            return await self._sender.send(event_id, body)
        event: dict[str, Any] = json.loads(body)
        sent = {name: str(event[name]) for name in tracing.PROPAGATED if name in event}
        attributes = {
            "partway.webhook": self._name,
            "cloudevents.event_id": event_id,
            "cloudevents.event_type": str(event.get("type", "")),
            "partway.upload.sid": str(event.get("subject", "")),
        }
        span = tracing.delivery(f"webhook {self._name}", sent, attributes)
        assert span is not None
        failure = "cancelled"
        try:
            response = await self._sender.send(event_id, body)
            failure = response.why
            if response.status:
                span.note("http.response.status_code", response.status)
        finally:
            span.end(failure)
        return response
