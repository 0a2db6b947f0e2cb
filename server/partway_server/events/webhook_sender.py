"""Sends one delivery over HTTP, signed as Standard Webhooks requires, and only to allowed
addresses.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Protocol

import aiohttp
import yarl
from aiohttp.abc import AbstractResolver
from standardwebhooks import Webhook as Signer

from partway_server import __version__
from partway_server.domain.clock import Clock
from partway_server.events.retry_schedule import DeliveryResponse
from partway_server.events.ssrf_guard import ForbiddenAddress, connector
from partway_server.events.webhook_file import Webhook
from partway_server.observability.tracing import outgoing_headers

_CONTENT_TYPE = "application/cloudevents+json"
"""A CloudEvent in structured mode (https://github.com/cloudevents/spec, the HTTP binding)."""


class Sender(Protocol):
    """Sends to one endpoint."""

    async def send(self, event_id: str, body: str) -> DeliveryResponse:
        """Send an event once. Every failure is in the response."""
        ...


class HttpSender:
    """Posts to the URL of a webhook. Must be created inside the event loop that uses it.

    `resolver` and `tls` replace those of the machine.
    """

    def __init__(
        self,
        webhook: Webhook,
        *,
        clock: Clock,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        self._url = yarl.URL(webhook.url, encoded=True)
        self._signers = [Signer(secret) for secret in webhook.secrets]
        self._clock = clock
        self._http = aiohttp.ClientSession(
            connector=connector(public_only=not webhook.allow_private, resolver=resolver, tls=tls),
            timeout=aiohttp.ClientTimeout(total=webhook.timeout_seconds),
            cookie_jar=aiohttp.DummyCookieJar(),
            # No proxy from the environment: it would resolve names itself.
            trust_env=False,
            auto_decompress=False,
        )

    async def send(self, event_id: str, body: str) -> DeliveryResponse:
        headers = self._headers(event_id, body)
        try:
            async with self._http.post(
                self._url, data=body.encode(), headers=headers, allow_redirects=False
            ) as reply:
                # The body is not read: if more follows than came with the headers, the connection
                # is closed with it unread.
                return self._response(reply.status, reply.headers)
        except TimeoutError:
            return DeliveryResponse(0, "no answer in time")
        except aiohttp.ClientSSLError:
            return DeliveryResponse(0, "TLS failed")
        except Exception as error:
            # Every failure is retried. The text of the error may contain the URL.
            return DeliveryResponse(0, _why(error))

    async def aclose(self) -> None:
        await self._http.close()

    def _headers(self, event_id: str, body: str) -> dict[str, str]:
        now = self._clock.now()
        return {
            **outgoing_headers(),
            "content-type": _CONTENT_TYPE,
            "user-agent": f"partway/{__version__}",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(
                signer.sign(event_id, now, body) for signer in self._signers
            ),
        }

    def _response(self, status: int, headers: Mapping[str, str]) -> DeliveryResponse:
        why = "" if 200 <= status < 300 else f"HTTP {status}"
        wait = retry_after(headers.get("retry-after", ""), self._clock.now())
        return DeliveryResponse(status, why, wait // timedelta(milliseconds=1))


def _why(error: Exception) -> str:
    """Describe a request that got no answer, with nothing that may contain its URL."""
    match error:
        case ForbiddenAddress() | aiohttp.ClientConnectorError(os_error=ForbiddenAddress()):
            return "the address is not on the public internet, and allow_private is not set"
        case aiohttp.ClientConnectorDNSError():
            return "host name not found"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return f"no connection: {os.strerror(number)}" if number else "no connection"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError():
            return "the connection was lost"
        case _:
            return type(error).__name__


def retry_after(value: str, now: datetime) -> timedelta:
    """Return how long Retry-After asks to wait, in seconds or until a date; zero if it is unclear.

    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    if value.isascii() and value.isdigit():
        return timedelta(seconds=min(int(value[:9]), 10**8))
    try:
        until = parsedate_to_datetime(value)
        return max(until.astimezone(UTC) - now, timedelta())
    except (ValueError, OverflowError):
        return timedelta()
