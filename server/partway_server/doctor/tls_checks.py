"""Judges the server's certificate: facts to findings, with no I/O."""

import stat
from collections.abc import Iterator
from datetime import datetime

from partway_server.config.certificate_files import SOON, CertificateFacts
from partway_server.doctor.finding import Finding, bad, ok, skipped, warn
from partway_server.doctor.probes.certificate import CertificateFindings

CERTIFICATE, EXPIRY, NAMES, KEY_FILE = "tls.certificate", "tls.expiry", "tls.names", "tls.key_file"

_EXPOSED = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP
_SHOWN_NAMES = 5


def certificate(found: CertificateFindings, now: datetime) -> Iterator[Finding]:
    """Yield what is to be said of the certificate and of its files."""
    if found.facts is None:
        remedy = (
            "Correct the file: serve refuses to start, and a running service keeps what it has."
        )
        yield bad(CERTIFICATE, found.problem, remedy)
        yield from skipped((EXPIRY, NAMES), "a certificate that can be used")
    else:
        yield ok(CERTIFICATE, "the key belongs to the certificate")
        yield _expiry(found.facts, now)
        yield _names(found.facts)
    yield _key_file(found.key_mode)


def _expiry(facts: CertificateFacts, now: datetime) -> Finding:
    left = facts.expire_time - now
    words = f"it, or a CA in its file, expires at {facts.expire_time:%Y-%m-%d %H:%M}Z"
    if left < SOON:
        remedy = "Renew it: a running service takes the new files by itself."
        return warn(EXPIRY, f"{words}, in {max(0, left.days)} days", remedy)
    return ok(EXPIRY, f"{words}, in {left.days} days")


def _names(facts: CertificateFacts) -> Finding:
    if not facts.names:
        remedy = "Have one made with a subject alternative name for each name that callers use."
        return bad(NAMES, "it has no subject alternative name, so callers refuse it", remedy)
    more = len(facts.names) - _SHOWN_NAMES
    shown = ", ".join(facts.names[:_SHOWN_NAMES])
    return ok(NAMES, f"it is for {shown}" + (f" and {more} more" if more > 0 else ""))


def _key_file(mode: int) -> Finding:
    if not mode:
        return next(skipped((KEY_FILE,), "a key file that can be looked at"))
    if mode & _EXPOSED:
        remedy = 'Run: chmod o-rwx,g-w "$PARTWAY_TLS_KEY_FILE"'
        return warn(KEY_FILE, f"users who need not can read or replace it: mode {mode:04o}", remedy)
    return ok(KEY_FILE, f"mode {mode:04o}")
