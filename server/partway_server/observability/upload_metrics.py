"""The metrics of uploads, of their session records, and of the leases on them."""

from collections.abc import Callable, Collection
from datetime import datetime

from partway_server.domain.events import COMPLETED, TYPES
from partway_server.domain.grant import Grant
from partway_server.domain.upload import State, Upload
from partway_server.observability.definitions import UPLOADS, Children, Definitions
from partway_server.observability.records import Announcements

_NAMES = {kind: kind.removeprefix("upload.") for kind in TYPES}


class UploadMetrics:
    """Observes the changes of session records. `now` is the time of the service."""

    def __init__(
        self,
        define: Definitions,
        now: Callable[[], datetime],
        tenants: Collection[str] = (),
    ) -> None:
        define.begin("Uploads")
        self._now = now
        self._tenants = frozenset(tenants)
        self._announcements = Announcements()
        events = "initialized, completed, aborted, expired, or failed"
        self._uploads = Children(
            define.counter(
                "partway_uploads",
                f"Changes of uploads that this service made, by event: {events}.",
                ["event", "policy"],
            )
        )
        self._bytes = Children(
            define.counter(
                "partway_upload_bytes",
                "Declared bytes of the uploads of those changes.",
                ["event", "policy"],
            )
        )
        self._seconds = Children(
            define.histogram(
                "partway_upload_duration_seconds",
                "Time from Initialize to Complete of uploads that were completed.",
                ["policy"],
                buckets=UPLOADS,
            )
        )
        self._presigned = Children(
            define.counter("partway_parts_presigned", "URLs of parts that were made.", ["policy"])
        )
        self._reported = Children(
            define.counter(
                "partway_parts_reported",
                "Parts that callers reported as sent, repeats included.",
                ["policy"],
            )
        )
        self._of_tenant = Children(
            define.counter(
                "partway_tenant_uploads",
                "Changes of uploads, of the tenants that PARTWAY_METRICS_TENANTS names.",
                ["tenant", "event"],
            )
        )
        self._bytes_of_tenant = Children(
            define.counter(
                "partway_tenant_upload_bytes",
                "Declared bytes of the uploads of those changes.",
                ["tenant", "event"],
            )
        )
        self._define_records(define)

    def _define_records(self, define: Definitions) -> None:
        define.begin("Leases and recovery")
        self._taken = Children(
            define.counter(
                "partway_leases_taken",
                "Leases taken, by the state of the upload meanwhile.",
                ["state"],
            )
        )
        self._busy = Children(
            define.counter(
                "partway_leases_refused",
                "Leases that were not given, because another call has the upload or it has changed;"
                " who asked waits, or answers UPLOAD_BUSY.",
                ["state"],
            )
        )
        self._lost = Children(
            define.counter(
                "partway_leases_lost",
                "Leases that were over before their holders were done, noticed at a renew or at the"
                " finish: a process was paused, or Redis lost the record.",
                ["during"],
            )
        )
        self._rebuilt = Children(
            define.counter(
                "partway_records_rebuilt",
                "Session records that Redis had lost and that were stored again, by state.",
                ["state"],
            )
        )
        self._corrected = define.counter(
            "partway_usage_corrected",
            "Uploads that were not counted for their tenant as they are, and were corrected. Other"
            " than after a loss of Redis, or beside an older version, there should be none.",
        )

    def presigned(self, grant: Grant, count: int) -> None:
        """Count URLs that were made."""
        self._presigned(grant.policy).inc(count)

    def inserted(self, upload: Upload, *, restored: bool) -> None:
        if restored:
            self._rebuilt(upload.state).inc()
        if upload.state is State.INITIATING:
            self._taken(upload.state).inc()
        self._count(upload, self._announcements.inserted(upload, restored=restored))

    def claimed(self, upload: Upload | None, target: State) -> None:
        if upload is None:
            self._busy(target).inc()
            return
        self._taken(target).inc()
        self._announcements.claimed(upload)

    def finished(self, outcome: Upload) -> None:
        event = self._announcements.finished(outcome)
        self._count(outcome, event)
        if event == COMPLETED:
            age = (self._now() - outcome.grant.create_time).total_seconds()
            self._seconds(outcome.grant.policy).observe(max(0.0, age))

    def lease_lost(self, during: str) -> None:
        self._lost(during).inc()

    def reported(self, upload: Upload, count: int) -> None:
        self._reported(upload.grant.policy).inc(count)

    def usage_corrected(self, count: int) -> None:
        self._corrected.inc(count)

    def _count(self, upload: Upload, event: str) -> None:
        if not event:
            return
        name, size = _NAMES[event], upload.grant.plan.size_bytes
        self._uploads(name, upload.grant.policy).inc()
        self._bytes(name, upload.grant.policy).inc(size)
        tenant = upload.grant.caller.tenant
        if tenant in self._tenants:
            self._of_tenant(tenant, name).inc()
            self._bytes_of_tenant(tenant, name).inc(size)
