"""Tests when the log mentions the server's certificate. Handshakes: tests/service."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from partway_server.rpc.tls import ServerCertificate

from tests.support.clock import FakeClock
from tests.support.tls import TlsFiles

DAY = 24 * 3600.0


class Ended(Exception):
    """The time that a test looks at is over."""


async def watched(certificate: ServerCertificate, clock: FakeClock, days: float) -> None:
    """Run `watch`, in which each pause takes a quarter of a day, for that many days."""
    end = clock.now() + timedelta(days=days)

    async def sleep(seconds: float) -> None:
        clock.advance(DAY / 4)
        await asyncio.sleep(0)
        if clock.now() >= end:
            raise Ended

    with pytest.raises(Ended):
        await certificate.watch(sleep)


def warnings(caplog: pytest.LogCaptureFixture) -> int:
    return sum("the certificate expires at" in line for line in caplog.messages)


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    return TlsFiles.made_in(tmp_path)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime.now(UTC))


async def test_its_end_is_reported_once_a_day_in_the_last_two_weeks(
    tls: TlsFiles, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = ServerCertificate(tls.files, clock)
    await watched(certificate, clock, 75)
    assert warnings(caplog) == 0
    await watched(certificate, clock, 5)
    assert warnings(caplog) == 4
    pair = tls.authority.server("localhost", lifetime=timedelta(days=400))
    pair.write(tls.files.certificate.parent, "server")
    caplog.clear()
    await watched(certificate, clock, 10)
    assert warnings(caplog) == 0


async def test_a_change_is_reported_without_a_handshake(
    tls: TlsFiles, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = ServerCertificate(tls.files, clock)
    good, key = tls.files.certificate.read_bytes(), tls.files.key.read_bytes()
    with caplog.at_level(logging.INFO):
        tls.files.key.write_bytes(tls.authority.server("localhost").key)
        await watched(certificate, clock, 2)
        assert [r.levelname for r in caplog.records] == ["ERROR"]
        # What comes back is what is in use anyway.
        tls.files.key.write_bytes(key)
        await watched(certificate, clock, 1)
        assert len(caplog.records) == 1
        # The same problem again is reported again.
        tls.files.certificate.write_bytes(good[:100])
        await watched(certificate, clock, 1)
        assert len(caplog.records) == 2
        tls.rotate()
        await watched(certificate, clock, 1)
    assert "certificate reloaded" in caplog.messages[-1]
    assert len(caplog.records) == 3
