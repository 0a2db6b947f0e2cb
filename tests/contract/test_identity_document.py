"""Tests that docs/identity.md agrees with the code."""

import re
from pathlib import Path

from partway_server.config.settings import Settings
from partway_server.domain.principal import Scope
from partway_server.rpc.permissions import PERMISSIONS

from tests.unit.config.test_settings import REQUIRED

TEXT = (Path(__file__).parents[2] / "docs/identity.md").read_text()


def test_the_table_of_scopes_is_that_of_the_service() -> None:
    rows = re.findall(r"^\| ([A-Z]\w+) \| `(\w+)` \|$", TEXT, re.M)
    assert {name: Scope(scope) for name, scope in rows} == {
        name: permission.scope for name, permission in PERMISSIONS.items()
    }
    assert len(rows) == len(PERMISSIONS)


def test_the_settings_in_each_example_can_be_used() -> None:
    examples = re.findall(r"(?:^    export .*\n)+", TEXT, re.M)
    assert len(examples) >= 3
    for example in examples:
        lines = re.findall(r"export (\w+)=(\S+)", example)
        assert (
            Settings.load({**REQUIRED, **dict(lines)}).identity == dict(lines)["PARTWAY_IDENTITY"]
        )


def test_the_default_scopes_it_suggests_exist() -> None:
    (suggested,) = re.findall(r"set it to `([a-z_ ]+)`", TEXT)
    assert set(map(Scope, suggested.split())) == set(Scope) - {Scope.ADMIN}
