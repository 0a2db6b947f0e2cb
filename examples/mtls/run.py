"""Runs Partway with mutual TLS, end to end: each caller is who its certificate says.

    python examples/mtls/run.py

makes a private CA and certificates, starts the embedded stack with TLS and PARTWAY_IDENTITY=mtls,
uploads a file with a client certificate, and shows who cannot: a caller with a certificate of
another CA, one without a certificate, and, for the upload of another tenant, one with its own.
Exits 1 if anything is not as expected, and leaves nothing behind.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# The root of the repository, so that the example runs from anywhere.
sys.path.insert(0, str(Path(__file__).parents[2]))

from examples.certs import Authority

# Installed commands are next to the interpreter, regardless of PATH.
COMMANDS = Path(sys.executable).parent
RULE = "spiffe://example.org/{tenant}/{subject}"
STOP_SECONDS = 30


class ExampleFailure(Exception):
    """An unexpected result."""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="partway-mtls-") as name:
        folder = Path(name)
        say("Making a CA, and certificates for the service, acme's alice and globex's bob")
        authority = Authority.kept_in(folder)
        authority.server("localhost", "127.0.0.1").write(folder, "server")
        authority.client("spiffe://example.org/acme/alice").write(folder, "alice")
        authority.client("spiffe://example.org/globex/bob").write(folder, "bob")
        Authority.new("Another CA").client("spiffe://example.org/acme/alice").write(folder, "eve")
        say(f"Starting the stack, with TLS and the rule {RULE}")
        with stack(folder) as address:
            show(folder, address)
    say("Everything is as expected.")


def show(folder: Path, address: str) -> None:
    """Upload as alice, and try to as the others."""
    file = folder / "hello.txt"
    file.write_bytes(b"Hello from acme's alice.\n" * 1000)
    code, output = partway(folder, address, "alice", "upload", str(file), "--json")
    expect(code == 0, f"alice's upload: {output}")
    uploaded = json.loads(output.splitlines()[0])
    say(f"alice, of acme, uploaded {uploaded['uri']}")
    expect(uploaded["key"].startswith("acme/"), "the tenant is in the key")

    code, output = partway(folder, address, "bob", "status", uploaded["upload_id"])
    expect(code == 1 and "not found" in output, f"bob's look at it: {output}")
    say(f"bob, of globex: {output.strip()}")
    code, output = partway(folder, address, "eve", "list")
    expect(code == 1 and "no answer" in output, f"eve, with a certificate of another CA: {output}")
    say("a certificate of another CA: refused at the handshake")
    code, output = partway(folder, address, "", "list")
    expect(code == 1 and "no answer" in output, f"without a certificate: {output}")
    say("no certificate: refused at the handshake")


@contextlib.contextmanager
def stack(folder: Path) -> Iterator[str]:
    """Run `partway-server dev` over TLS, and yield its address."""
    environ = {
        "PARTWAY_IDENTITY": "mtls",
        "PARTWAY_MTLS_RULE": RULE,
        "PARTWAY_TLS_CERT_FILE": str(folder / "server.pem"),
        "PARTWAY_TLS_KEY_FILE": str(folder / "server.key"),
        "PARTWAY_TLS_CLIENT_CA_FILE": str(folder / "ca.pem"),
    }
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [COMMANDS / "partway-server", "dev", "--port", "0"],
            env=without_settings() | environ,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        expect(bool(line), f"the stack starts: {(folder / 'server.log').read_text()}")
        ready: dict[str, Any] = json.loads(line)
        yield ready["grpc"]
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def partway(folder: Path, address: str, name: str, *arguments: str) -> tuple[int, str]:
    """Run the client with the certificate of that name; return its exit code and its output."""
    options = {
        "PARTWAY_SERVER": address,
        "PARTWAY_TLS_CA": str(folder / "ca.pem"),
        "PARTWAY_STATE_DIR": str(folder / "state"),
    }
    if name:
        options |= {
            "PARTWAY_CERT": str(folder / f"{name}.pem"),
            "PARTWAY_KEY": str(folder / f"{name}.key"),
        }
    ran = subprocess.run(
        [COMMANDS / "partway", *arguments],
        env=without_settings() | options,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout if ran.returncode == 0 else ran.stderr


def without_settings() -> dict[str, str]:
    """Return the environment without settings of Partway."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PARTWAY_")}


def expect(true: bool, what: str) -> None:
    if not true:
        raise ExampleFailure(what)


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        main()
    except ExampleFailure as failure:
        sys.exit(f"not as expected: {failure}")
