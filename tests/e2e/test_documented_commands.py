"""Runs the commands of docs/getting-started.md as they are written, but for addresses."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import COMMANDS, Server

pytestmark = [pytest.mark.examples, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/getting-started.md").read_text()


class Shell:
    """A shell in a folder of its own, with our tools in front, beside a running stack."""

    def __init__(self, ready: dict[str, Any], folder: Path) -> None:
        self._ready, self._folder = ready, folder

    def run(self, script: str) -> str:
        """Run commands until one fails; return what they printed."""
        script = script.replace("127.0.0.1:50051", self._ready["grpc"])
        script = script.replace("http://127.0.0.1:8080", self._ready["rest"])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._folder,
            env={**os.environ, "PATH": f"{ROOT / '.tools/bin'}:{COMMANDS}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr if "health-probe" in script else done.stdout


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with Server("dev", "--rest", log=tmp_path_factory.mktemp("stack") / "log") as server:
        yield server.ready()


@pytest.fixture
def shell(ready: dict[str, Any], tmp_path: Path) -> Shell:
    assert shutil.which("jq") and shutil.which("curl"), "the documents use jq and curl"
    return Shell(ready, tmp_path)


def blocks(heading: str) -> Sequence[str]:
    """Return the indented blocks of commands below a heading."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    found = re.findall(r"(?:^    .*\n)+", section, re.M)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in found]


def test_grpcurl_buf_and_other_tools(shell: Shell) -> None:
    grpcurl, complete, buf, others = blocks("With grpcurl or buf")
    listed, _, answer = shell.run(grpcurl).partition("{")
    assert "partway.v1.UploadService.Initialize" in listed
    opened = json.loads("{" + answer)
    [part] = opened["parts"]
    headers = "".join(f' -H "{name}: {value}"' for name, value in part["headers"].items())
    shell.run(f"printf hello > hello.txt && curl -sSf -T hello.txt{headers} '{part['url']}'")
    done = json.loads(shell.run(complete.replace('"..."', json.dumps(opened["upload"]["id"]))))
    assert done["upload"]["state"] == "UPLOAD_STATE_COMPLETED"

    assert json.loads(shell.run(buf))["upload"]["state"] == "UPLOAD_STATE_ACTIVE"
    report = shell.run(others)
    counts = dict(re.findall(r"\[(\w+)\]\s+(\d+) responses", report))
    assert int(counts.pop("OK")) > 0, report
    # On a busy machine the service may refuse what it cannot answer soon.
    assert set(counts) <= {"ResourceExhausted", "Unavailable"}, report
    assert "status: SERVING" in report


def test_curl(shell: Shell) -> None:
    whole, through_the_service = blocks("By REST")
    listed = shell.run(whole).splitlines()[-1]
    assert "UPLOAD_STATE_COMPLETED" in listed
    hello, opened, *_ = whole.splitlines()
    part = json.loads(shell.run(f"{hello}\n{opened}\n{through_the_service}"))
    assert part["part"]["sizeBytes"] == "5"
