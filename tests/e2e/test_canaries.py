"""Tests that no secret leaves the service, its commands or the client, whatever goes wrong.

Every secret is recognizable, the log is at its most verbose, and the user of Redis has exactly the
rights that docs/operate.md gives it. All that anybody could read afterwards is searched.
"""

import asyncio
import base64
import contextlib
import functools
import gc
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import grpc
import pytest
import redis
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3, start_valkey
from partway_server.runtime import app
from partway_server.runtime.subprocesses import free_port
from partway_server.runtime.waiting import StartupError

from tests.support.calls import METHODS
from tests.support.canaries import Canaries
from tests.support.collector import Collector, a_collector
from tests.support.issuer import AUDIENCE, ISSUER, jwks, signing_key, token
from tests.support.principals import CONTROL, SIGNER, Principals, a_store_with_principals
from tests.support.processes import Partway, Server, service_environ, until
from tests.support.relay import INFINITY, Fault, Relay
from tests.support.secrecy import all_it_holds
from tests.support.storage import put_by
from tests.support.webhooks import Endpoint, an_endpoint
from tests.support.wired import EVERY, relay_to
from tests.support.world import PART, content

if TYPE_CHECKING:
    from partway.v1.upload_service_pb2_grpc import UploadServiceAsyncStub

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(240)]

OPERATE = Path(__file__).parents[2] / "docs/operate.md"
BUCKET = "uploads"
KEY_OF_TOKENS = signing_key("canary")
CALLER = (("partway-tenant", "acme"), ("partway-subject", "alice"))

POLICIES = """
[backend.temporary]
kind = "generic"
endpoint = "{moto}"
access_key_env = "TEMPORARY_ACCESS_KEY"
secret_key_file = "{folder}/temporary-secret"
session_token_env = "TEMPORARY_SESSION_TOKEN"

[policy.default]
via_service = true
single_put_max_bytes = 0

[policy.small]

[policy.temporary]
backend = "temporary"
bucket = "partway"
"""
WEBHOOKS = """
[webhook.orders]
url = "{url}"
secret_file = "{folder}/webhook-secret"
allow_http = true
allow_private = true

[webhook.broken]
url = "http://127.0.0.1:9/?token={token}"
secret_env = "BROKEN_SECRET"
allow_http = true
allow_private = true
"""


def acl_rule(password: str) -> list[str]:
    """Return the command of docs/operate.md that makes the user of Redis."""
    [rule] = re.findall(r"^    (ACL SETUSER partway .*)$", OPERATE.read_text(), re.M)
    return str(rule).replace("PASSWORD", password).split()


@dataclass(slots=True)
class Stage:
    """The stores, the secrets, and what was seen of the outside."""

    folder: Path
    canaries: Canaries
    store: Principals
    line: Relay
    root_redis_url: str
    environ: dict[str, str]
    endpoint: Endpoint
    upload_ids: list[str] = field(default_factory=list)
    seen: dict[str, str | bytes] = field(default_factory=dict)

    def see(self, what: str, text: str | bytes) -> None:
        """Keep a text that somebody could read."""
        assert what not in self.seen
        self.seen[what] = text


@pytest.fixture(scope="module")
def canaries() -> Canaries:
    return Canaries()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, canaries: Canaries) -> Iterator[Principals]:
    secret_of = functools.cache(lambda name: canaries.new(f"secret key of {name}"))
    folder = tmp_path_factory.mktemp("principals")
    with a_store_with_principals(folder, BUCKET, secret_of=secret_of) as principals:
        canaries.add("secret key of the root", principals.root.secret_key)
        yield principals


@pytest.fixture
def collector() -> Iterator[Collector]:
    with a_collector() as collector:
        yield collector


@pytest.fixture
async def stage(
    tmp_path: Path, canaries: Canaries, store: Principals, moto: S3
) -> AsyncIterator[Stage]:
    valkey, root_url = start_valkey(tmp_path, keep=False)
    password = canaries.add("password of Redis", f"canary-{secrets.token_hex(12)}")
    with valkey, redis.Redis.from_url(root_url) as root:
        root.execute_command(*acl_rule(password))
        async with an_endpoint() as endpoint, relay_to(store.root.endpoint) as line:
            environ = _environ(tmp_path, canaries, store, moto, root_url, password, endpoint.url)
            environ["PARTWAY_S3_ENDPOINT"] = f"http://{line.address}"
            yield Stage(tmp_path, canaries, store, line, root_url, environ, endpoint)


