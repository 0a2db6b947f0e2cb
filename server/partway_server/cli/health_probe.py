"""What `partway-server health` does, without what takes long to import.

It runs every few seconds beside every replica, so it reads the few settings and options that it
needs by itself. What it cannot make sense of, it leaves to the command line, which says why.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from partway_server.rpc.health_client import ClientTls, serving

TIMEOUT_SECONDS = 2.0

DEFAULT_ADDRESS = "127.0.0.1:50051"
"""Where the service listens, unless PARTWAY_ADDRESS says otherwise."""

_LAST_PORT = 65_535
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
_VARIABLES = {"tls_ca": "PARTWAY_TLS_CA", "cert": "PARTWAY_CERT", "key": "PARTWAY_KEY"}
_FLAGS = {"--tls": "tls", "--liveness": "liveness"}
_OPTIONS = {
    f"--{name.replace('_', '-')}": name
    for name in ("address", "timeout", "tls_ca", "cert", "key", "server_name")
}


class Probe(NamedTuple):
    """What to ask, and how. The files are paths, "" for none."""

    address: str = ""
    timeout: float = TIMEOUT_SECONDS
    tls: bool = False
    tls_ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""
    liveness: bool = False


class Result(NamedTuple):
    """The exit code, and the line to print: for people, or on standard error if it failed."""

    code: int
    line: str


def read_probe(arguments: Sequence[str], environ: Mapping[str, str]) -> Probe | None:
    """Return what the arguments ask for, None if they are not plain options with values."""
    given: dict[str, object] = {
        name: value for name, variable in _VARIABLES.items() if (value := environ.get(variable))
    }
    rest = list(arguments)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option in _FLAGS and not equals:
            given[_FLAGS[option]] = True
        elif option in _OPTIONS and (equals or rest):
            given[_OPTIONS[option]] = value if equals else rest.pop(0)
        else:
            return None
    try:
        given["timeout"] = float(str(given.get("timeout", TIMEOUT_SECONDS)))
    except ValueError:
        return None
    if not all(os.path.isfile(str(given[name])) for name in _VARIABLES if name in given):
        return None
    return Probe(**given)  # type: ignore[arg-type]


def ask(probe: Probe, environ: Mapping[str, str]) -> Result:
    """Ask the service, and return what to print and to exit with."""
    if bool(probe.cert) != bool(probe.key):
        return Result(2, "--cert and --key belong together; give both or none")
    address = probe.address
    if not address:
        listens = _setting(environ, "PARTWAY_ADDRESS") or DEFAULT_ADDRESS
        # A service that listens on every address is asked on loopback.
        host, colon, port = listens.rpartition(":")
        if not (host and colon and port.isdigit() and int(port) <= _LAST_PORT):
            return Result(2, f"PARTWAY_ADDRESS: {listens!r} is not host:port")
        address = f"{_LOOPBACK.get(host, host)}:{port}"
    certificate = _setting(environ, "PARTWAY_TLS_CERT_FILE")
    what = "alive" if probe.liveness else "serving"
    tls = None
    if probe.tls or certificate:
        if _setting(environ, "PARTWAY_TLS_CLIENT_CA_FILE") and not probe.cert:
            return Result(2, "the service requires a client certificate; give --cert and --key")
        tls = ClientTls(
            probe.tls_ca or None, probe.cert or None, probe.key or None, probe.server_name
        )
    if certificate and not (probe.server_name or probe.address):
        assert tls is not None
        if serving(address, probe.timeout, tls._replace(own=certificate), liveness=probe.liveness):
            return Result(0, f"{address} is {what}")
        # The file may be newer than what the service presents: then their names must agree.
        name, problem = _own_name(certificate)
        if problem:
            return Result(1, problem)
        tls = tls._replace(server_name=name)
    if not serving(address, probe.timeout, tls, liveness=probe.liveness):
        return Result(1, f"{address} does not report that it is {what}")
    return Result(0, f"{address} is {what}")


def report(result: Result) -> int:
    """Print the line, and return the exit code."""
    stream, prefix = (sys.stderr, "partway-server: ") if result.code else (sys.stdout, "")
    print(f"{prefix}{result.line}", file=stream)
    return result.code


def _setting(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip()


def _own_name(certificate: str) -> tuple[str, str]:
    """Return the first name in the service's own certificate, and what is wrong with the file."""
    # Imported here because they are slow to load.
    from pathlib import Path

    from partway_server.config.certificate_files import CertificateFileError, certificate_hosts

    try:
        hosts = certificate_hosts(Path(certificate))
    except CertificateFileError as error:
        return "", str(error)
    # Any name that a wildcard is for.
    return (hosts[0].replace("*", "health", 1) if hosts else ""), ""
