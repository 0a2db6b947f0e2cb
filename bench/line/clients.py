"""The clients that are compared: the command of each that uploads one file, and its settings."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers.processes import BUCKET, REGION, ROOT, STORAGE_ENVIRON

VENV = ROOT / ".venv-line" / "bin"
BESIDE = Path(sys.executable).parent
OURS = "partway"
_LOCAL = "127.0.0.1,localhost"


@dataclass(frozen=True, slots=True)
class Target:
    """What leads over the line: to storage, and to the service. `state` is a folder to keep in."""

    storage: str
    service: str
    state: Path


@dataclass(frozen=True, slots=True)
class Client:
    """A client with its defaults. `program` must be there."""

    name: str
    program: Path

    def command(self, file: Path, target: Target) -> Sequence[str | Path]:
        """Return the command that uploads `file`."""
        name = f"{self.name}/{file.name}"
        match self.name:
            case "partway":
                return [self.program, "upload", "--server", target.service, file]
            case "rclone":
                return [self.program, "copyto", file, f"line:{BUCKET}/{name}", "--config="]
            case "s5cmd":
                endpoint = ["--endpoint-url", target.storage]
                return [self.program, *endpoint, "cp", file, f"s3://{BUCKET}/{name}"]
        endpoint = ["--endpoint-url", target.storage, "--no-progress"]
        return [self.program, "s3", "cp", *endpoint, file, f"s3://{BUCKET}/{name}"]

    def environ(self, target: Target) -> Mapping[str, str]:
        """Return the environment of the command."""
        rclone = {
            "type": "s3",
            "provider": "Other",
            "endpoint": target.storage,
            "region": REGION,
            "access_key_id": STORAGE_ENVIRON["AWS_ACCESS_KEY_ID"],
            "secret_access_key": STORAGE_ENVIRON["AWS_SECRET_ACCESS_KEY"],
            "no_check_bucket": "true",
        }
        return {
            **os.environ,
            **STORAGE_ENVIRON,
            **{f"RCLONE_CONFIG_LINE_{key.upper()}": value for key, value in rclone.items()},
            # Not the settings of the user who runs this.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": _LOCAL,
            "no_proxy": _LOCAL,
            "PARTWAY_STATE_DIR": str(target.state),
        }


CLIENTS = (
    Client(OURS, BESIDE / "partway"),
    Client("rclone", BESIDE / "rclone"),
    Client("s5cmd", VENV / "s5cmd"),
    Client("awscli", VENV / "aws"),
)


def present() -> list[Client]:
    """Return the clients that are installed here."""
    return [client for client in CLIENTS if client.program.exists()]
