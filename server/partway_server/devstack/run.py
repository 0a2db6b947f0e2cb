"""The embedded stack: the service with its own storage, Redis and REST gateway.

It prints its addresses as one line of JSON on standard output, and everything else on standard
error. However this process ends, its children end with it.
"""

import asyncio
import base64
import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from partway_server.config.settings import SECRET_FILES, Settings, SettingsError, variable
from partway_server.devstack.demo_page import DemoPage
from partway_server.devstack.gateway import gateway_ready, start_gateway
from partway_server.devstack.servers import S3, start_seaweedfs, start_valkey
from partway_server.observability.logging import configure_logging
from partway_server.runtime import app
from partway_server.runtime.garbage import freeze_loaded
from partway_server.runtime.subprocesses import Child, ChildError, free_port, port_is_free

logger = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_BUCKET = "partway"
# SIGHUP arrives when the terminal is closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WATCH_SECONDS = 0.2


class _Interrupt:
    """A signal handler for the start: the first signal raises, later ones must not cut the end
    short.

    Python drops an exception that is raised inside a finalizer or around a fork, so `came` must be
    checked as well; and prints a traceback of it, unless `drop` is its hook.
    """

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.came:
            self.came = True
            raise KeyboardInterrupt

    def drop(self, dropped: "sys.UnraisableHookArgs") -> None:
        """Say nothing of an exception of this handler that Python drops."""
        if not (self.came and isinstance(dropped.exc_value, KeyboardInterrupt)):
            sys.__unraisablehook__(dropped)


def run(
    *,
    port: int,
    rest: bool,
    rest_port: int,
    cors_origin: Sequence[str],
    demo_page: bool,
    demo_port: int,
    data_dir: Path | None,
    reflection: bool,
    json_logs: bool,
    environ: Mapping[str, str],
) -> None:
    """Run the stack until SIGINT, SIGTERM or SIGHUP; on return none of it is running.

    Raises ChildError if a part of it cannot start or ends, SettingsError and StartupError as the
    service does.
    """
    interrupt = _Interrupt()
    for number in _SIGNALS:
        signal.signal(number, interrupt)
    sys.unraisablehook = interrupt.drop
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as stack:
        port = _chosen_port(port, "--port")
        rest_port = _chosen_port(rest_port, "--rest-port") if rest else 0
        demo = _demo(demo_port, rest_port) if demo_page else None
        cors_origin = [*cors_origin, *([demo.origin] if demo else [])]
        folder = stack.enter_context(_folder(data_dir))
        settings = _settings(environ, folder, port, reflection=reflection, json_logs=json_logs)
        if rest:
            _check_plain_text(settings)
        configure_logging(level=settings.log_level, as_json=json_logs)
        logger.info("starting storage and Redis in %s", folder)
        keep = data_dir is not None
        valkey, redis_url = start_valkey(folder, keep=keep)
        stack.enter_context(valkey)
        seaweedfs, s3 = start_seaweedfs(folder, keep=keep, bucket=_BUCKET, origins=cors_origin)
        stack.enter_context(seaweedfs)
        children = [valkey, seaweedfs]
        if rest:
            gateway = start_gateway(folder, port, rest_port, cors_origin)
            children.append(stack.enter_context(gateway))
        settings = _with_addresses(settings, s3, redis_url)
        ready = _ready(port, rest_port, s3, redis_url, demo)
        stack.callback(_ignore_signals)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, children, ready, rest_port, demo, interrupt))


async def _serve(
    settings: Settings,
    children: Sequence[Child],
    ready: Mapping[str, Any],
    rest_port: int,
    demo: DemoPage | None,
    interrupt: _Interrupt,
) -> None:
    """Run the service until a signal, or until a child ends: then raises ChildError."""
    stop, started = asyncio.Event(), asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if interrupt.came:
        return

    async def accompany() -> None:
        try:
            await started.wait()
            if rest_port:
                await gateway_ready(rest_port)
            async with demo.served() if demo else contextlib.nullcontext():
                print(json.dumps(ready), flush=True)
                while True:
                    for child in children:
                        child.check()
                    await asyncio.sleep(_WATCH_SECONDS)
        finally:
            stop.set()

    def serving(_port: int) -> None:
        freeze_loaded()
        started.set()

    companion = asyncio.create_task(accompany())
    try:
        await app.run(settings, stop=stop, started=serving)
    finally:
        companion.cancel()
        await asyncio.wait({companion})
    if not companion.cancelled():
        companion.result()