def _environ(
    folder: Path,
    canaries: Canaries,
    store: Principals,
    moto: S3,
    redis_url: str,
    password: str,
    hook: str,
) -> dict[str, str]:
    keys = [secrets.token_bytes(64) for _ in range(2)]
    written = [base64.b64encode(key).decode() for key in keys]
    for number, (key, text) in enumerate(zip(keys, written, strict=True)):
        canaries.add_key(f"sealing key {number}", key, text)
    hooks = [secrets.token_bytes(32) for _ in range(2)]
    whsec = [f"whsec_{base64.b64encode(key).decode()}" for key in hooks]
    for name, key, text in zip(("orders", "broken"), hooks, whsec, strict=True):
        canaries.add_key(f"secret of webhook {name}", key, text.removeprefix("whsec_"))
    hook_token = canaries.add("token in a webhook's URL", f"canary-{secrets.token_hex(12)}")
    signer = store.seen_by(SIGNER)
    files = {
        "temporary-secret": canaries.new("secret key of a backend"),
        "webhook-secret": whsec[0],
        "s3-secret": store.seen_by(CONTROL).secret_key,
        "sealing-keys": ",".join(written),
        "policies.toml": POLICIES.format(moto=moto.endpoint, folder=folder),
        "webhooks.toml": WEBHOOKS.format(url=hook, folder=folder, token=hook_token),
        "jwks.json": jwks(KEY_OF_TOKENS).decode(),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    environ = service_environ(
        store.seen_by(CONTROL),
        redis_url.replace("redis://", f"redis://partway:{password}@"),
        address=f"127.0.0.1:{free_port()}",
        metrics_address=f"127.0.0.1:{free_port()}",
        s3_signer_access_key=signer.access_key,
        s3_signer_secret_key=signer.secret_key,
        s3_secret_key_file=folder / "s3-secret",
        sealing_keys_file=folder / "sealing-keys",
        policy_file=folder / "policies.toml",
        webhook_file=folder / "webhooks.toml",
        identity="jwt,metadata",
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwt_jwks_file=folder / "jwks.json",
        json_logs=True,
    )
    for in_file in ("PARTWAY_S3_SECRET_KEY", "PARTWAY_SEALING_KEYS"):
        del environ[in_file]
    return {
        **environ,
        "TEMPORARY_ACCESS_KEY": "temporary",
        "TEMPORARY_SESSION_TOKEN": canaries.new("session token"),
        "BROKEN_SECRET": whsec[1],
        "GRPC_VERBOSITY": "DEBUG",
    }


@pytest.mark.parametrize(
    "spelling",
    [
        "{0}",
        "{0!r}",
        "x{1}x",
        "https://h/?X-Amz-Security-Token={1}",
        "{2}",
        "prefix {3} end",
    ],
)
def test_a_secret_is_found_in_each_of_its_spellings(spelling: str) -> None:
    canaries = Canaries()
    secret = canaries.new("key")
    encoded = base64.b64encode(secret.encode()).decode()
    text = spelling.format(secret, quote(secret, safe=""), encoded, secret.encode().hex().upper())
    assert "key" in canaries.found_in(text)
    assert canaries.found_in(secret[:-1]) == set()


def test_a_signed_url_is_found_whoever_signed_it() -> None:
    url = "https://h/b/k?partNumber=1&x-amz-credential=a&X-Amz-Signature=b"
    found = {"a signature", "a credential in a URL", "a presigned URL"}
    assert Canaries().found_in(f"PUT {url}") == found


# ---- what is called


def requests(upload_id: str) -> Mapping[str, Message | list[Message]]:
    """Return a request of every RPC about an upload; a list is a stream."""
    header = pb.UploadPartHeader(upload_id=upload_id, part_number=1)
    source = pb.ComposeSource(upload_id=upload_id)
    return {
        "Initialize": pb.InitializeRequest(file_name="a.mp4", size_bytes=1, presign_parts=1),
        "BatchInitialize": pb.BatchInitializeRequest(
            requests=[pb.InitializeRequest(file_name="a.mp4", size_bytes=1, presign_parts=1)]
        ),
        "ExtendUpload": pb.ExtendUploadRequest(
            upload_id=upload_id, expire_time=Timestamp(seconds=4_000_000_000)
        ),
        "PresignParts": pb.PresignPartsRequest(upload_id=upload_id),
        "BatchPresignParts": pb.BatchPresignPartsRequest(upload_id=upload_id),
        "ListParts": pb.ListPartsRequest(upload_id=upload_id),
        "Status": pb.StatusRequest(upload_id=upload_id, view=pb.STATUS_VIEW_PROGRESS),
        "ReportParts": pb.ReportPartsRequest(
            upload_id=upload_id, parts=[upload_pb2.Part(part_number=1)]
        ),
        "UploadPart": [pb.UploadPartRequest(header=header), pb.UploadPartRequest(chunk=b"x")],
        "PutPart": [
            pb.PutPartRequest(upload_id=upload_id, part_number=1, body=HttpBody(data=b"x"))
        ],
        "Watch": pb.WatchRequest(upload_id=upload_id),
        "ListUploads": pb.ListUploadsRequest(),
        "GetUsage": pb.GetUsageRequest(),
        "GetCapabilities": pb.GetCapabilitiesRequest(),
        "CreateUploadToken": pb.CreateUploadTokenRequest(upload_id=upload_id),
        "Complete": pb.CompleteRequest(upload_id=upload_id),
        "BatchComplete": pb.BatchCompleteRequest(
            requests=[pb.CompleteRequest(upload_id=upload_id)]
        ),
        "Compose": pb.ComposeRequest(file_name="b.mp4", sources=[source]),
        "Abort": pb.AbortRequest(upload_id=upload_id),
    }


class Calls:
    """Calls with credentials in their metadata; keeps the text of every failure."""

    def __init__(self, stage: Stage, stub: "UploadServiceAsyncStub") -> None:
        self._stage = stage
        self.stub = stub
        bearer = stage.canaries.add("JWT", token(KEY_OF_TOKENS, exp=int(time.time()) + 3600))
        forged = stage.canaries.add("forged token", f"canary.{secrets.token_urlsafe(40)}")
        self.metadata = (*CALLER, ("authorization", f"Bearer {bearer}"))
        self.with_token = (*CALLER, ("authorization", f"Partway {forged}"))
        self.failures = 0

    async def every_rpc(self, upload_id: str, metadata: Any = None) -> None:
        """Call every RPC about an upload that may not exist any more, or never has."""
        asked = requests(upload_id)
        assert set(asked) == set(METHODS), "an RPC has no request here"
        for name, request in asked.items():
            await self.attempt(name, request, metadata or self.metadata)

    async def attempt(self, name: str, request: Message | list[Message], metadata: Any) -> None:
        call = getattr(self.stub, name)
        sent = iter(request) if isinstance(request, list) else request
        answer = call(sent, metadata=metadata, timeout=15)
        try:
            if METHODS[name].server_streaming:
                async for _ in answer:
                    if name == "Watch":
                        answer.cancel()
                        break
            else:
                await answer
        except grpc.aio.AioRpcError as error:
            self.failures += 1
            parts = (error.details(), error.debug_error_string(), *error.trailing_metadata())
            text = " ".join(map(str, (*parts, *error.initial_metadata(), repr(error))))
            self._stage.see(f"failure {self.failures} of {name}: {error.code().name}", text)

    async def upload(self, http: aiohttp.ClientSession, size: int, policy: str) -> str:
        """Upload a whole file and return its id."""
        request = pb.InitializeRequest(
            file_name="film.mp4", size_bytes=size, part_size_bytes=PART, policy=policy
        )
        upload = (await self.stub.Initialize(request, metadata=self.metadata)).upload
        self._stage.upload_ids.append(upload.id)
        asked = pb.BatchPresignPartsRequest(upload_id=upload.id)
        for part in (await self.stub.BatchPresignParts(asked, metadata=self.metadata)).parts:
            body = content(part.part_number, part.size_bytes)
            reply = await put_by(http)(part.url, body, part.headers)
            assert reply.status == 200, (policy, reply)
        done = await self.stub.Complete(
            pb.CompleteRequest(upload_id=upload.id), metadata=self.metadata
        )
        assert done.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
        return str(upload.id)

    async def by_token(self, http: aiohttp.ClientSession) -> None:
        """Upload a file with an upload token and nothing else, then let every RPC see the token."""
        request = pb.InitializeRequest(
            file_name="page.mp4", size_bytes=1000, upload_token=pb.UploadTokenSpec()
        )
        answer = await self.stub.Initialize(request, metadata=self.metadata)
        self._stage.upload_ids.append(upload_id := answer.upload.id)
        made = self._stage.canaries.add("upload token", answer.upload_token.token)
        holder = (("authorization", f"Partway {made}"),)
        asked = pb.BatchPresignPartsRequest(upload_id=upload_id)
        [part] = (await self.stub.BatchPresignParts(asked, metadata=holder)).parts
        reply = await put_by(http)(part.url, content(1, part.size_bytes), part.headers)
        assert reply.status == 200
        done = await self.stub.Complete(pb.CompleteRequest(upload_id=upload_id), metadata=holder)
        assert done.upload.state == upload_pb2.UPLOAD_STATE_COMPLETED
        await self.every_rpc(upload_id, holder)

    async def through_the_service(self, size: int) -> str:
        """Upload a file of one part through the service."""
        request = pb.InitializeRequest(file_name="via.mp4", size_bytes=size)
        upload = (await self.stub.Initialize(request, metadata=self.metadata)).upload
        header = pb.UploadPartHeader(upload_id=upload.id, part_number=1)
        chunk = pb.UploadPartRequest(chunk=content(1, size))
        messages = iter([pb.UploadPartRequest(header=header), chunk])
        await self.stub.UploadPart(messages, metadata=self.metadata)
        asked = pb.CompleteRequest(upload_id=upload.id)
        await self.stub.Complete(asked, metadata=self.metadata)
        return str(upload.id)


# ---- what is looked at


def redis_commands(url: str, recording: Path, into: list[str]) -> Callable[[], None]:
    """Record every command that Redis gets, until the returned function is called."""
    # To a file: a pipe that no one reads is full after the first scripts.
    with recording.open("w") as output:
        watcher = subprocess.Popen(
            [sys.executable, "-c", _MONITOR, url], stdout=output, stderr=subprocess.PIPE, text=True
        )
    assert watcher.stderr is not None and watcher.stderr.readline() == "ready\n"

    def end() -> None:
        watcher.terminate()
        watcher.communicate()
        into.append(recording.read_text())

    return end


_MONITOR = """
import sys, redis
with redis.Redis.from_url(sys.argv[1], socket_timeout=None).monitor() as monitor:
    print("ready", file=sys.stderr, flush=True)
    for call in monitor.listen():
        print(call["client_type"], call["command"], flush=True)
"""


def everything_in(url: str) -> str:
    """Return every key of Redis with its value, and the scripts and clients that it knows."""
    read = {b"hash": "hgetall", b"string": "get", b"stream": "xrange", b"set": "smembers"}
    with redis.Redis.from_url(url) as root:
        lines = [str(root.client_list())]
        for key in root.scan_iter():
            kind: Any = root.type(key)
            ranged = kind in (b"zset", b"list")
            value = (
                root.execute_command("ZRANGE" if kind == b"zset" else "LRANGE", key, 0, -1)
                if ranged
                else getattr(root, read[kind])(key)
            )
            lines.append(f"{key!r} {value!r}")
        assert len(lines) > 10
        return "\n".join(lines)


def arguments_of(pid: int) -> bytes:
    """Return the command line of a process, which every user can read."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def run_commands(stage: Stage, round_: str) -> None:
    """Run every command that reads the settings or Redis, and keep what it prints."""
    policy = stage.environ["PARTWAY_POLICY_FILE"]
    commands = {
        "settings": ["settings"],
        "settings as JSON": ["settings", "--json"],
        "doctor": ["doctor"],
        "doctor as JSON": ["doctor", "--json"],
        "sweep": ["sweep", "--json"],
        "policy": ["policy", "check", policy],
        "dead": ["events", "dead"],
        "tail": ["events", "tail", "--since", "1h"],
        "test of a webhook": ["events", "send-test", "orders"],
        "test of a broken webhook": ["events", "send-test", "broken"],
        "help": ["serve", "--help"],
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PARTWAY_")}
    # All in one process: most of their time is that of importing the SDK.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _COMMANDS),
        env={**kept, **stage.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    printed, messages = await process.communicate(json.dumps(commands).encode())
    assert process.returncode == 0, messages.decode()
    stage.see(f"messages of the commands, {round_}", messages)
    for name, text in json.loads(printed).items():
        assert text or name == "dead", name
        stage.see(f"{name}, {round_}", text)


_COMMANDS = """
import json, sys
from click.testing import CliRunner
from partway_server.cli.main import main
printed = {}
for name, arguments in json.load(sys.stdin).items():
    result = CliRunner().invoke(main, arguments)
    printed[name] = result.output + repr(result.exception)
print(json.dumps(printed))
"""


async def run_client(stage: Stage, server: str) -> None:
    """Upload a file by the command of the client, and ask about it."""
    file = stage.folder / "film.bin"
    file.write_bytes(content(1, PART + 7))
    async with Partway(server, stage.folder / "state") as partway:
        jwt = stage.canaries.known["JWT"]
        with_caller = ["--tenant", "acme", "--header", f"authorization=Bearer {jwt}"]
        for number, more in enumerate(([], ["--via-service"], ["--policy", "none"])):
            process = await partway.start("upload", file, "--json", *more, *with_caller)
            printed, messages = await process.communicate()
            assert (process.returncode != 0) == (number == 2), messages
            stage.see(f"partway upload {more}", printed + messages)


async def reload(stage: Stage, server: Server) -> None:
    """Change both secrets that a reload reads again."""
    secret = stage.canaries.new("second secret key of a backend")
    (stage.folder / "temporary-secret").write_text(secret)
    key = secrets.token_bytes(32)
    text = base64.b64encode(key).decode()
    stage.canaries.add_key("second secret of a webhook", key, text)
    (stage.folder / "webhook-secret").write_text(f"whsec_{text}\n")
    server.process.send_signal(signal.SIGHUP)
    for words in ("credentials of backend temporary changed", "webhook orders changed"):
        await until(functools.partial(_says, server.log, words))
    # And now what cannot be used.
    (stage.folder / "temporary-secret").write_bytes(secret.encode() + b"\xff")
    (stage.folder / "webhook-secret").write_text(f"whsec_{secret}")
    server.process.send_signal(signal.SIGHUP)
    for words in ("policies: not reloaded", "webhooks: not reloaded"):
        await until(functools.partial(_says, server.log, words))


def _says(log: Path, words: str) -> bool:
    return words in log.read_text()


async def test_no_secret_leaves_the_service_its_commands_or_the_client(
    stage: Stage, collector: Collector
) -> None:
    address = stage.environ["PARTWAY_ADDRESS"]
    commands: list[str] = []
    stop_recording = redis_commands(stage.root_redis_url, stage.folder / "commands", commands)
    log = stage.folder / "service.log"
    environ = {**stage.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    with Server("serve", log=log, environ=environ) as server:
        await until(functools.partial(_says, log, "serving on"))
        async with grpc.aio.insecure_channel(address) as channel, aiohttp.ClientSession() as http:
            calls = Calls(stage, UploadServiceStub(channel))
            for size, policy in ((2 * PART + 7, ""), (1000, "small"), (1000, "temporary")):
                upload_id = await calls.upload(http, size, policy)
                await calls.every_rpc(upload_id, calls.with_token)
            await calls.through_the_service(1000)
            await calls.by_token(http)
            for nobodys in ("x", stage.upload_ids[0][:-4] + "AAAA"):
                await calls.every_rpc(nobodys)
            await until(lambda: len(stage.endpoint.ids) > 3)
            await run_client(stage, address)
            await run_commands(stage, "while all is well")
            await reload(stage, server)
            async with http.get(f"http://{stage.environ['PARTWAY_METRICS_ADDRESS']}/metrics") as m:
                stage.see("metrics", await m.text())
            stage.see("arguments", arguments_of(server.process.pid))
            stage.see("Redis", everything_in(stage.root_redis_url))
            stop_recording()
            stage.see("commands of Redis", commands[0])
            await _without_storage(stage, calls)
            await _without_redis(stage, calls)
            assert calls.failures > 40
    stage.see("log of the service", log.read_text())
    stage.see("traces", collector.text)
    assert {"S3 CompleteMultipartUpload", "redis insert", "webhook orders"} <= collector.names
    assert "EVALSHA" in commands[0] and "canary" not in commands[0]
    assert log.read_text().count('"level": "debug"') > 0
    assert stage.canaries.leaks(stage.seen) == {}
    shown = log.read_text() + commands[0]
    assert [each[:20] for each in stage.upload_ids if each in shown] == []


async def _without_storage(stage: Stage, calls: Calls) -> None:
    """Go on while every request to storage is refused, and then lost."""
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    for fault in (Fault(request_bytes=0, answer=refusal), Fault(request_bytes=0)):
        request = pb.InitializeRequest(file_name="open.mp4", size_bytes=PART + 7)
        opened = (await calls.stub.Initialize(request, metadata=calls.metadata)).upload
        stage.upload_ids.append(opened.id)
        stage.line.on(EVERY, fault, times=INFINITY)
        await calls.every_rpc(opened.id)
        assert stage.line.struck > 0
        stage.line.spare()


async def _without_redis(stage: Stage, calls: Calls) -> None:
    """Go on after Redis has begun to refuse the service."""
    with redis.Redis.from_url(stage.root_redis_url) as root:
        root.execute_command("ACL", "SETUSER", "partway", "resetpass", ">another")
        for client in root.client_list():
            if client["user"] == "partway":
                root.client_kill_filter(_id=client["id"])
    await calls.every_rpc(stage.upload_ids[0])
    await run_commands(stage, "after Redis refuses the service")


# ---- what a debugger or a crash report would show


def shown_by_objects() -> Iterator[tuple[str, str]]:
    """Yield the repr of each object of the service and of the libraries that hold its secrets."""
    packages = (
        "partway_server",
        "redis",
        "aiobotocore",
        "botocore",
        "aioboto3",
        "boto3",
        "aiohttp",
    )
    gc.collect()
    for each in gc.get_objects():
        # Of the type, not of the object: some have a __getattr__ that answers anything.
        name = str(getattr(type(each), "__module__", ""))
        if name.partition(".")[0] in packages and not name.startswith(_LEFT_OUT):
            yield f"{name}.{type(each).__qualname__}", f"{_shown(each)}"


_LEFT_OUT = (
    # The SDK's sources of settings show the whole environment, as `env` does.
    "botocore.configprovider",
    # Its docstrings are written when they are shown, which takes minutes.
    "botocore.docs",
)


def _shown(thing: object) -> str:
    try:
        return f"{thing!r} {thing!s}"
    except Exception as error:
        # Some descriptors of libraries cannot be shown on their own.
        return type(error).__name__


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Run a service in this process."""
    stop, started = asyncio.Event(), asyncio.Event()
    service = asyncio.create_task(app.run(settings, stop=stop, started=lambda _: started.set()))
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({service, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if service.done():
        waiting.cancel()
        service.result()
    try:
        yield
    finally:
        stop.set()
        await service


async def test_no_object_of_a_running_service_shows_a_secret(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stage.environ.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load(stage.environ)
    async with (
        running(settings),
        grpc.aio.insecure_channel(settings.address) as channel,
        aiohttp.ClientSession() as http,
    ):
        calls = Calls(stage, UploadServiceStub(channel))
        await calls.upload(http, 1000, "temporary")
        await calls.upload(http, PART + 7, "")
        shown = list(shown_by_objects())
        stage.see("settings", f"{settings!r}")
    kinds = {name for name, _ in shown}
    for needed in ("config.settings.Settings", "storage.s3.S3Storage", "storage.sigv4.Signer"):
        assert f"partway_server.{needed}" in kinds
    assert any(name.startswith("redis.asyncio") for name in kinds)
    leaks = {n: found for n, text in shown if (found := stage.canaries.found_in(text, marks=False))}
    assert leaks == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PARTWAY_REDIS_URL": "redis://partway:{wrong}@127.0.0.1:{port}/0"}, "Redis"),
        ({"PARTWAY_REDIS_URL": "redis://partway:{wrong}@127.0.0.1:1/0"}, "Redis"),
        ({"PARTWAY_REDIS_URL": "redis://partway:{wrong}@127.0.0.1:1/0?x={wrong}"}, "valid Redis"),
        ({"PARTWAY_S3_SIGNER_SECRET_KEY": "{wrong}", "PARTWAY_BUCKET": "none"}, "bucket"),
        ({"PARTWAY_S3_ENDPOINT": "http://127.0.0.1:1"}, "storage"),
        ({"BROKEN_SECRET": "{wrong}"}, "whsec_"),
        ({"TEMPORARY_SESSION_TOKEN": ""}, "TEMPORARY_SESSION_TOKEN"),
    ],
)
async def test_no_failure_at_the_start_holds_a_secret(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], words: str
) -> None:
    wrong = stage.canaries.add("wrong secret", f"canary-{secrets.token_hex(12)}")
    port = stage.root_redis_url.rpartition(":")[2].partition("/")[0]
    changed = {name: text.format(wrong=wrong, port=port) for name, text in changes.items()}
    environ = {**stage.environ, **changed}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as raised:
        async with running(Settings.load(environ)):
            pass
    assert words in str(raised.value)
    assert stage.canaries.found_in(all_it_holds(raised.value)) == set()
