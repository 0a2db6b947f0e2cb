"""Carries out one run, from empty stores to the audit.

1. Load: uploads run while faults hit the services and Redis.
2. Calm: what was begun is finished, and every upload is asked for once more.
3. Later: all services restart with a clock that is hours, then days ahead, so that every deadline
   and tombstone has passed; janitors clean up while they, too, are killed.
4. Rest: the janitor runs undisturbed until Redis is empty.
5. Audit: other programs read storage, and each story is compared with it.

Whenever the services stand still, what Redis counts as used is compared with the session records.
"""

import asyncio
import base64
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from partway_server.devstack.servers import S3
from partway_server.domain.upload_ids import UploadIdCipher

from tests.chaos.bucket_reader import Auditor, Holdings
from tests.chaos.consumer_process import ConsumerProcess, Heard
from tests.chaos.event_audit import judge_deliveries, judge_events
from tests.chaos.fault_schedule import Harm, Store, Strike, schedule
from tests.chaos.fleet import Fleet
from tests.chaos.ledger import COMPLETED, NEVER, Ledger, Story
from tests.chaos.load import Load, a_load
from tests.chaos.plans import POLICIES
from tests.chaos.recorder import record_metrics
from tests.chaos.upload_audit import Kind, Violation, judge
from tests.chaos.webhook_receiver import WebhookReceiver
from tests.support.processes import service_environ

PERIOD_SECONDS = 1
LEASE_SECONDS = 3
_SEALING_KEY = bytes(range(64))
_ASKERS = 16

_PAST_TOMBSTONES = timedelta(hours=15)
_PAST_ROWS = timedelta(days=9)
_STEP = timedelta(minutes=10)
"""More than the five minutes by which a janitor postpones what it takes."""

_IDLE_SECONDS = 10.0
"""How long nothing may change before the system counts as at rest."""

_RESTS = 4

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options of a run."""

    seed: str
    seconds: float
    services: int
    lanes: int
    patience: float
    record: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run."""

    ledger: Ledger
    holdings: Holdings
    fleet: Fleet
    violations: Sequence[Violation]
    strikes: Mapping[str, int]
    keys_left: int
    seconds: float
    heard: Sequence[Heard]
    delivered: Sequence[Heard]


