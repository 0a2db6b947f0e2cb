"""How long calls may take."""

from partway_server.rpc.identity.base import Context

CLIENT_STREAM_SECONDS = 3 * 3600
"""The time limit of a client stream: a part of 5 GiB at 500 kB/s. It is shorter than the time by
which a transfer to storage may outlive its upload."""

STREAM_SECONDS = {"PresignParts": 600.0, "Watch": 1800.0}
"""How long a server stream may last, up to a tenth less. Callers open it again, and so move to
other replicas, and off a connection that is to close."""


def budget_seconds(context: Context, cap_seconds: float) -> float:
    """Return how long a call may take and still be answered before its caller's deadline."""
    remaining = context.time_remaining()
    if remaining is None:
        return cap_seconds
    return min(remaining * 0.9, remaining - 0.02, cap_seconds)
