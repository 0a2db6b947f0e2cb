"""Open the client that an operator chose for the calls of S3."""

import secrets

from partway_server.storage.s3_calls import Client, Retried, S3Calls
from partway_server.storage.s3_client import S3Clients, SignerProvider
from partway_server.storage.s3_http import SignedHttp
from partway_server.storage.s3_lean_calls import LeanCalls
from partway_server.storage.s3_sdk_calls import SdkCalls
from partway_server.storage.sigv4 import S3Endpoint
from partway_server.storage.sigv4_headers import HeaderSigner


def open_calls(
    client: Client, clients: S3Clients, endpoint: S3Endpoint, retried: Retried
) -> S3Calls:
    """Return the calls to `endpoint` as `client` carries them out.

    `retried` is called before a repeat of one.
    """
    if client == "sdk":
        return SdkCalls(clients)
    http = SignedHttp(
        endpoint,
        SignerProvider(clients.session, endpoint, HeaderSigner),
        clients.clock,
        clients.ca_bundle,
    )
    return LeanCalls(
        http,
        call_seconds=clients.call_seconds,
        complete_seconds=clients.complete_seconds,
        random=secrets.SystemRandom().random,
        retried=retried,
    )
