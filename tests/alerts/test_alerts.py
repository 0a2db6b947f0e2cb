"""Tests the alerts: over series of real outages, and over some that are made."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from partway_server.observability.metrics import Metrics

from tests.alerts.names import BOARD, ROOT, RULES, metrics_in, queries, rules
from tests.alerts.promtool import Expected, Recording, Series, check, from_zero, recording, run

MINUTE = 60
ALERTS = [rule["alert"] for rule in rules() if "alert" in rule]

OUTAGES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "storage-hangs": {
        "PartwayStorageSlow": (4, 8),
        "PartwayErrorBudgetBurnsFast": (5, 12),
    },
    "redis-away": {
        "PartwayRedisAway": (3, 5),
        "PartwayErrorBudgetBurnsFast": (5, 12),
        "PartwayJanitorStands": (12, 3),
    },
    "webhook-refuses": {
        "PartwayWebhookLate": (22, 8),
    },
}
"""For each recorded outage the alerts, with the minutes after its begin by which each has to fire,
and after its end by which it has to be silent. All others are silent all the time."""

BUSY: Mapping[str, frozenset[str]] = {
    name: frozenset({"PartwayErrorBudgetBurnsFast"}) for name in OUTAGES
}
"""Alerts that may also fire outside the outage: the machine that recorded these was so busy that
callers ran out of time before and after it, which is what this alert is about."""


@pytest.mark.alerts
@pytest.mark.parametrize("name", OUTAGES)
def test_alerts_fire_in_an_outage_and_only_then(name: str, tmp_path: Path) -> None:
    found = recording(name)
    check(from_zero(found.series, found.at), found.every, expectations(found), tmp_path)


def expectations(found: Recording) -> Iterator[Expected]:
    """Say for each minute which alerts fire, and which may."""
    begins, ends = found.begins * found.every, found.ends * found.every
    for at in range(0, found.last * found.every, MINUTE):
        firing, either = set(), set(BUSY.get(found.name, ()))
        for alert, (by, silent) in OUTAGES[found.name].items():
            if begins + by * MINUTE <= at <= ends:
                firing.add(alert)
            elif begins < at < ends + silent * MINUTE:
                either.add(alert)
        yield Expected(at, frozenset(firing), frozenset(either - firing))


LONG = 6 * 60
MADE: Mapping[str, tuple[Series, frozenset[str]]] = {
    "no replica": ({}, frozenset({"PartwayAbsent"})),
    "a certificate of 5 days": (
        {'partway_certificate_end_timestamp_seconds{certificate="server"}': [5 * 86400.0] * LONG},
        frozenset({"PartwayCertificateEnds"}),
    ),
    "a certificate of 28 hours, 6 hours later": (
        {'partway_certificate_end_timestamp_seconds{certificate="server"}': [28 * 3600.0] * LONG},
        frozenset({"PartwayCertificateEnds", "PartwayCertificateEndsToday"}),
    ),
    "a certificate of 60 days": (
        {'partway_certificate_end_timestamp_seconds{certificate="server"}': [60 * 86400.0] * LONG},
        frozenset(),
    ),
    "credentials that were not renewed": (
        {
            'partway_credentials_end_timestamp_seconds{backend="default",use="calls"}': [
                LONG * 60.0
            ]
            * LONG
        },
        frozenset({"PartwayCredentialsEnd"}),
    ),
    "a janitor that stands": (
        {'partway_cleanup_last_success_timestamp_seconds{task="janitor"}': [600.0] * LONG},
        frozenset({"PartwayJanitorStands"}),
    ),
    "a full Redis": (
        {
            'partway_rpcs_total{rpc="Initialize",code="RESOURCE_EXHAUSTED",reason="SESSIONS_FULL"}': [
                float(n) for n in range(LONG)
            ]
        },
        frozenset(
            {"PartwayRedisFull", "PartwayErrorBudgetBurnsFast", "PartwayErrorBudgetBurnsSlowly"}
        ),
    ),
    "counters that are corrected": (
        {"partway_usage_corrected_total": [float(n // 10) for n in range(LONG)]},
        frozenset({"PartwayQuotaDrifts"}),
    ),
    "counters that are corrected after a loss of Redis": (
        {
            "partway_usage_corrected_total": [float(n // 10) for n in range(LONG)],
            'partway_records_rebuilt_total{state="ACTIVE"}': [float(n) for n in range(LONG)],
        },
        frozenset(),
    ),
    "events that were given up": (
        {
            'partway_webhook_deliveries_total{webhook="orders",outcome="dead"}': [
                float(n // 30) for n in range(LONG)
            ]
        },
        frozenset({"PartwayWebhookDeadLetters"}),
    ),
    "replies that no one reads": (
        {
            'partway_share_used{share="unread"}': [90.0] * LONG,
            'partway_share_capacity{share="unread"}': [100.0] * LONG,
        },
        frozenset({"PartwayUnreadReplies"}),
    ),
    "refused calls": (
        {
            'partway_calls_refused_total{limit="working"}': [5.0 * n for n in range(LONG)],
            'partway_rpcs_total{rpc="Status",code="OK",reason=""}': [95.0 * n for n in range(LONG)],
        },
        frozenset({"PartwayOverloaded"}),
    ),
    "storage that answers 503": (
        {
            'partway_storage_errors_total{backend="default",operation="HeadObject",code="503"}': [
                6.0 * n for n in range(LONG)
            ],
            'partway_storage_call_duration_seconds_count{backend="default",operation="HeadObject"}': [
                60.0 * n for n in range(LONG)
            ],
        },
        frozenset({"PartwayStorageFails"}),
    ),
}
"""What cannot be waited for, or not be had in a test, a value a minute for six hours: the series,
and what fires at their end."""


@pytest.mark.alerts
@pytest.mark.parametrize("name", MADE)
def test_alerts_over_made_series(name: str, tmp_path: Path) -> None:
    series, firing = MADE[name]
    known: Series = (
        {} if name == "no replica" else {'partway_build_info{version="1"}': [1.0] * LONG}
    )
    end = Expected((LONG - 1) * MINUTE, firing)
    check({**known, **series}, MINUTE, [end], tmp_path)


@pytest.mark.alerts
def test_memory_that_grows(tmp_path: Path) -> None:
    """A value every five minutes for 30 hours, because the alert compares with a day ago."""
    many = 30 * 12
    grows = [300e6 + 500e6 * n / many for n in range(many)]
    for used, firing in ((grows, {"PartwayMemoryGrows"}), ([700e6] * many, set())):
        series: Series = {
            "process_resident_memory_bytes": used,
            'partway_build_info{version="1"}': [1.0] * many,
        }
        check(series, 300, [Expected((many - 1) * 300, frozenset(firing))], tmp_path)


@pytest.mark.alerts
def test_promtool_accepts_the_rules() -> None:
    done = run("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested() -> None:
    fire = {alert for alerts in OUTAGES.values() for alert in alerts}
    fire |= {alert for _, alerts in MADE.values() for alert in alerts} | {"PartwayMemoryGrows"}
    assert fire == set(ALERTS)


def test_rules_and_board_read_metrics_that_exist() -> None:
    kinds = {each.name: each.kind for each in Metrics().definitions}
    suffixes = ("_bucket", "_sum", "_count")
    known = {*kinds, *(f"{n}{s}" for n, k in kinds.items() if k == "histogram" for s in suffixes)}
    named = {n for rule in rules() for n in metrics_in(rule["expr"])}
    assert named <= known
    assert {name for query in queries() for name in metrics_in(query)} <= known


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_runbook(alert: str) -> None:
    [rule] = [each for each in rules() if each.get("alert") == alert]
    page = RULES.parents[2] / rule["annotations"]["runbook_url"].partition("/blob/main/")[2]
    text = page.read_text()
    assert f"`{alert}`" in text
    assert re.findall(r"^## (.*)$", text, re.M) == [
        "What it means",
        "What callers see",
        "What to do",
    ]
    assert (
        f"| `{alert}`" in (page.parent / "index.md").read_text()
        or f"`{alert}`" in (page.parent / "index.md").read_text()
    )


def test_the_board_is_what_its_program_makes() -> None:
    made = subprocess.run(
        [sys.executable, "deploy/grafana/board.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert made.stdout == BOARD.read_text()
