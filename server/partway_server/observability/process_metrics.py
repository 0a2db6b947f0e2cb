"""The metrics of the process, of what it was built from, and of what it will need to be renewed."""

import platform
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from importlib.metadata import version

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from partway_server.observability.definitions import Definitions, Joined

_PROCESS = {
    "process_cpu_seconds_total": (
        "counter",
        "CPU time, of all processes of the service.",
        Joined.SUM,
    ),
    "process_resident_memory_bytes": ("gauge", "Resident memory of all processes.", Joined.SUM),
    "process_virtual_memory_bytes": ("gauge", "Virtual memory of all processes.", Joined.SUM),
    "process_open_fds": ("gauge", "Open files and sockets of all processes.", Joined.SUM),
    "process_max_fds": ("gauge", "How many one process may open.", Joined.MIN),
    "process_start_time_seconds": ("gauge", "When the oldest process began.", Joined.MIN),
    "python_info": ("gauge", "The version of Python, in its labels; always 1.", Joined.MAX),
    "python_gc_collections_total": (
        "counter",
        "Collections of garbage, by generation.",
        Joined.SUM,
    ),
    "python_gc_objects_collected_total": ("counter", "Objects collected.", Joined.SUM),
    "python_gc_objects_uncollectable_total": ("counter", "Objects not collectable.", Joined.SUM),
}

End = Callable[[], datetime | None]
"""Returns when something ends, None if it does not or if that is not known."""

CredentialsEnds = Callable[[], Iterable[tuple[str, str, datetime]]]
"""Returns backend, use and end of each set of temporary credentials."""


class ProcessMetrics:
    """Figures of one process."""

    def __init__(self, define: Definitions) -> None:
        define.begin("Expiry")
        self._certificates = define.gauge(
            "partway_certificate_end_timestamp_seconds",
            "When the server's certificate, or a CA in its file, ends. Absent without TLS.",
            ["certificate"],
            joined=Joined.MIN,
        )
        self._credentials = _Credentials(define)
        define.foreign(
            "partway_sealing_key_info",
            "gauge",
            "1 for each sealing key of this process, by its ID; use is encrypt for the first, which"
            " decrypts too, and decrypt for the others.",
            ["key_id", "use"],
            joined=Joined.MAX,
        )
        define.begin("Process")
        build = define.gauge(
            "partway_build_info",
            "The versions of the service and of what it is built on; always 1.",
            ["version", "grpcio", "python"],
            joined=Joined.MAX,
        )
        build.labels(version("partway-server"), version("grpcio"), platform.python_version()).set(1)
        define.gauge("partway_workers", "Workers that answered this scrape.").set(1)
        ProcessCollector(registry=define.registry)
        PlatformCollector(registry=define.registry)
        GCCollector(registry=define.registry)
        for name, (kind, text, joined) in _PROCESS.items():
            define.foreign(name, kind, text, joined=joined)

    def certificate(self, name: str, end: End) -> None:
        """Report from now on when a certificate ends."""
        self._certificates.labels(name).set_function(lambda: _timestamp(end()))

    def credentials(self, ends: CredentialsEnds) -> None:
        """Report from now on when temporary credentials end."""
        self._credentials.ends = ends


class _Credentials(Collector):
    """Reads at each scrape which credentials there are: a reload may change the backends."""

    _NAME = "partway_credentials_end_timestamp_seconds"
    _HELP = (
        "When temporary credentials of a backend end, as far as they were used: of calls, or of the"
        " URLs. Absent for credentials without an end."
    )
    _LABELS = ("backend", "use")

    def __init__(self, define: Definitions) -> None:
        define.foreign(self._NAME, "gauge", self._HELP, self._LABELS, joined=Joined.MIN)
        self.ends: CredentialsEnds = lambda: ()
        define.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self._NAME, self._HELP, labels=self._LABELS)
        for backend, use, end in self.ends():
            family.add_metric((backend, use), end.timestamp())
        yield family


def _timestamp(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()
