"""Runs the S3 servers that Go builds: MinIO and versitygw.

`make store-tools` builds them, at the versions that the Makefile pins.
"""

from pathlib import Path

from partway_server.devstack.servers import S3, answers
from partway_server.runtime.subprocesses import Child, ChildError, free_port

TOOLS = Path(__file__).parents[2] / ".tools/stores"


def start_minio(folder: Path) -> tuple[Child, S3]:
    """Run MinIO without a bucket, with its data in `folder`. Raises ChildError."""
    s3 = _an_address()
    settings = {
        "MINIO_ROOT_USER": s3.access_key,
        "MINIO_ROOT_PASSWORD": s3.secret_key,
        "MINIO_BROWSER": "off",
        # It calls home unless configured otherwise.
        "MINIO_UPDATE": "off",
    }
    listen = ["--address", s3.endpoint.removeprefix("http://"), "--quiet"]
    command = [*_with(settings), built("minio"), "server", *listen, folder / "data"]
    return _started("minio", command, folder, s3, "/minio/health/ready", 200)


def start_versitygw(folder: Path) -> tuple[Child, S3]:
    """Run versitygw over a folder of files, without a bucket. Raises ChildError."""
    s3 = _an_address()
    for name in ("data", "versions"):
        (folder / name).mkdir()
    settings = {
        "ROOT_ACCESS_KEY": s3.access_key,
        "ROOT_SECRET_KEY": s3.secret_key,
        "VGW_PORT": s3.endpoint.removeprefix("http://"),
        "VGW_HEALTH": "/health",
    }
    posix: list[str | Path] = ["posix", "--versioning-dir", folder / "versions", folder / "data"]
    command = [*_with(settings), built("versitygw"), "--quiet", *posix]
    return _started("versitygw", command, folder, s3, "/health", 200)


def built(name: str) -> Path:
    """Return where `make store-tools` puts a store. Raises ChildError if it is not there."""
    path = TOOLS / name
    if not path.exists():
        raise ChildError(f"{name} is not there: run `make store-tools`")
    return path


def _an_address() -> S3:
    return S3(f"http://127.0.0.1:{free_port()}", "us-east-1", "partway", "a-secret", "partway")


def _with(settings: dict[str, str]) -> list[str | Path]:
    return ["env", *(f"{name}={value}" for name, value in settings.items())]


def _started(
    name: str, command: list[str | Path], folder: Path, s3: S3, path: str, status: int
) -> tuple[Child, S3]:
    child = Child(name, command, log=folder / f"{name}.log")
    port = int(s3.endpoint.rpartition(":")[2])
    child.wait(lambda: answers(port, path) == status, seconds=120)
    return child, s3
