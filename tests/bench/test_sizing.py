"""What a million uploads take, from figures that are easy to compute with."""

import pytest

from bench.sizing import Prices, direct, proxied, table


def figures(**rows: dict[str, float]) -> dict[str, object]:
    return {
        row: {"peers": {peer: {"median": value} for peer, value in peers.items()}}
        for row, peers in rows.items()
    }


BOTH = figures(
    upload_100={"partway": 3.6, "tusd": 3600},
    bytes={"partway": 100, "tusd": 500_000},
    s3_calls={"partway": 4, "tusd": 105},
)


def test_requests_are_priced_by_what_they_do() -> None:
    cost = direct(BOTH)
    assert (cost.writes, cost.reads) == (103, 1)  # 100 parts, Create, list, Complete; HEAD.
    assert cost.dollars(1_000_000, Prices()) == pytest.approx(103 * 5 + 0.4)
    assert cost.dollars(1_000_000, Prices(core_hour=10)) == pytest.approx(103 * 5 + 0.4 + 10)
    assert cost.uploads_a_second == pytest.approx(1000 / 3.6)


def test_the_table_has_both_ways() -> None:
    other = proxied(BOTH)
    assert other is not None
    lines = table({"direct": direct(BOTH), "proxied": other}, 1_000_000, Prices()).splitlines()
    assert lines[0] == "| 1,000,000 uploads of 524 MB | direct | proxied |"
    assert "| core hours | 1.0 | 1,000.0 |" in lines
    assert "| GB to and from the service | 100 | 500,000 |" in lines
    assert "| dollars | 515 | 525 |" in lines


def test_what_was_not_measured_is_not_computed() -> None:
    assert proxied(figures(upload_100={"partway": 3.6})) is None
