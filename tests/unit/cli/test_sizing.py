"""Tests what `partway-server sizing` prints."""

import json
from typing import Any

from click.testing import CliRunner
from partway_server.cli.main import main

DAY = 86_400


def sized(*arguments: str) -> dict[str, Any]:
    given = ["sizing", "--uploads-per-day", "1000000", "--json", *arguments]
    result = CliRunner().invoke(main, given)
    assert result.exit_code == 0, result.output
    printed: dict[str, Any] = json.loads(result.stdout)
    return printed


def test_memory_is_what_is_remembered_at_a_time() -> None:
    found = sized("--open-hours", "24", "--completed-keep-seconds", str(DAY), "--parts", "1")
    assert found["redis_bytes"] == sum(
        found[f"{name}_bytes"] for name in ("open_records", "completed_records", "events")
    )
    assert 1e9 < found["open_records_bytes"] < found["completed_records_bytes"] < 2e9
    week = sized("--completed-keep-seconds", str(7 * DAY), "--parts", "1")
    assert week["completed_records_bytes"] == 7 * found["completed_records_bytes"]


def test_retention_is_that_of_the_settings() -> None:
    result = CliRunner(env={"PARTWAY_COMPLETED_KEEP_SECONDS": "3600"}).invoke(
        main, ["sizing", "--uploads-per-day", "10", "--json"]
    )
    assert json.loads(result.stdout)["load"]["completed_keep_seconds"] == 3600


def test_files_of_one_put_and_of_many_parts_differ_in_requests() -> None:
    single, many = sized("--parts", "1"), sized("--parts", "2500")
    assert single["s3_writes_per_day"] == 0
    assert many["s3_writes_per_day"] == 5 * 10**6
    assert many["part_puts_per_day"] == 2500 * 10**6
    assert many["redis_commands_per_day"] - single["redis_commands_per_day"] == 3 * 10**6


def test_the_text_has_units_and_the_number_of_uploads_is_needed() -> None:
    text = CliRunner().invoke(main, ["sizing", "--uploads-per-day", "1000000"]).stdout
    assert "GB" in text and "Redis commands a second" in text
    assert CliRunner().invoke(main, ["sizing"]).exit_code == 2
