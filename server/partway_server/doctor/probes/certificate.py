"""Look at the files of the server's certificate."""

import stat
from dataclasses import dataclass
from datetime import datetime

from partway_server.config.certificate_files import (
    CertificateFacts,
    CertificateFileError,
    CertificateFiles,
    examine_pem,
    read_pem,
)


@dataclass(frozen=True, slots=True)
class CertificateFindings:
    """What was found: the facts, or the problem that a start would fail with.

    `key_mode` are the permissions of the key's file, 0 if it cannot be looked at.
    """

    facts: CertificateFacts | None
    problem: str
    key_mode: int


def examine_files(files: CertificateFiles, now: datetime) -> CertificateFindings:
    """Read the files as a start would."""
    try:
        mode = stat.S_IMODE(files.key.stat().st_mode)
    except OSError:
        mode = 0
    try:
        facts = examine_pem(read_pem(files), now)
    except CertificateFileError as error:
        return CertificateFindings(None, str(error), mode)
    return CertificateFindings(facts, "", mode)
