"""The metrics of RPCs: rate, errors and duration."""

from collections.abc import Collection

from partway_server.observability.definitions import (
    CALLS,
    Children,
    Definitions,
    TraceId,
    exemplar,
)


class RpcMetrics:
    """Counts the calls of each RPC. `tenants` are those that have figures of their own."""

    def __init__(
        self, define: Definitions, trace_id: TraceId, tenants: Collection[str] = ()
    ) -> None:
        define.begin("RPCs")
        self._trace_id = trace_id
        self._tenants = frozenset(tenants)
        self._ended = Children(
            define.counter(
                "partway_rpcs",
                "Calls that ended, by gRPC code and by [reason](errors.md). The reason is empty"
                " with OK, and with CANCELLED: the caller went away.",
                ["rpc", "code", "reason"],
            )
        )
        self._seconds = Children(
            define.histogram(
                "partway_rpc_duration_seconds",
                "How long calls took, refused ones too: until the reply is made, of PresignParts"
                " and Watch until the first message. UploadPart and PutPart last as long as their"
                " sender takes. The outcome is ok or error.",
                ["rpc", "outcome"],
                buckets=CALLS,
            )
        )
        self._failed_items = Children(
            define.counter("partway_batch_items_failed", "Items of batches that failed.", ["rpc"])
        )
        self._quota = Children(
            define.counter(
                "partway_quota_refusals",
                "Calls refused because a limit of the tenant or the subject is reached.",
                ["limit", "owner"],
            )
        )
        self._of_tenant = Children(
            define.counter(
                "partway_tenant_rpcs",
                "Calls that ended, of the tenants that PARTWAY_METRICS_TENANTS names.",
                ["tenant", "rpc", "code"],
            )
        )

    def ended(
        self, rpc: str, code: str, reason: str, seconds: float | None, tenant: str = ""
    ) -> None:
        """Count a call that ended. `seconds` is None if the duration was observed before."""
        self._ended(rpc, code, reason).inc()
        if seconds is not None:
            self.took(rpc, seconds, ok=code == "OK")
        if tenant in self._tenants:
            self._of_tenant(tenant, rpc, code).inc()

    def took(self, rpc: str, seconds: float, *, ok: bool) -> None:
        """Observe the duration of a call, or of a stream until its first message."""
        outcome = "ok" if ok else "error"
        self._seconds(rpc, outcome).observe(seconds, exemplar(self._trace_id()))

    def items_failed(self, rpc: str, number: int) -> None:
        """Count the items of a batch that failed."""
        self._failed_items(rpc).inc(number)

    def quota_refused(self, limit: str, owner: str) -> None:
        """Count a call that is refused for a limit of its tenant or subject."""
        self._quota(limit, owner).inc()
