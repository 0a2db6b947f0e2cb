"""Runs `rclone serve s3`, the store with the fewest guarantees."""

from pathlib import Path

from partway_server.devstack.servers import S3, answers
from partway_server.runtime.subprocesses import Child, free_port

from tests.support.processes import COMMANDS


def start_rclone(folder: Path) -> tuple[Child, S3]:
    """Serve `folder`, in which each folder is a bucket."""
    (folder / "partway").mkdir(exist_ok=True)
    port = free_port()
    s3 = S3(f"http://127.0.0.1:{port}", "us-east-1", "partway-rclone", "a-secret", "partway")
    command: list[str | Path] = [
        COMMANDS / "rclone",
        "serve",
        "s3",
        # Ignore the settings of the user who runs the tests.
        "--config=",
        f"--addr=127.0.0.1:{port}",
        # A page of a listing is a thousand, and so is the default: a test opens more.
        "--multipart-max-uploads=2000",
        f"--auth-key={s3.access_key},{s3.secret_key}",
        folder,
    ]
    child = Child("rclone", command, log=folder.with_suffix(".log"))
    child.wait(lambda: answers(port, "/") is not None)
    return child, s3
