"""The peers: what each needs, how it is started, and who calls it."""

import base64
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from partway_server.runtime.subprocesses import Child, free_port

from bench.peers.driver import Driver
from bench.peers.http_drivers import CompanionDriver, DjangoDriver, FastApiDriver, TusdDriver
from bench.peers.partway_driver import PartwayDriver
from bench.peers.processes import (
    BUCKET,
    REGION,
    ROOT,
    STORAGE_ENVIRON,
    TOOLS,
    VENV,
    Backends,
    Cores,
    Ready,
    listens,
    python,
    serves,
    start,
)

SERVICES = Path(__file__).parent / "services"
OURS = "partway"
OBVIOUS = "fastapi-aioboto3"

_IDLE_SECONDS = "600"

Command = Callable[[Backends, int], tuple[list[str | Path], Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A service that coordinates uploads. `needs` are the files without which it cannot start."""

    name: str
    title: str
    driver: Callable[[str, str], Driver]
    command: Command
    needs: tuple[Path, ...] = ()
    ready: Ready = listens

    def missing(self) -> str:
        """Return why it cannot be started here, "" if it can."""
        absent = [path for path in self.needs if not path.exists()]
        return "".join(f"{path.relative_to(ROOT)} is not there" for path in absent[:1])

    @asynccontextmanager
    async def running(self, backends: Backends, cores: Cores) -> AsyncIterator[tuple[Child, str]]:
        """Start it, and yield its process and its address."""
        port = free_port()
        command, environ = self.command(backends, port)
        child = await start(
            self.name, command, environ, port, backends.folder, cores, ready=self.ready
        )
        with child:
            yield child, f"127.0.0.1:{port}"


def _module(name: str) -> list[str | Path]:
    """Return the beginning of a command that runs a module of the peers' environment."""
    return [VENV / "python", "-m", name]


def _uvicorn(app: str) -> Command:
    def command(backends: Backends, port: int) -> tuple[list[str | Path], Mapping[str, str]]:
        words = [*_module("uvicorn"), "--app-dir", SERVICES, f"{app}:app"]
        # Idle connections stay open longer than a peer waits for its turn.
        idle = ["--timeout-keep-alive", _IDLE_SECONDS]
        options = ["--port", str(port), "--log-level", "warning", "--no-access-log", *idle]
        environ = {
            "S3_ENDPOINT": backends.storage,
            "REDIS_URL": backends.redis,
            "PYTHONPATH": str(ROOT / "server"),
        }
        return [*words, *options], environ

    return command


def _django(backends: Backends, port: int) -> tuple[list[str | Path], Mapping[str, str]]:
    words = [*_module("gunicorn"), "--chdir", SERVICES, "django_uploads:application"]
    # One process, as for all; as many threads as there are callers at most.
    options = ["--workers", "1", "--threads", "16", "--keep-alive", _IDLE_SECONDS]
    bind = ["--bind", f"127.0.0.1:{port}", "--log-level", "warning"]
    return [*words, *options, *bind], {"S3_ENDPOINT": backends.storage}


def _companion(backends: Backends, port: int) -> tuple[list[str | Path], Mapping[str, str]]:
    environ = {
        "S3_ENDPOINT": backends.storage,
        "PORT": str(port),
        "STATE": str(backends.folder),
        "NODE_ENV": "production",
    }
    return ["node", SERVICES / "companion" / "server.js"], environ


def _tusd(backends: Backends, port: int) -> tuple[list[str | Path], Mapping[str, str]]:
    words: list[str | Path] = [
        TOOLS / "tusd",
        "-host",
        "127.0.0.1",
        "-port",
        str(port),
        "-base-path",
        "/files/",
    ]
    return [*words, "-s3-bucket", BUCKET, "-s3-endpoint", backends.storage], {}


def partway_service(
    backends: Backends, port: int, public: str = ""
) -> tuple[list[str | Path], Mapping[str, str]]:
    """Return the command of our service and its settings. Its URLs lead to `public`, if given."""
    settings = {
        "address": f"127.0.0.1:{port}",
        "s3_endpoint": backends.storage,
        **({"s3_public_endpoint": public} if public else {}),
        "s3_region": REGION,
        "s3_access_key": STORAGE_ENVIRON["AWS_ACCESS_KEY_ID"],
        "s3_secret_key": STORAGE_ENVIRON["AWS_SECRET_ACCESS_KEY"],
        "backend": "aws",
        "bucket": BUCKET,
        "redis_url": backends.redis,
        "sealing_keys": base64.b64encode(bytes(range(64))).decode("ascii"),
        # The bench leaves uploads open, and counts what a service does far from its limits.
        "tenant_open_uploads": 10_000_000,
        "log_level": "warning",
        "drain_seconds": 0,
    }
    environ = {f"PARTWAY_{name.upper()}": str(value) for name, value in settings.items()}
    return python("-m", "partway_server", "serve"), environ


_FASTAPI_NEEDS = (VENV / "uvicorn",)

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            OBVIOUS,
            "FastAPI + aioboto3",
            FastApiDriver,
            _uvicorn("fastapi_aioboto3"),
            _FASTAPI_NEEDS,
        ),
        Peer(
            "fastapi-signer",
            "FastAPI with our signer",
            FastApiDriver,
            _uvicorn("fastapi_signer"),
            _FASTAPI_NEEDS,
        ),
        Peer(
            "django-s3-file-field",
            "django-s3-file-field (MinIO)",
            DjangoDriver,
            _django,
            (VENV / "gunicorn",),
        ),
        Peer(
            "companion",
            "Companion",
            CompanionDriver,
            _companion,
            (
                Path(shutil.which("node") or ROOT / "node"),
                SERVICES / "companion" / "node_modules" / "@uppy" / "companion",
            ),
        ),
        Peer("tusd", "tusd", TusdDriver, _tusd, (TOOLS / "tusd",)),
        Peer(OURS, "Partway", PartwayDriver, partway_service, ready=serves),
    )
}
