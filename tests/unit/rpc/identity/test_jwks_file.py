"""Tests a file of keys: it is read again when it changes, and never half."""

from pathlib import Path

import pytest
from partway_server.rpc.identity.jwks import UnknownKey
from partway_server.rpc.identity.jwks_file import FileKeys
from partway_server.rpc.identity.key_set import InvalidKeySet

from tests.support.clock import FakeClock
from tests.support.issuer import jwks, signing_key

OLD, NEW = signing_key("old"), signing_key("new")


class Written:
    """A file that a test writes, with the keys of the issuer at first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(jwks(OLD))

    def write(self, body: bytes) -> None:
        self.path.write_bytes(body)

    def replace(self, body: bytes) -> None:
        other = self.path.with_suffix(".new")
        other.write_bytes(body)
        other.replace(self.path)

    def touch(self) -> None:
        self.path.touch()

    def remove(self) -> None:
        self.path.unlink()


@pytest.fixture
def file(tmp_path: Path) -> Written:
    return Written(tmp_path / "jwks.json")


async def test_a_file_is_read_again_when_it_changes(file: Written, clock: FakeClock) -> None:
    keys = FileKeys(file.path, clock)
    assert (await keys.holding("old")).knows("old")
    file.write(jwks(OLD, NEW))
    with pytest.raises(UnknownKey):
        await keys.holding("new")
    clock.advance(1)
    assert (await keys.holding("new")).knows("new")


async def test_a_file_that_is_replaced_counts_as_changed(file: Written, clock: FakeClock) -> None:
    keys = FileKeys(file.path, clock)
    file.replace(jwks(NEW))
    clock.advance(1)
    assert (await keys.holding("new")).knows("new")


async def test_an_untouched_file_keeps_its_keys(file: Written, clock: FakeClock) -> None:
    keys = FileKeys(file.path, clock)
    first = keys.current()
    file.touch()
    clock.advance(2)
    assert keys.current() is first


@pytest.mark.parametrize("body", [b"", b"{", b'{"keys": []}', b" " * (256 * 1024 + 1)])
async def test_a_file_with_a_problem_changes_nothing_but_the_log(
    file: Written, clock: FakeClock, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    keys = FileKeys(file.path, clock)
    file.write(body)
    clock.advance(1)
    assert (await keys.holding("old")).knows("old")
    [record] = caplog.records
    assert record.levelname == "ERROR" and "PARTWAY_JWT_JWKS_FILE" in record.getMessage()
    clock.advance(1)
    keys.current()
    assert len(caplog.records) == 1
    assert await keys.reload() is False


async def test_a_file_that_is_gone_keeps_its_keys(file: Written, clock: FakeClock) -> None:
    keys = FileKeys(file.path, clock)
    file.remove()
    clock.advance(1)
    assert (await keys.holding("old")).knows("old")
    assert await keys.reload() is False
    file.write(jwks(NEW))
    assert await keys.reload() is True
    assert (await keys.holding("new")).knows("new")


def test_a_file_that_cannot_be_used_at_the_start_is_an_error(
    tmp_path: Path, clock: FakeClock
) -> None:
    with pytest.raises(FileNotFoundError):
        FileKeys(tmp_path / "none.json", clock)
    path = tmp_path / "empty.json"
    path.write_bytes(b"{}")
    with pytest.raises(InvalidKeySet):
        FileKeys(path, clock)
