"""Tests child processes: started, watched, and ended in time."""

import socket
import sys
import time
from pathlib import Path

import pytest
from partway_server.runtime.subprocesses import Child, ChildError, binary, free_port, port_is_free

pytestmark = pytest.mark.slow  # It starts processes.

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def python(tmp_path: Path, program: str, **options: object) -> Child:
    log = tmp_path / "child.log"
    return Child("child", [sys.executable, "-c", program], log=log, **options)  # type: ignore[arg-type]


def says_up(tmp_path: Path) -> bool:
    return "up" in (tmp_path / "child.log").read_text()


def test_a_child_that_ends_is_told_with_its_last_lines(tmp_path: Path) -> None:
    with python(tmp_path, "print('one', flush=True); raise SystemExit('two')") as child:
        with pytest.raises(ChildError, match="child ended with code 1; its last output:\none\ntwo"):
            child.wait(lambda: False)


def test_a_child_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    child = python(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(ChildError, match="child was not ready after 0 s"):
        child.wait(lambda: False, seconds=0)
    with pytest.raises(ChildError, match="ended with code -15"):
        child.check()


def test_an_answer_from_a_stranger_does_not_make_a_dead_child_ready(tmp_path: Path) -> None:
    child = python(tmp_path, "raise SystemExit('port taken')")
    child.stop()
    with pytest.raises(ChildError):
        child.wait(lambda: True)


def test_a_probe_that_finds_nobody_is_asked_again(tmp_path: Path) -> None:
    answers = iter([ConnectionRefusedError(), TimeoutError(), None])

    def ready() -> bool:
        if error := next(answers):
            raise error
        return True

    with python(tmp_path, "import time; time.sleep(60)") as child:
        child.wait(ready)


def test_a_child_that_will_not_end_is_killed(tmp_path: Path) -> None:
    child = python(tmp_path, STUBBORN, patience=0.1)
    child.wait(lambda: says_up(tmp_path))
    child.stop()
    with pytest.raises(ChildError, match="ended with code -9"):
        child.check()


def test_a_child_without_patience_is_killed_at_once(tmp_path: Path) -> None:
    child = python(tmp_path, STUBBORN, patience=0)
    child.wait(lambda: says_up(tmp_path))
    begin = time.monotonic()
    child.stop()
    assert time.monotonic() - begin < 2


def test_leftovers_are_removed_at_the_end(tmp_path: Path) -> None:
    leftover = tmp_path / "socket"
    leftover.touch()
    python(tmp_path, "pass", leftovers=[leftover, tmp_path / "never-made"]).stop()
    assert not leftover.exists()


def test_a_missing_package_is_said_to_be_the_dev_extra() -> None:
    with pytest.raises(ChildError, match=r"pip install 'partway-server\[dev\]'"):
        binary("no-such-distribution", "program")


def test_a_port_is_not_free_though_its_owner_would_share_it() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as server:
        port = server.getsockname()[1]
        assert not port_is_free("127.0.0.1", port)
    assert port_is_free("127.0.0.1", port)


def test_a_free_port_has_a_free_partner() -> None:
    port = free_port(10_000)
    assert port_is_free("127.0.0.1", port)
    assert port_is_free("127.0.0.1", port + 10_000)
