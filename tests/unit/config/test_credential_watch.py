"""Tests that new credentials are taken once both halves have stayed, and storage agrees."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from partway_server.config.backends import Backend, Keys, Secrets
from partway_server.config.credential_watch import PERIOD_SECONDS, CredentialWatch
from partway_server.config.policy_file import Rules
from partway_server.config.reload import PolicyReloader, Unusable
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.quota import LimitRegistry
from partway_server.storage.base import Storage
from partway_server.storage.memory import MemoryStorage
from partway_server.storage.router import StorageRouter

RULES = Rules({"default": Policy("default", "uploads")}, {"default": Backend("default")})
OLD, HALF, NEW = (Secrets(Keys(*pair)) for pair in (("a", "b"), ("c", "b"), ("c", "d")))


class Stand:
    """A watch over a file that holds `secrets`; storage accepts all but those `refused`."""

    def __init__(self) -> None:
        self.secrets: Secrets | Unusable = OLD
        self.refused: list[Secrets] = []
        self.opened: list[Secrets] = []
        self.reloader = PolicyReloader(
            rules=RULES,
            secrets={"default": OLD},
            read=self._read_rules,
            read_secrets=self._read,
            open_backend=self._open,
            policies=PolicyRegistry(RULES.policies),
            limits=LimitRegistry(),
            storage=StorageRouter({"default": MemoryStorage()}),
        )
        self.watch = CredentialWatch(self.reloader)

    async def _read_rules(self) -> Rules:
        return RULES

    def _read(self, _: Backend) -> Secrets:
        if isinstance(self.secrets, Unusable):
            raise self.secrets
        return self.secrets

    async def _open(self, backend: Backend, secrets: Secrets) -> Storage:
        if secrets in self.refused:
            raise Unusable("storage refuses them")
        self.opened.append(secrets)
        return MemoryStorage()


async def test_what_has_not_changed_opens_nothing() -> None:
    stand = Stand()
    for _ in range(3):
        await stand.watch.look()
    assert stand.opened == []


async def test_a_pair_is_taken_when_both_halves_have_stayed() -> None:
    stand = Stand()
    for stand.secrets in (OLD, HALF, NEW):
        await stand.watch.look()
    assert stand.opened == []
    for _ in range(3):
        await stand.watch.look()
    assert stand.opened == [NEW]


async def test_what_storage_refuses_is_tried_again_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stand = Stand()
    stand.secrets, stand.refused = NEW, [NEW]
    for _ in range(4):
        await stand.watch.look()
    assert caplog.text.count("storage refuses them") == 1
    assert caplog.text.count("not renewed; the previous ones stay in force") == 1
    stand.refused.clear()
    await stand.watch.look()
    assert stand.opened == [NEW]


async def test_a_file_that_is_gone_for_a_while_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stand = Stand()
    stand.secrets = Unusable("PARTWAY_S3_SECRET_KEY_FILE: it cannot be read")
    for _ in range(3):
        await stand.watch.look()
    assert caplog.text.count("it cannot be read") == 1
    for stand.secrets in (NEW, NEW):
        await stand.watch.look()
    assert stand.opened == [NEW]


async def test_it_looks_in_each_period_whatever_happens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stand = Stand()
    slept: list[float] = []

    def failing() -> Iterator[Callable[[Backend], Secrets]]:
        raise RuntimeError("a fault of ours")

    stand.reloader.read_credentials = failing  # type: ignore[method-assign, assignment]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await stand.watch.run(sleep)
    assert slept == [PERIOD_SECONDS] * 3
    assert "cannot look for new credentials" in caplog.text
