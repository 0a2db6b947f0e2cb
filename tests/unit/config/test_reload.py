"""Tests that a reload takes effect as a whole, or not at all."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from partway_server.config.backends import Backend, Keys, Secrets
from partway_server.config.policy_file import FileProblem, PolicyFileError, Rules
from partway_server.config.reload import PolicyReloader, Unusable, changes
from partway_server.domain.errors import StorageUnavailable
from partway_server.domain.policy import Policy
from partway_server.domain.policy_registry import PolicyRegistry
from partway_server.domain.quota import LimitRegistry
from partway_server.storage.memory import MemoryStorage
from partway_server.storage.router import StorageRouter

from tests.support.storage import FaultyObjects, Gate
from tests.support.uploads import an_upload

HERE = Backend("default", kind="aws")
FAR = Backend("far", kind="aws", region="far-1")
OLD = Rules({"default": Policy("default", "uploads")}, {"default": HERE})
NEW = Rules(
    {"default": Policy("default", "uploads"), "far": Policy("far", "films", backend="far")},
    {"default": HERE, "far": FAR},
)


class Stand:
    """A reloader over memory twins. `opened` are the backends that it has opened."""

    def __init__(self, rules: Rules = OLD) -> None:
        self.opened: dict[str, Opened] = {}
        self.read: Callable[[], Rules] = lambda: NEW
        self.read_secrets: Callable[[Backend], Secrets] = lambda _: Secrets(Keys())
        self.policies = PolicyRegistry(rules.policies)
        self.limits = LimitRegistry(overrides=rules.limits)
        self.storage = StorageRouter({name: Opened() for name in rules.backends})
        self.reloader = PolicyReloader(
            rules=rules,
            secrets=dict.fromkeys(rules.backends, Secrets(Keys())),
            read=self._read,
            read_secrets=lambda backend: self.read_secrets(backend),
            open_backend=self._open,
            policies=self.policies,
            limits=self.limits,
            storage=self.storage,
        )

    async def _read(self) -> Rules:
        return self.read()

    async def _open(self, backend: Backend, secrets: Secrets) -> "Opened":
        if backend.region == "nowhere":
            raise Unusable("this region: it does not exist")
        self.opened[backend.name] = Opened()
        return self.opened[backend.name]


class Opened(FaultyObjects):
    """A twin that knows whether it was closed."""

    def __init__(self) -> None:
        super().__init__(MemoryStorage(buckets=["uploads", "films"]))
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


async def test_what_is_new_is_opened_looked_at_and_in_force() -> None:
    stand = Stand()
    assert await stand.reloader.reload()
    assert stand.policies == NEW.policies
    assert stand.opened.keys() == {"far"}
    assert stand.opened["far"].calls == ["check"]
    here = stand.storage.at("default")
    assert isinstance(here, Opened) and here.calls == []


async def test_no_one_sees_a_policy_whose_bucket_was_not_checked() -> None:
    stand, gate = Stand(), Gate()
    open_backend, waiting = stand._open, Opened()
    waiting.before("check", gate)

    async def opened(backend: Backend, secrets: Secrets) -> Opened:
        await open_backend(backend, secrets)
        return waiting

    stand.reloader._open_backend = opened
    work = asyncio.create_task(stand.reloader.reload())
    await gate.reached.wait()
    assert stand.policies == OLD.policies
    with pytest.raises(StorageUnavailable, match="'far'"):
        stand.storage.capabilities_of("far")
    gate.open()
    assert await work
    assert stand.policies == NEW.policies
    assert stand.storage.capabilities_of("far")


@pytest.mark.parametrize(
    "rules",
    [
        Rules({"far": Policy("far", "nowhere", backend="far")}, {"default": HERE, "far": FAR}),
        Rules(NEW.policies, {**NEW.backends, "z": Backend("z", kind="aws", region="nowhere")}),
    ],
)
async def test_what_was_opened_in_vain_is_closed(
    rules: Rules, caplog: pytest.LogCaptureFixture
) -> None:
    stand = Stand()
    stand.read = lambda: rules
    assert not await stand.reloader.reload()
    assert stand.policies == OLD.policies
    assert stand.opened["far"].closed
    assert "does not exist" in caplog.text
    assert "the previous policies stay in force" in caplog.text


async def test_each_problem_of_a_file_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    stand = Stand()

    def read() -> Rules:
        raise PolicyFileError("p.toml", [FileProblem(2, "a", "x"), FileProblem(1, "b", "y")])

    stand.read = read
    assert not await stand.reloader.reload()
    assert [record.getMessage() for record in caplog.records][:2] == [
        "policies: p.toml:1: b: y",
        "policies: p.toml:2: a: x",
    ]


async def test_a_call_in_progress_keeps_its_backend_until_the_end() -> None:
    stand, gate = Stand(NEW), Gate()
    far = stand.storage.at("far")
    assert isinstance(far, Opened)
    far.before("list_multiparts", gate)
    grant = replace(an_upload().grant, backend="far")
    call = asyncio.create_task(stand.storage.list_multiparts(grant))
    await gate.reached.wait()
    stand.read = lambda: OLD
    assert await stand.reloader.reload()
    assert not far.closed
    gate.open()
    assert await call == []
    await stand.storage.aclose()
    assert far.closed


async def test_it_goes_on_after_an_unexpected_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stand, asked, tried = Stand(), asyncio.Event(), asyncio.Event()

    def read() -> Rules:
        if not tried.is_set():
            tried.set()
            asked.set()
            raise RuntimeError
        return NEW

    stand.read = read
    asked.set()
    work = asyncio.create_task(stand.reloader.run(asked))
    async with asyncio.timeout(5):
        while len(stand.policies) == 1:  # noqa: ASYNC110 (a thread reads)
            await asyncio.sleep(0)
    work.cancel()
    assert "the reload failed" in caplog.text


async def test_a_backend_is_opened_again_when_its_credentials_have_changed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    stand = Stand(NEW)
    before = stand.storage.at("far")
    assert await stand.reloader.reload()
    assert stand.storage.at("far") is before and "nothing has changed" in caplog.text
    renewed = Secrets(Keys("key", "hunter2"))
    stand.read_secrets = lambda backend: renewed if backend == FAR else Secrets(Keys())
    assert await stand.reloader.reload()
    far = stand.storage.at("far")
    assert far is stand.opened["far"] and stand.opened["far"].calls == ["check"]
    assert "credentials of backend far changed" in caplog.text and "hunter2" not in caplog.text
    assert await stand.reloader.reload()
    assert stand.storage.at("far") is far


async def test_credentials_that_cannot_be_read_leave_those_in_force(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stand = Stand(NEW)
    before = stand.storage.at("far")

    def read(backend: Backend) -> Secrets:
        raise Unusable("secret_key_file: /run/secrets/far is empty")

    stand.read_secrets = read
    assert not await stand.reloader.reload()
    assert stand.storage.at("far") is before
    assert "/run/secrets/far is empty" in caplog.text


def test_what_has_changed_is_a_few_words_for_each() -> None:
    assert changes(OLD, OLD) == []
    assert changes(OLD, NEW) == ["policy far new", "backend far new"]
    other = Rules({"default": Policy("default", "films")}, {"default": HERE})
    assert changes(NEW, other) == ["policy default changed", "policy far gone", "backend far gone"]


def test_the_longest_url_is_that_of_any_policy_that_was_ever_in_force() -> None:
    live = PolicyRegistry({"a": Policy("a", "b", max_url_seconds=7200)})
    live.replace({"a": Policy("a", "b", max_url_seconds=3600)})
    assert live.longest_url() == timedelta(hours=2)
    live.replace({"a": Policy("a", "b", max_url_seconds=10_000)})
    assert live.longest_url() == timedelta(seconds=10_000)


async def test_limits_of_tenants_are_in_force_at_once() -> None:
    stand = Stand()
    stand.read = lambda: replace(OLD, limits={"acme": {"watches": 2}})
    assert await stand.reloader.reload()
    assert stand.limits.of("acme").tenant.watches == 2
    stand.read = lambda: OLD
    assert await stand.reloader.reload()
    assert stand.limits.of("acme").tenant.watches == 0
