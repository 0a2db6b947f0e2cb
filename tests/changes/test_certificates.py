"""Tests that the replicas' certificate, and the CA behind it, are replaced without a lost call."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from partway_server.rpc.health_client import ClientTls

from examples.certs import Authority, Pair
from tests.changes.conftest import Replicas, load_on
from tests.support.bucket import Bucket
from tests.support.fleet import running
from tests.support.polling import wait_for
from tests.support.tls import TlsFiles, serial_of, shown_serial

pytestmark = [pytest.mark.changes, pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(600)]


def test_a_certificate_of_another_ca(replicas: Replicas, bucket: Bucket, tmp_path: Path) -> None:
    tls = TlsFiles.made_in(tmp_path, client_ca=False)
    second = Authority.new("the second CA")
    # Whoever calls trusts both CAs before the first certificate of the second is shown.
    trusted = tls.authority.pem + second.pem
    made = replicas(tls_cert_file=tls.files.certificate, tls_key_file=tls.files.key)
    (tmp_path / "trusted.pem").write_bytes(trusted)
    for replica in made:
        replica.tls = ClientTls(tmp_path / "trusted.pem")
    with running(tmp_path, made, tls=upstream(tmp_path, trusted)) as fleet:
        with load_on(fleet, bucket, by_status=True):
            for authority in (tls.authority, second):
                pair = authority.server("localhost", "127.0.0.1")
                tls.files.key.write_bytes(pair.key)
                tls.files.certificate.write_bytes(pair.certificate)
                for replica in fleet.replicas:
                    port = int(replica.address.rpartition(":")[2])
                    wait_for(partial(shows, port, pair), "the new certificate is not shown")


def shows(port: int, pair: Pair) -> bool:
    """Return whether the replica on that port has this certificate."""
    return asyncio.run(shown_serial(port)) == serial_of(pair)


def upstream(folder: Path, trusted: bytes) -> Any:
    """Return how the gateway speaks TLS to a replica whose certificate is of a trusted CA."""
    file = folder / "trusted.pem"
    file.write_bytes(trusted)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
            "UpstreamTlsContext",
            "sni": "localhost",
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                "validation_context": {"trusted_ca": {"filename": str(file)}},
            },
        },
    }