def _settings(
    environ: Mapping[str, str], folder: Path, port: int, *, reflection: bool, json_logs: bool
) -> Settings:
    """Load the environment, except for everything the stack decides. Its addresses come later."""
    decided = {
        "address": f"{_HOST}:{port}",
        "s3_endpoint": f"http://{_HOST}",
        "s3_public_endpoint": "",
        "s3_access_key": "",
        "s3_secret_key": "",
        "s3_session_token": "",
        "s3_signer_access_key": "",
        "s3_signer_secret_key": "",
        "s3_signer_session_token": "",
        **dict.fromkeys(SECRET_FILES, ""),
        "s3_addressing": "path",
        "backend": "seaweedfs",
        "bucket": _BUCKET,
        "redis_url": f"redis://{_HOST}",
        "sealing_keys": _sealing_key(folder),
        "reflection": reflection,
        "workers": 1,
        "drain_seconds": 0,
        "grace_seconds": 2,
        "json_logs": json_logs,
    }
    if not environ.get(variable("via_service")):
        # A caller who tries this out may be unable to reach storage, for example from another
        # machine.
        decided["via_service"] = True
    return Settings.load(environ, decided)


def _check_plain_text(settings: Settings) -> None:
    if settings.tls_cert_file:
        words = "the stack's REST gateway calls the service in plain text; leave out --rest"
        raise SettingsError([f"PARTWAY_TLS_CERT_FILE: {words}"])


def _with_addresses(settings: Settings, s3: S3, redis_url: str) -> Settings:
    """Return the settings with the addresses of the parts that are running now."""
    return replace(
        settings,
        s3_endpoint=s3.endpoint,
        s3_region=s3.region,
        s3_access_key=s3.access_key,
        s3_secret_key=s3.secret_key,
        redis_url=redis_url,
    )


def _ready(
    port: int, rest_port: int, s3: S3, redis_url: str, demo: DemoPage | None
) -> dict[str, Any]:
    ready: dict[str, Any] = {"ready": True, "grpc": f"{_HOST}:{port}"}
    ready.update(s3=asdict(s3), redis=redis_url)
    if rest_port:
        ready["rest"] = f"http://{_HOST}:{rest_port}"
    if demo:
        ready["demo"] = f"{demo.origin}/"
    return ready


def _demo(demo_port: int, rest_port: int) -> DemoPage:
    if not rest_port:
        raise ChildError("the demo pages call the REST gateway; add --rest")
    return DemoPage(_chosen_port(demo_port, "--demo-port"), f"http://{_HOST}:{rest_port}")


def _chosen_port(port: int, option: str) -> int:
    """Return `port`, or a free one if it is 0. Raises ChildError if it is taken."""
    if port and not port_is_free(_HOST, port):
        raise ChildError(f"port {port} is taken; choose another with {option}, or 0 for any")
    return port or free_port()


@contextlib.contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    """Yield the folder for everything: the given one, locked, or one that is removed at the end."""
    if data_dir is None:
        with tempfile.TemporaryDirectory(prefix="partway-") as name:
            yield Path(name)
        return
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ChildError(
                f"another stack runs in {data_dir}; choose another --data-dir"
            ) from None
        yield data_dir.resolve()


def _sealing_key(folder: Path) -> str:
    """Return the key of this stack, made once: upload_ids survive a restart, as data does."""
    path = folder / "sealing.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(base64.b64encode(os.urandom(64)).decode("ascii"), "ascii")
    return path.read_text("ascii")


def _ignore_signals() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
