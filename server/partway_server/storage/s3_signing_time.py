"""Have the AWS SDK sign by a store's clock, and send again what was refused for its time."""

from collections.abc import Mapping
from typing import Any

from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, S3SigV4Auth
from botocore.awsrequest import AWSRequest

from partway_server.storage.store_clock import StoreClock, refusal_time

SIGNATURE_VERSION = "s3v4-partway"
"""What a client is configured with that signs by its store's clock."""

_NOW = "partway_now"


class StoreTimeAuth(S3SigV4Auth):  # type: ignore[misc]
    """Signature Version 4 at a time that stands in the context of the request."""

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        if now := request.context.get(_NOW):
            request.context["timestamp"] = now.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)


AUTH_TYPE_MAPS[SIGNATURE_VERSION] = StoreTimeAuth


def sign_by(clock: StoreClock, client: Any) -> None:
    """Have `client` sign by `clock`, and `clock` learn from what storage refuses."""

    def date(request: AWSRequest, **of_event: Any) -> None:
        request.context[_NOW] = clock.now()

    def send_again(
        response: tuple[Any, Mapping[str, Any]] | None, attempts: int, **of_event: Any
    ) -> float | None:
        if attempts > 1 or response is None:
            return None
        parsed = response[1]
        metadata, error = parsed.get("ResponseMetadata", {}), parsed.get("Error", {})
        time = refusal_time(
            metadata.get("HTTPStatusCode", 0),
            error.get("Code", ""),
            metadata.get("HTTPHeaders", {}),
            error.get("ServerTime", ""),
        )
        return 0.0 if clock.follow(time) else None

    client.meta.events.register_first("before-sign.s3", date)
    # Once more also for a client that does not retry: storage has not looked at the request.
    client.meta.events.register_first("needs-retry.s3", send_again)
