"""A certificate for one name, and a client that trusts it."""

import ssl
from pathlib import Path

from examples.certs import Authority

NAME = "hooks.example"


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a certificate for `NAME`, for use by a server and its client."""
    authority = Authority.new()
    pem, key = authority.server(NAME).write(folder, "server")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem, key)
    return server, ssl.create_default_context(cadata=authority.pem.decode())
