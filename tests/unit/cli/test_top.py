"""Tests what `partway-server top` computes from two scrapes, and what it prints."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from click.testing import CliRunner
from partway_server.cli.main import main
from partway_server.cli.top_figures import Scrape, figures, quantile
from partway_server.cli.top_table import table

BEFORE = """\
# TYPE partway_build_info gauge
partway_build_info{version="1.2.3",grpcio="1.78.0",python="3.13.0"} 1
# TYPE partway_workers gauge
partway_workers 2
# TYPE partway_rpcs_total counter
partway_rpcs_total{rpc="Status",code="OK",reason=""} 100
partway_rpcs_total{rpc="Complete",code="OK",reason=""} 10
# TYPE partway_rpc_duration_seconds histogram
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="ok",le="0.01"} 100
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="ok",le="0.1"} 100
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="ok",le="+Inf"} 100
partway_rpc_duration_seconds_count{rpc="Status",outcome="ok"} 100
partway_rpc_duration_seconds_sum{rpc="Status",outcome="ok"} 1
# TYPE partway_uploads_total counter
partway_uploads_total{event="completed",policy="films"} 7
partway_uploads_total{event="completed",policy="default"} 1
# TYPE partway_calls_refused_total counter
partway_calls_refused_total{limit="storage"} 50
# TYPE partway_storage_call_duration_seconds histogram
partway_storage_call_duration_seconds_bucket{backend="hot",operation="HeadObject",le="1.0"} 5
partway_storage_call_duration_seconds_bucket{backend="hot",operation="HeadObject",le="+Inf"} 5
partway_storage_call_duration_seconds_count{backend="hot",operation="HeadObject"} 5
partway_storage_call_duration_seconds_sum{backend="hot",operation="HeadObject"} 1
"""

AFTER = """\
# TYPE partway_build_info gauge
partway_build_info{version="1.2.3",grpcio="1.78.0",python="3.13.0"} 1
# TYPE partway_workers gauge
partway_workers 2
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 2097152
# TYPE partway_rpcs_total counter
partway_rpcs_total{rpc="Status",code="OK",reason=""} 190
partway_rpcs_total{rpc="Status",code="NOT_FOUND",reason="UPLOAD_NOT_FOUND"} 10
partway_rpcs_total{rpc="Complete",code="OK",reason=""} 4
# TYPE partway_rpc_duration_seconds histogram
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="ok",le="0.01"} 190
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="ok",le="0.1"} 190
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="ok",le="+Inf"} 190
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="error",le="0.01"} 0
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="error",le="0.1"} 10
partway_rpc_duration_seconds_bucket{rpc="Status",outcome="error",le="+Inf"} 10
# TYPE partway_uploads_total counter
partway_uploads_total{event="completed",policy="films"} 17
partway_uploads_total{event="completed",policy="default"} 1
# TYPE partway_upload_bytes_total counter
partway_upload_bytes_total{event="completed",policy="films"} 20971520
# TYPE partway_calls_refused_total counter
partway_calls_refused_total{limit="storage"} 60
# TYPE partway_quota_refusals_total counter
partway_quota_refusals_total{limit="open_uploads",owner="tenant"} 4
# TYPE partway_storage_calls_in_flight gauge
partway_storage_calls_in_flight{backend="hot"} 21
# TYPE partway_storage_oldest_call_age_seconds gauge
partway_storage_oldest_call_age_seconds{backend="hot"} 12.3
# TYPE partway_storage_call_duration_seconds histogram
partway_storage_call_duration_seconds_bucket{backend="hot",operation="HeadObject",le="1.0"} 25
partway_storage_call_duration_seconds_bucket{backend="hot",operation="HeadObject",le="+Inf"} 25
partway_storage_call_duration_seconds_count{backend="hot",operation="HeadObject"} 25
partway_storage_call_duration_seconds_sum{backend="hot",operation="HeadObject"} 11
# TYPE partway_storage_errors_total counter
partway_storage_errors_total{backend="hot",operation="HeadObject",code="SlowDown"} 10
# TYPE partway_cleanup_oldest_due_age_seconds gauge
partway_cleanup_oldest_due_age_seconds 33
# TYPE partway_cleanup_last_success_timestamp_seconds gauge
partway_cleanup_last_success_timestamp_seconds{task="janitor"} 980
"""


def found() -> dict[str, Any]:
    return figures(Scrape.of(BEFORE, 0.0), Scrape.of(AFTER, 10.0), now=1000.0)


def test_rates_are_over_the_time_between_the_scrapes() -> None:
    shown = found()
    status = {"rpc": "Status", "per_second": 10.0, "errors_per_second": 1.0}
    [complete, first] = shown["rpcs"]
    assert first == {**status, "p50_ms": 5.56, "p99_ms": 91.0}
    assert complete["per_second"] == 0.4, "a counter that fell began again from zero"
    assert complete["p99_ms"] is None
    completed = next(each for each in shown["uploads"] if each["event"] == "completed")
    assert completed == {
        "event": "completed",
        "per_second": 1.0,
        "bytes_per_second": 2097152.0,
        "total": 18,
    }


def test_what_fails_is_refused_and_hangs_is_shown() -> None:
    shown = found()
    assert shown["errors"] == [
        {"rpc": "Status", "code": "NOT_FOUND", "reason": "UPLOAD_NOT_FOUND", "per_second": 1.0}
    ]
    assert shown["refused"] == [
        {"limit": "storage", "per_second": 1.0, "total": 60},
        {"limit": "quota open_uploads", "per_second": 0.4, "total": 4},
    ]
    [hot] = shown["storage"]
    assert (hot["backend"], hot["in_flight"], hot["oldest_seconds"]) == ("hot", 21, 12.3)
    [head] = hot["operations"]
    assert (head["per_second"], head["errors_per_second"]) == (2.0, 1.0)
    assert shown["cleanup"] == {
        "oldest_due_seconds": 33.0,
        "janitor_seconds_ago": 20.0,
        "sweep_seconds_ago": None,
    }


@pytest.mark.parametrize(
    ("share", "buckets", "expected"),
    [
        (0.5, {}, None),
        (0.5, {1.0: 0.0, float("inf"): 0.0}, None),
        (0.5, {1.0: 10.0, float("inf"): 10.0}, 0.5),
        (0.9, {1.0: 5.0, 2.0: 10.0, float("inf"): 10.0}, 1.8),
        (0.99, {1.0: 5.0, 2.0: 5.0, float("inf"): 10.0}, 2.0),
    ],
)
def test_a_quantile_is_as_prometheus_estimates_it(
    share: float, buckets: dict[float, float], expected: float | None
) -> None:
    assert quantile(share, buckets) == (expected if expected is None else pytest.approx(expected))


def test_the_table_fits_a_terminal_and_has_everything() -> None:
    lines = table(found(), "http://127.0.0.1:9464/metrics")
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    for part in ("Partway 1.2.3", "2 workers", "completed", "2 MiB", "Status", "UPLOAD_NOT_FOUND"):
        assert part in text
    for part in ("STORAGE hot", "in flight 21, the oldest for 12.3 s", "quota open_uploads"):
        assert part in text
    assert "oldest due upload 33 s; janitor 20 s ago, sweep not yet" in text


def test_a_service_that_has_done_nothing_yet_can_be_shown() -> None:
    text = "# TYPE partway_build_info gauge\npartway_build_info 1\n"
    lines = table(figures(Scrape.of(text, 0), Scrape.of(text, 1), now=5.0), "x")
    assert any(line.startswith("initialized") for line in lines)


class _Metrics(BaseHTTPRequestHandler):
    text = AFTER

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/metrics" else 404)
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Metrics) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    ran = CliRunner().invoke(main, ["top", *arguments], env=environ, catch_exceptions=False)
    return ran.exit_code, ran.stdout, ran.stderr


def test_once_prints_one_table_and_json_one_object(address: str) -> None:
    code, out, _ = run("--url", address, "--once", "--interval", "0.1")
    assert code == 0
    assert out.startswith("Partway 1.2.3 at http://") and "\x1b" not in out
    code, out, _ = run("--once", "--interval", "0.1", "--json", PARTWAY_METRICS_ADDRESS=address)
    assert code == 0
    assert json.loads(out)["workers"] == 2


def test_an_address_for_all_interfaces_is_asked_on_this_machine(address: str) -> None:
    port = address.rpartition(":")[2]
    code, out, _ = run("--url", f"0.0.0.0:{port}", "--once", "--interval", "0.1")
    assert code == 0
    assert f"http://127.0.0.1:{port}/metrics" in out


def test_ctrl_c_ends_it_without_a_traceback(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("partway_server.cli.top.time.sleep", interrupted)
    assert run("--url", address) == (0, "\n", "")


def test_what_does_not_answer_is_named_with_a_remedy() -> None:
    code, out, err = run("--url", "127.0.0.1:1", "--once")
    assert (code, out) == (1, "")
    assert "http://127.0.0.1:1/metrics does not answer" in err and "PARTWAY_METRICS_ADDRESS" in err


def test_what_answers_something_else_is_named(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run("--url", f"http://{address}/other", "--once")
    assert code == 1 and "HTTP 404" in err
    for text in ("<html>", "# TYPE up gauge\nup 1\n"):
        monkeypatch.setattr(_Metrics, "text", text)
        code, _, err = run("--url", address, "--once")
        assert code == 1 and "not with Partway's metrics" in err


@pytest.mark.parametrize("url", ["ftp://host", "http://", "host:port", "http://[::1"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    code, _, err = run("--url", url, "--once")
    assert code == 2
    assert "neither a URL nor host:port" in err
