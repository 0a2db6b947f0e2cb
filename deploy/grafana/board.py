"""Makes the board: `python deploy/grafana/board.py > deploy/grafana/partway.json`.

Each panel is a line of ROWS; Grafana's JSON around it is the same for all. Import the file, or put
it into a folder of dashboards that Grafana provisions; it asks for a Prometheus data source.
"""

import itertools
import json
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT, ACROSS = 8, 7, 24
SOURCE = {"type": "prometheus", "uid": "${source}"}
RATE = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """A graph: its title, unit, and queries, each with the legend of its lines."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    about: str = ""
    stacked: bool = False


def _quantiles(name: str, by: str, where: str = "") -> tuple[tuple[str, str], ...]:
    rate = f"sum by ({by}, le) (rate({name}_bucket{{{where}}}[{RATE}]))"
    return ((f"histogram_quantile(0.99, {rate})", f"{{{{{by}}}}}"),)


def _rate(name: str, by: str, where: str = "") -> tuple[str, str]:
    legend = " ".join(f"{{{{{label.strip()}}}}}" for label in by.split(","))
    return f"sum by ({by}) (rate({name}{{{where}}}[{RATE}])) > 0", legend


ROWS: dict[str, tuple[Panel, ...]] = {
    "Callers": (
        Panel("Calls", "reqps", (_rate("partway_rpcs_total", "rpc"),)),
        Panel(
            "Failed calls",
            "reqps",
            (_rate("partway_rpcs_total", "rpc, code, reason", 'code!="OK"'),),
            "By gRPC code and by the reason that callers get.",
        ),
        Panel("p99 of calls", "s", _quantiles("partway_rpc_duration_seconds", "rpc")),
        Panel(
            "Error ratio",
            "percentunit",
            (
                ("partway:rpc_error_ratio:rate5m", "5 min"),
                ("partway:rpc_error_ratio:rate1h", "1 h"),
                ("partway:rpc_error_ratio:rate6h", "6 h"),
            ),
            "Calls that failed by a fault of the service. The budget is 0.1 %.",
        ),
        Panel(
            "Refused by a limit of the process",
            "reqps",
            (_rate("partway_calls_refused_total", "limit"),),
        ),
        Panel(
            "Refused by a quota", "reqps", (_rate("partway_quota_refusals_total", "limit, owner"),)
        ),
    ),
    "Uploads": (
        Panel("Uploads", "ops", (_rate("partway_uploads_total", "event"),)),
        Panel(
            "Bytes completed",
            "Bps",
            (_rate("partway_upload_bytes_total", "policy", 'event="completed"'),),
            stacked=True,
        ),
        Panel(
            "From Initialize to Complete",
            "s",
            tuple(
                (
                    f"histogram_quantile({q}, sum by (le) (rate(partway_upload_duration_seconds_bucket[{RATE}])))",
                    f"p{q * 100:.0f}",
                )
                for q in (0.5, 0.95)
            ),
        ),
        Panel(
            "Parts",
            "ops",
            (
                (f"sum(rate(partway_parts_presigned_total[{RATE}]))", "presigned"),
                (f"sum(rate(partway_parts_reported_total[{RATE}]))", "reported"),
                (f"sum(rate(partway_via_service_parts_total[{RATE}]))", "through the service"),
            ),
        ),
        Panel(
            "Leases",
            "ops",
            (
                (f"sum(rate(partway_leases_taken_total[{RATE}]))", "taken"),
                (f"sum(rate(partway_leases_refused_total[{RATE}]))", "refused"),
                (f"sum(rate(partway_leases_lost_total[{RATE}]))", "lost"),
            ),
        ),
        Panel(
            "Repairs",
            "short",
            (
                ("sum(increase(partway_records_rebuilt_total[5m]))", "records rebuilt"),
                ("sum(increase(partway_usage_corrected_total[5m]))", "usage corrected"),
            ),
            "In five minutes. Other than after a loss of Redis both stay at 0.",
        ),
    ),
    "Storage and Redis": (
        Panel(
            "p99 of storage", "s", _quantiles("partway_storage_call_duration_seconds", "operation")
        ),
        Panel(
            "Failed calls to storage",
            "reqps",
            (_rate("partway_storage_errors_total", "operation, code"),),
        ),
        Panel(
            "Oldest call in flight",
            "s",
            (
                (
                    "max by (backend) (partway_storage_oldest_call_age_seconds)",
                    "storage {{backend}}",
                ),
                ("max(partway_redis_oldest_call_age_seconds)", "Redis"),
            ),
            "What hangs shows here first.",
        ),
        Panel("p99 of Redis", "s", _quantiles("partway_redis_call_duration_seconds", "operation")),
        Panel(
            "Failed calls to Redis",
            "reqps",
            (_rate("partway_redis_errors_total", "operation, code"),),
        ),
        Panel(
            "In flight",
            "short",
            (
                ("sum by (backend) (partway_storage_calls_in_flight)", "storage {{backend}}"),
                ("sum(partway_redis_calls_in_flight)", "Redis"),
            ),
        ),
    ),
    "In the background": (
        Panel(
            "Since the last good round",
            "s",
            (
                (
                    "time() - max by (task) (partway_cleanup_last_success_timestamp_seconds)",
                    "{{task}}",
                ),
            ),
        ),
        Panel("Oldest due upload", "s", (("max(partway_cleanup_oldest_due_age_seconds)", "due"),)),
        Panel(
            "Found by janitor and sweep",
            "ops",
            (_rate("partway_cleanup_findings_total", "kind, action, outcome"),),
        ),
        Panel(
            "Deliveries to webhooks",
            "ops",
            (_rate("partway_webhook_deliveries_total", "webhook, outcome"),),
        ),
        Panel(
            "Oldest event of a webhook",
            "s",
            (("max by (webhook) (partway_webhook_oldest_event_age_seconds)", "{{webhook}}"),),
        ),
        Panel(
            "Dead letters",
            "short",
            (("sum by (webhook) (partway_webhook_dead_letters)", "{{webhook}}"),),
        ),
    ),
    "Processes": (
        Panel(
            "Calls",
            "short",
            (
                ("sum(partway_calls_in_progress)", "in progress"),
                ("sum(partway_watches_in_progress)", "watches"),
                ("sum by (queue) (partway_turns_waiting)", "waiting: {{queue}}"),
                ("sum(partway_call_limit)", "limit"),
            ),
        ),
        Panel(
            "Event loop",
            "s",
            (
                (
                    f"histogram_quantile(0.99, sum by (instance, le) (rate(partway_event_loop_lag_seconds_bucket[{RATE}])))",
                    "lag of {{instance}}, p99",
                ),
            ),
        ),
        Panel(
            "CPU",
            "short",
            (
                (
                    f"rate(process_cpu_seconds_total[{RATE}]) and on (instance, job) partway_build_info",
                    "{{instance}}",
                ),
            ),
            "Cores.",
        ),
        Panel(
            "Memory",
            "bytes",
            (
                (
                    "process_resident_memory_bytes and on (instance, job) partway_build_info",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "Unread replies",
            "bytes",
            (("sum by (instance) (partway_unread_reply_bytes)", "{{instance}}"),),
        ),
        Panel(
            "Days to the end of certificates and credentials",
            "d",
            (
                (
                    "(min by (certificate) (partway_certificate_end_timestamp_seconds) - time()) / 86400",
                    "{{certificate}}",
                ),
                (
                    "(min by (backend, use) (partway_credentials_end_timestamp_seconds) - time()) / 86400",
                    "{{backend}} {{use}}",
                ),
            ),
        ),
    ),
}


def board() -> dict[str, Any]:
    """Return the board as Grafana 10 and newer read it."""
    return {
        "title": "Partway",
        "uid": "partway",
        "tags": ["partway"],
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                {
                    "name": "source",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                }
            ]
        },
        "panels": list(_panels()),
    }


def _panels() -> Any:
    numbers, top = itertools.count(1), 0
    for title, panels in ROWS.items():
        yield {
            "id": next(numbers),
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": ACROSS, "h": 1},
        }
        for n, panel in enumerate(panels):
            across, down = n * WIDTH % ACROSS, n * WIDTH // ACROSS
            place = {"x": across, "y": top + 1 + down * HEIGHT, "w": WIDTH, "h": HEIGHT}
            yield _graph(next(numbers), panel, place)
        top += 1 + -(-len(panels) * WIDTH // ACROSS) * HEIGHT


def _graph(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    drawn = {"lineWidth": 1, "fillOpacity": 10, "showPoints": "never"}
    if panel.stacked:
        drawn["stacking"] = {"mode": "normal"}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "custom": drawn},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for n, (expr, legend) in enumerate(panel.queries)
        ],
    }


if __name__ == "__main__":
    print(json.dumps(board(), indent=2))
