"""Tests what the embedded stack decides by itself, and what it leaves to the environment."""

import sys
from pathlib import Path

import pytest
from partway_server.devstack.run import _demo, _Interrupt, _settings
from partway_server.runtime.subprocesses import ChildError


@pytest.mark.parametrize(("given", "allowed"), [("", True), ("true", True), ("false", False)])
def test_parts_may_pass_unless_the_environment_says_no(
    tmp_path: Path, given: str, allowed: bool
) -> None:
    environ = {"PARTWAY_VIA_SERVICE": given} if given else {}
    settings = _settings(environ, tmp_path, 50051, reflection=True, json_logs=False)
    assert settings.via_service is allowed


def test_the_demo_pages_need_the_gateway() -> None:
    with pytest.raises(ChildError, match="add --rest"):
        _demo(0, rest_port=0)


def test_only_the_interrupt_is_dropped_in_silence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dropping:
        def __init__(self, error: BaseException) -> None:
            self.error = error

        def __del__(self) -> None:
            raise self.error

    interrupt = _Interrupt()
    monkeypatch.setattr(sys, "unraisablehook", interrupt.drop)
    Dropping(KeyboardInterrupt())
    assert "KeyboardInterrupt" in capsys.readouterr().err
    with pytest.raises(KeyboardInterrupt):
        interrupt(2, None)
    Dropping(KeyboardInterrupt())
    assert capsys.readouterr().err == ""
    Dropping(ValueError())
    assert "ValueError" in capsys.readouterr().err