class Run:
    """A run over a store and a bucket of its own. Use `whole`."""

    def __init__(
        self, *, wishes: Wishes, folder: Path, store: Store, s3: S3, auditor: Auditor, say: Say
    ) -> None:
        self._wishes, self._store, self._auditor, self._say = wishes, store, auditor, say
        self._folder, self._s3 = folder, s3
        self._policies = folder / "policies.toml"
        self.ledger = Ledger(time.monotonic())
        self.fleet = Fleet(
            count=wishes.services, folder=folder, environ=self._environ, seed=wishes.seed
        )
        self._consumer = ConsumerProcess(folder, store.url)
        self._webhook = WebhookReceiver(folder, store.url, random.Random(f"{wishes.seed}/webhook"))
        self._delivered: Sequence[Story] = ()
        self._strikes: dict[str, int] = {}
        self._phase = "load"
        self._miscounted: list[str] = []

    async def whole(self) -> Outcome:
        """Run all five phases. However they end, no service is left running."""
        self._policies.write_text(_toml(POLICIES), "utf-8")
        await self._store.start()
        self._consumer.start()
        watcher = asyncio.create_task(self._print_progress())
        try:
            async with self._webhook:
                keys_left = await self._phases()
        finally:
            watcher.cancel()
            await asyncio.wait({watcher})
            await self.fleet.stop()
            self._consumer.stop()
            await self._store.stop()
        self._enter("audit")
        holdings = await self._auditor.holdings()
        heard = self._consumer.heard()
        violations = judge(self.ledger, holdings)
        violations += judge_events(self.ledger, holdings, heard)
        delivered = self._webhook.heard
        violations += judge_deliveries(self.ledger, self._delivered, delivered, heard)
        violations += [Violation(Kind.EVENT_FALSE, words, None) for words in self._webhook.wrong]
        violations += [Violation(Kind.MISCOUNTED, words, None) for words in self._miscounted]
        seconds = time.monotonic() - self.ledger.began
        return Outcome(
            self.ledger,
            holdings,
            self.fleet,
            violations,
            self._strikes,
            keys_left,
            seconds,
            heard,
            delivered,
        )

    async def _phases(self) -> int:
        wishes = self._wishes
        files = self._folder / "files"
        files.mkdir()
        upload_ids = UploadIdCipher([_SEALING_KEY])
        async with a_load(
            addresses=self.fleet.addresses,
            folder=files,
            patience=wishes.patience,
            seed=wishes.seed,
            ledger=self.ledger,
            grant_of=upload_ids.decrypt,
            exists=self._auditor.exists,
        ) as load:
            await self._load(load)
            keys_left = await self._later()
            await self._ask_what_is_complete(load)
        await self._consumer.settle()
        return keys_left

    async def _load(self, load: Load) -> None:
        self.fleet.start(armed=True)
        end = time.monotonic() + self._wishes.seconds
        harms = [*self.fleet.harms(), *self._store.harms(), *self._consumer.harms()]
        strikes = schedule(self._wishes.seed, harms, self._wishes.seconds)
        async with asyncio.TaskGroup() as group:
            if self._wishes.record is not None:
                group.create_task(record_metrics(self.fleet.metrics, end, self._wishes.record))
            group.create_task(load.run(self._wishes.lanes, lambda: time.monotonic() > end))
            group.create_task(self._strike(strikes))
        self._enter("calm")
        await self.fleet.stop()
        self.fleet.start(armed=False)
        await load.ask_again(_ASKERS, self.ledger.stories)
        await self._webhook.settle()
        self._delivered = [story for story in self.ledger.stories if story.key]
        await self.fleet.stop()
        await self._count()

    async def _later(self) -> int:
        """Let the clock run ahead; return how many keys Redis holds at the end."""
        # Session records expire from here on.
        self.ledger.forgets.append((time.monotonic(), NEVER))
        self._enter("later")
        seconds = min(max(self._wishes.seconds / 15, 5.0), 20.0)
        ahead = _PAST_TOMBSTONES
        for stage, base in enumerate((_PAST_TOMBSTONES, _PAST_TOMBSTONES, _PAST_ROWS)):
            ahead = base + stage * _STEP
            self.fleet.start(armed=True, ahead=ahead)
            harms = [*self.fleet.harms(), *self._consumer.harms()]
            strikes = schedule(f"{self._wishes.seed}/later/{stage}", harms, seconds)
            await asyncio.gather(self._strike(strikes), asyncio.sleep(seconds))
            await self.fleet.stop()
            await self._count()
        self._enter("rest")
        for _ in range(_RESTS):
            await self.fleet.stop()
            # What ended in the last stage starts an expiry of its own.
            ahead += _PAST_ROWS
            self.fleet.start(armed=False, ahead=ahead)
            # Quiet before the janitors have started proves nothing.
            await self.fleet.serving()
            if await self._rested():
                break
        return await self._store.keys()

    async def _rested(self) -> bool:
        """Wait for the janitor and the sweep to go quiet; return whether Redis is empty."""
        began, before, changed = time.monotonic(), -1, time.monotonic()
        while time.monotonic() < changed + _IDLE_SECONDS:
            # Polling: a janitor does not announce that it has nothing left to do.
            await asyncio.sleep(PERIOD_SECONDS)
            keys = await self._store.keys()
            if not keys and time.monotonic() > began + 4 * PERIOD_SECONDS + LEASE_SECONDS:
                return True
            if keys != before:
                before, changed = keys, time.monotonic()
        return False

    async def _count(self) -> None:
        """Compare what is counted as used with the session records, while nothing changes."""
        faults = await self._store.usage_faults()
        self._miscounted += [f"{self._phase}: {fault}" for fault in faults]

    async def _ask_what_is_complete(self, load: Load) -> None:
        """Ask again, days later and with no session record left, for what was complete."""
        self._enter("asked")
        stories = [story for story in self.ledger.stories if story.said(COMPLETED)]
        await load.ask_again(_ASKERS, stories)
        await self.fleet.stop()

    async def _strike(self, strikes: Sequence[Strike]) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for strike in strikes:
                await asyncio.sleep(max(0.0, began + strike.at - time.monotonic()))
                group.create_task(self._do(strike.harm, strike.chance))

    async def _do(self, harm: Harm, chance: random.Random) -> None:
        began = time.monotonic()
        self._strikes[harm.name] = self._strikes.get(harm.name, 0) + 1
        self.ledger.strikes.append((began, harm.name))
        since = await harm.act(chance)
        if since is not None:
            self.ledger.forgets.append((since, time.monotonic()))

    def _environ(self, address: str, metrics: str) -> Mapping[str, str]:
        environ = service_environ(
            self._s3,
            self._store.url,
            address=address,
            metrics_address=metrics,
            policy_file=self._policies,
            sealing_keys=base64.b64encode(_SEALING_KEY).decode("ascii"),
            lease_seconds=LEASE_SECONDS,
            janitor_seconds=PERIOD_SECONDS,
            sweep_seconds=PERIOD_SECONDS,
            grace_seconds=3,
            log_level="info",
        )
        return {**environ, **self._webhook.environ}

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._say(self._line())

    def _line(self) -> str:
        ledger, deaths = self.ledger, self.fleet.deaths
        return (
            f"{time.monotonic() - ledger.began:6.0f} s  {self._phase:5}"
            f"  {len(ledger.stories):6} uploads  {ledger.count(COMPLETED):6} completed"
            f"  {deaths.kills:5} kills  {len(deaths.failpoints):3} failpoints hit"
            f"  {sum(n for name, n in self._strikes.items() if 'redis' in name):4} Redis faults"
        )

    async def _print_progress(self) -> None:
        while True:
            await asyncio.sleep(5)
            self._say(self._line())


def _toml(policies: Mapping[str, Mapping[str, int]]) -> str:
    lines = []
    for name, rules in policies.items():
        lines += [
            f"[policy.{name}]",
            "via_service = true",
            *(f"{rule} = {value}" for rule, value in rules.items()),
        ]
    return "\n".join([*lines, ""])
