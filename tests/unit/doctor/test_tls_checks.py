"""Tests what the doctor finds in the files of a server's certificate."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from partway_server.doctor.finding import Finding, Status
from partway_server.doctor.probes.certificate import examine_files
from partway_server.doctor.tls_checks import EXPIRY, KEY_FILE, NAMES, certificate

from tests.support.tls import TlsFiles

NOW = datetime.now(UTC)


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    return TlsFiles.made_in(tmp_path)


def found(tls: TlsFiles, now: datetime = NOW) -> dict[str, Finding]:
    return {each.name: each for each in certificate(examine_files(tls.files, now), now)}


def test_a_good_certificate_is_found_good(tls: TlsFiles) -> None:
    findings = found(tls)
    assert {each.status for each in findings.values()} == {Status.OK}
    assert "localhost, 127.0.0.1" in findings[NAMES].found
    assert findings[KEY_FILE].found == "mode 0600"


def test_one_that_expires_within_two_weeks_is_a_warning(tls: TlsFiles) -> None:
    assert found(tls, NOW + timedelta(days=75))[EXPIRY].status is Status.OK
    late = found(tls, NOW + timedelta(days=77))[EXPIRY]
    assert (late.status, "in 13 days" in late.found) == (Status.WARN, True)


def test_one_that_has_expired_is_bad(tls: TlsFiles) -> None:
    findings = found(tls, NOW + timedelta(days=91))
    assert findings["tls.certificate"].status is Status.BAD
    assert findings[EXPIRY].status is Status.SKIPPED


def test_another_key_is_bad(tls: TlsFiles) -> None:
    tls.files.key.write_bytes(tls.authority.server("localhost").key)
    bad = found(tls)["tls.certificate"]
    assert bad.status is Status.BAD
    assert "PARTWAY_TLS_KEY_FILE: is not the key of the certificate" in bad.found


def test_one_without_names_is_bad(tls: TlsFiles) -> None:
    tls.authority.issue([], []).write(tls.files.certificate.parent, "server")
    assert found(tls)[NAMES].status is Status.BAD


@pytest.mark.parametrize(
    ("mode", "status"), [(0o600, "ok"), (0o440, "ok"), (0o644, "warn"), (0o620, "warn")]
)
def test_a_key_that_others_can_read_or_replace_is_a_warning(
    tls: TlsFiles, mode: int, status: str
) -> None:
    tls.files.key.chmod(mode)
    assert found(tls)[KEY_FILE].status == status


def test_a_missing_key_is_bad(tls: TlsFiles) -> None:
    tls.files.key.unlink()
    findings = found(tls)
    assert findings["tls.certificate"].status is Status.BAD
    assert findings[KEY_FILE].status is Status.SKIPPED
