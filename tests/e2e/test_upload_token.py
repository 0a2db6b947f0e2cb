"""Tests the example of an upload by token: a whole stack, its gateway, and curl alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.redis, pytest.mark.s3]

EXAMPLE = Path(__file__).parents[2] / "examples/upload_token/run.py"


@pytest.mark.timeout(180)
def test_a_file_is_sent_by_token_with_curl_alone() -> None:
    assert shutil.which("curl"), "the example needs curl"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PARTWAY_")}
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("send.sh: sent ") == 3
    assert "has the bytes that were sent" in done.stdout
