"""Tests that the credentials of storage are replaced in their files without a lost call."""

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from partway.v1 import upload_service_pb2 as pb
from partway.v1.upload_service_pb2_grpc import UploadServiceStub
from partway_server.devstack.servers import S3, start_seaweedfs
from partway_server.runtime.subprocesses import Child

from tests.changes.conftest import load_on
from tests.support.bucket import Bucket, look_into
from tests.support.fleet import DRAIN_SECONDS, REPLICAS, Fleet, running
from tests.support.polling import wait_for
from tests.support.processes import Service

pytestmark = [pytest.mark.changes, pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(600)]

OLD, NEW = ("old-key", "old secret"), ("new-key", "new secret")
BOTH = (OLD, NEW)
Keys = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Store:
    """A store that knows the service by several keys."""

    root: S3
    child: Child
    config: Path

    def accept(self, *keys: Keys) -> None:
        """Know the service by these keys from now on, and by no others."""
        known = json.loads(self.config.read_text())
        [service] = [each for each in known["identities"] if each["name"] == "service"]
        # SeaweedFS adds and changes keys when it reads its file again, and removes none.
        ends = [(name, secret if (name, secret) in keys else "revoked") for name, secret in BOTH]
        service["credentials"] = [_credentials(key) for key in ends]
        self.config.write_text(json.dumps(known))
        os.kill(self.child.pid, signal.SIGHUP)

    def accepts(self, keys: Keys) -> bool:
        """Return whether it knows the service by these keys."""
        seen = replace(self.root, access_key=keys[0], secret_key=keys[1])
        with look_into(seen) as bucket:
            try:
                bucket.client.head_bucket(Bucket=self.root.bucket)
            except bucket.client.exceptions.ClientError:
                return False
            return True


def _credentials(keys: Keys) -> dict[str, str]:
    return {"accessKey": keys[0], "secretKey": keys[1]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Run a store that knows the service by its old key."""
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    service: dict[str, Any] = {"name": "service", "credentials": [_credentials(OLD)]}
    others = {"identities": [{**service, "actions": actions}]}
    child, root = start_seaweedfs(tmp_path, keep=False, others=others)
    with child:
        yield Store(root, child, tmp_path / "seaweedfs.json")


def test_a_key_of_storage_that_is_replaced(store: Store, own_redis: str, tmp_path: Path) -> None:
    access, secret = tmp_path / "access", tmp_path / "secret"
    access.write_text(OLD[0])
    secret.write_text(OLD[1])
    settings: dict[str, object] = {
        "drain_seconds": DRAIN_SECONDS,
        "log_level": "info",
        "tenant_open_uploads": 0,
        "s3_access_key": "",
        "s3_secret_key": "",
        "s3_access_key_file": access,
        "s3_secret_key_file": secret,
    }
    replicas = [Service(tmp_path, store.root, own_redis, **settings) for _ in range(REPLICAS)]
    with look_into(store.root) as bucket, running(tmp_path, replicas) as fleet:
        rotate(store, fleet, bucket, access, secret)


def rotate(store: Store, fleet: Fleet, bucket: Bucket, access: Path, secret: Path) -> None:
    """Let storage accept both keys, replace the files, and let it forget the old key."""
    with load_on(fleet, bucket) as load:
        store.accept(OLD, NEW)
        wait_for(lambda: store.accepts(NEW), "storage does not know the new key")
        assert store.accepts(OLD)
        # No signal to the service, and one half first.
        access.write_text(NEW[0])
        load.go_on(1)
        secret.write_text(NEW[1])
        fleet.until_logged("credentials of backend default changed")
        assert {signed_by(replica) for replica in fleet.replicas} == {NEW[0]}
        # Until no URL of the old key is in use; here that is seconds.
        load.outlive()
        store.accept(NEW)
        wait_for(lambda: not store.accepts(OLD), "storage still knows the old key")
        load.go_on(2)


def signed_by(replica: Service) -> str:
    """Return the access key that a URL of this replica is signed with."""
    with grpc.insecure_channel(replica.address) as channel:
        request = pb.InitializeRequest(size_bytes=1, presign_parts=1)
        made = UploadServiceStub(channel).Initialize(request)
    [credential] = parse_qs(urlsplit(made.parts[0].url).query)["X-Amz-Credential"]
    return credential.partition("/")[0]
