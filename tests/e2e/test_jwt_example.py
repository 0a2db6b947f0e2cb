"""Tests that the example of JSON Web Tokens does what it says, from start to end."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_the_example_uploads_by_a_token_and_shows_what_is_refused() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "examples.jwt_upload"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert found.returncode == 0, found.stderr
    assert "Uploaded with a token of alice of acme: acme/" in found.stdout
    refusals = [line for line in found.stdout.splitlines() if line.startswith("Refused, ")]
    assert [line.partition(": ")[2] for line in refusals] == [
        "the credentials are not accepted",
        "the credentials do not allow this; needed is upload",
        "the credentials are not accepted",
    ]
    # No token is in the service's log.
    assert "credentials rejected: JWT: the audience is another" in found.stderr
    assert "eyJ" not in found.stdout + found.stderr
