"""The examples as programs: how to run each, once `make test-examples` has built them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parents[2]
EXAMPLES = _ROOT / "examples"
BUILT = _ROOT / ".tools/examples"

UPLOADERS: Mapping[str, tuple[str, ...]] = {
    "go": (str(BUILT / "upload"),),
    "java": ("java", "-jar", str(EXAMPLES / "java/target/partway-upload.jar")),
    "python": (sys.executable, str(EXAMPLES / "python/upload.py")),
    "typescript": ("node", str(EXAMPLES / "typescript/dist/upload.js")),
}
BACKENDS: Mapping[str, tuple[str, ...]] = {
    "go": (str(BUILT / "backend"),),
    "python": (sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES / "python"))
    + ("--log-level", "warning", "backend:app", "--port"),
    "typescript": ("node", str(EXAMPLES / "typescript/dist/backend.js")),
}


def upload(language: str, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
    """Run an uploader with `--server` and what follows it."""
    environ = {**os.environ, "PARTWAY_AUTHORIZATION": f"Partway {token}"} if token else None
    command = [*UPLOADERS[language], "--server", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True)
