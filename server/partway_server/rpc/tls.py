"""TLS in the server itself, with a certificate that may change while it serves.

gRPC asks for the certificate at each handshake, so a new one is in use from the next connection on,
and connections that are open stay as they are. Files that are only half written, or that do not
belong together, change nothing. gRPC's own minimum is TLS 1.2.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import grpc

from partway_server.config.certificate_files import (
    SOON,
    CertificateFacts,
    CertificateFileError,
    CertificateFiles,
    CertificatePem,
    examine_pem,
    read_pem,
)
from partway_server.domain.clock import Clock

logger = logging.getLogger(__name__)

_POLL_SECONDS = 10.0
_WARN_EVERY = timedelta(days=1)


class ServerCertificate:
    """The certificate in use. Raises CertificateFileError if the first one cannot be used."""

    def __init__(self, files: CertificateFiles, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._lock = threading.Lock()
        self._problem = ""
        self._warned: datetime | None = None
        self._read = read_pem(files)
        self.facts = examine_pem(self._read, clock.now())
        self._usable = self._read

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials for one server, which follow the files.

        Each server has its own: it is given what is new since its own last handshake.
        """
        served = first = self._usable

        def at_handshake() -> grpc.ServerCertificateConfiguration | None:
            # One of gRPC's threads calls.
            nonlocal served
            with self._lock:
                self._refresh()
                if self._usable is served:
                    return None
                served = self._usable
                return _configuration(served)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(first),
            # Its type says that it always returns one; gRPC's documentation allows None.
            at_handshake,  # type: ignore[arg-type]
            require_client_authentication=self._files.client_ca is not None,
        )

    def refresh(self) -> None:
        """Read the files if they have changed. What cannot be used is logged once."""
        with self._lock:
            self._refresh()

    async def watch(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Refresh often, for ever, and log a warning each day before the certificate expires."""
        while True:
            await asyncio.to_thread(self.refresh)
            self._warn_of_expiry()
            await sleep(_POLL_SECONDS)

    def _refresh(self) -> None:
        try:
            # Read each time, 0.1 ms: neither the time of a change nor the size shows every change.
            pem = read_pem(self._files)
            if pem == self._usable:
                self._read, self._problem = pem, ""
                return
            if pem == self._read:
                return
            self._read = pem
            facts = examine_pem(pem, self._clock.now())
        except CertificateFileError as error:
            self._refuse(str(error))
        else:
            self._take(pem, facts)

    def _refuse(self, problem: str) -> None:
        if problem != self._problem:
            logger.error("%s; the previous certificate stays in use", problem)
        self._problem = problem

    def _take(self, pem: CertificatePem, facts: CertificateFacts) -> None:
        self._usable, self.facts, self._problem, self._warned = pem, facts, "", None
        logger.info("certificate reloaded: it expires at %s", _shown(facts.expire_time))

    def _warn_of_expiry(self) -> None:
        now = self._clock.now()
        if self.facts.expire_time - now >= SOON:
            return
        if self._warned is None or now - self._warned >= _WARN_EVERY:
            self._warned = now
            logger.warning("the certificate expires at %s", _shown(self.facts.expire_time))


def _configuration(pem: CertificatePem) -> grpc.ServerCertificateConfiguration:
    pair = (pem.key, pem.certificate)
    return grpc.ssl_server_certificate_configuration([pair], pem.client_ca)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"
