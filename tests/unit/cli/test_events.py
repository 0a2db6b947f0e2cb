"""Tests `partway-server events`: its help, and its errors where it cannot work."""

from datetime import UTC, datetime

import pytest
from click import Context
from click.testing import CliRunner
from partway_server.cli.events_tail import tail
from partway_server.cli.main import main
from partway_server.domain.events import TYPES

NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
def cli() -> CliRunner:
    return CliRunner(env={"PARTWAY_REDIS_URL": None})


@pytest.mark.parametrize("name", ["tail", "replay"])
def test_the_help_teaches_by_example(cli: CliRunner, name: str) -> None:
    text = cli.invoke(main, ["events", name, "--help"], terminal_width=100).output
    assert f"partway-server events {name} --" in text
    assert all(kind in text for kind in TYPES)


@pytest.mark.parametrize("command", [["tail"], ["replay", "--since", "1h"]])
def test_without_the_url_of_redis_it_asks_for_it(cli: CliRunner, command: list[str]) -> None:
    nameless = cli.invoke(main, ["events", *command])
    assert nameless.exit_code == 2
    assert nameless.stderr.startswith(
        "partway-server: PARTWAY_REDIS_URL or --redis-url: is not set"
    )


@pytest.mark.slow  # It waits for Redis as long as the command does.
def test_where_redis_does_not_answer_it_says_so_and_fails(cli: CliRunner) -> None:
    absent = cli.invoke(main, ["events", "tail", "--redis-url", NOWHERE])
    assert absent.exit_code == 1
    words = "partway-server: Redis does not answer or refuses access; check PARTWAY_REDIS_URL\n"
    assert absent.stderr == words


def test_a_url_with_a_password_is_not_repeated(cli: CliRunner) -> None:
    ran = cli.invoke(main, ["events", "tail", "--redis-url", "redis://:secret@h:port/0"])
    assert ran.exit_code == 2
    assert "secret" not in ran.output


@pytest.mark.parametrize(
    "wrong",
    [
        ["tail", "--since", "soon"],
        ["tail", "--upload", "9f2c"],
        ["tail", "--type", "completed"],
        ["replay"],
        ["replay", "--until", "2026-03-01T12:00:00Z"],
    ],
)
def test_what_makes_no_sense_is_refused(cli: CliRunner, wrong: list[str]) -> None:
    ran = cli.invoke(main, ["events", *wrong, "--redis-url", NOWHERE])
    assert ran.exit_code == 2
    assert ran.stderr


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T14:00:00+02:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01 12:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
    ],
)
def test_a_time_has_several_spellings(text: str, moment: datetime) -> None:
    [since] = [option for option in tail.params if option.name == "since"]
    assert since.process_value(Context(tail), text) == moment


@pytest.mark.parametrize(
    "text", ["999999d", "99999999999d", "0001-01-01", "0001-01-01T00:00:00+14:00", "9" * 30 + "h"]
)
def test_a_time_before_all_events_is_the_first(text: str) -> None:
    [since] = [param for param in tail.params if param.name == "since"]
    assert since.process_value(Context(tail), text) == datetime(1970, 1, 1, tzinfo=UTC)
