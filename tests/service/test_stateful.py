"""Tests the service on real Redis and real storage, in any order of calls, kills and losses.

Hypothesis draws the steps; each step may kill its process at any of its calls to Redis or storage,
or lose a reply there. After every step an independent client checks that storage agrees with every
answer so far. At the end every transition in the tables of `domain/upload.py` must have occurred
often enough, or the steps were not worth their time.
"""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import grpc
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from partway.v1 import upload_service_pb2 as pb
from partway_server.devstack.servers import S3
from partway_server.domain.errors import SessionsUnavailable, StorageUnavailable
from partway_server.domain.policy import Policy
from partway_server.domain.upload import CLAIMS, FINISHES, State
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.redis_client.topology import connect
from partway_server.sessions.redis_store import RedisSessionStore
from partway_server.storage.base import CompleteUnknown
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.s3 import S3Storage
from partway_server.workflow.leases import LONGEST_PUT

from tests.support.answer_audit import Ghost, Truth
from tests.support.backends import REDIS_PATIENCE
from tests.support.bucket import Bucket, look_into
from tests.support.clock import FakeClock
from tests.support.crashable import Strike
from tests.support.replicas import Replica, Snapshots, Witness
from tests.support.storage import put_by
from tests.support.world import ALICE, BOB, EVE, PART, SEALING_KEY, Failure, failure_of

EXAMPLES = 30
STEPS = 50
OFTEN = 3
"""How often each transition must occur in all examples together."""

REPLICAS = 2
LEASE = timedelta(seconds=30)
LIFETIME = timedelta(days=6)

CALLERS = {"alice": ALICE, "bob": BOB, "eve": EVE}
SIZES = {"empty": 0, "one PUT": 1000, "one part": 2000, "two parts": PART + 7}

SESSION_CALLS = (
    *("insert", "get", "look", "claim", "claim_active", "renew", "finish", "remove", "take_due"),
)
OBJECT_CALLS = ("create", "list_multiparts", "list_parts", "complete", "abort", "head", "delete")


def _strikes() -> st.SearchStrategy[Strike | None]:
    calls, late = st.sampled_from(SESSION_CALLS + OBJECT_CALLS), st.booleans()
    silence: dict[str, type[Exception]] = dict.fromkeys(OBJECT_CALLS, StorageUnavailable)
    silence |= dict.fromkeys(SESSION_CALLS, SessionsUnavailable)
    silence["complete"] = CompleteUnknown
    kills = st.builds(Strike, calls, late)
    losses = st.builds(lambda call, late: Strike(call, late, silence[call]), calls, late)
    return st.one_of(st.none(), kills, losses)


strikes = _strikes()
replicas = st.integers(0, REPLICAS - 1)
callers = st.sampled_from(sorted(CALLERS))
sizes = st.sampled_from(sorted(SIZES))


class Stage:
    """The environment of all examples: real Redis, real storage, and a loop to run it in."""

    def __init__(self, runner: asyncio.Runner, redis: Snapshots, s3: S3, bucket: Bucket) -> None:
        self.run: Callable[[Any], Any] = runner.run
        self.redis = redis
        self.bucket = bucket
        self.taken: Counter[tuple[State, State]] = Counter()
        self.answers: Counter[str] = Counter()
        self.example = count()
        self.storage = self.run(
            S3Storage.open(
                name="default",
                capabilities=KNOWN["seaweedfs"],
                region=s3.region,
                endpoint_url=s3.endpoint,
                access_key=s3.access_key,
                secret_key=s3.secret_key,
            )
        )
        self.http: aiohttp.ClientSession = self.run(_http())
        self.put = put_by(self.http)

    def close(self) -> None:
        self.run(self.http.close())
        self.run(self.storage.aclose())


async def _http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


@pytest.fixture
def stage(tmp_path: Path, s3: S3) -> Iterator[Stage]:
    with contextlib.ExitStack() as opened:
        runner = opened.enter_context(asyncio.Runner())
        redis = Snapshots(tmp_path)
        opened.callback(redis.close)
        bucket = opened.enter_context(look_into(s3, "stateful"))
        stage = Stage(runner, redis, s3, bucket)
        opened.callback(stage.close)
        yield stage


class Machine(RuleBasedStateMachine):
    """The state machine. Every rule is a step, and checks the answer that it got at once."""

    ghosts = Bundle("ghosts")

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.clock = FakeClock(datetime.now(UTC))
        self.truth = Truth(stage.bucket)
        self.all: list[Ghost] = []
        self.prefix = f"{next(stage.example)}/"
        self.policy = Policy(
            "default",
            stage.bucket.name,
            key_template=self.prefix + "{tenant}/{date}/{sid}/{name}",
            single_put_max_bytes=1000,
        )
        stage.redis.forget()
        self.sessions = RedisSessionStore(
            connect(stage.redis.url), clock=self.clock, patience=REDIS_PATIENCE
        )
        self.replicas = [self.start() for _ in range(REPLICAS)]

    def start(self) -> Replica:
        replica: Replica = self.stage.run(
            Replica.start(
                sessions=Witness(self.sessions, self.stage.taken),
                storage=self.stage.storage,
                policy=self.policy,
                clock=self.clock,
            )
        )
        return replica

    def do(self, number: int, work: Any, strike: Strike | None = None) -> Any:
        """Return a replica's answer, a Failure, or None if it died and another took its place."""

        async def attempt() -> Any:
            try:
                return await self.replicas[number].answer(work(self.replicas[number]), strike)
            except grpc.aio.AioRpcError as error:
                return failure_of(error)

        answer = self.stage.run(attempt())
        if self.replicas[number].life.died.is_set():
            self.stage.run(self.replicas[number].stop())
            self.replicas[number] = self.start()
        name = answer.reason if isinstance(answer, Failure) else type(answer).__name__
        self.stage.answers[name] += 1
        return answer

    def ask(self, ghost: Ghost, rpc: str, request: Any, number: int, strike: Strike | None) -> Any:
        metadata = CALLERS[ghost.caller]
        return self.do(
            number, lambda it: _within(getattr(it.stub, rpc)(request, metadata=metadata)), strike
        )

    # Actions of callers.

    @initialize(
        target=ghosts,
        wanted=st.lists(st.tuples(callers, sizes), min_size=2, max_size=3),
        strike=strikes,
    )
    def begin(self, wanted: list[tuple[str, str]], strike: Strike | None) -> MultipleResults[Ghost]:
        """Open some uploads, so that every story has one."""
        opened: list[Any] = [self.open(caller, size, 0, strike) for caller, size in wanted]
        return multiple(*opened)

    @rule(target=ghosts, caller=callers, size=sizes, number=replicas, strike=strikes)
    def open(self, caller: str, size: str, number: int, strike: Strike | None) -> Ghost:
        request = pb.InitializeRequest(
            file_name="film.mp4",
            size_bytes=SIZES[size],
            part_size_bytes=PART,
            request_id=str(UUID(int=len(self.all))),
            presign_parts=2,
        )
        ghost = Ghost(caller, request)
        self.all.append(ghost)
        self.opened(ghost, self.ask(ghost, "Initialize", request, number, strike))
        return ghost

    def one(self, caller: str, size: str, number: int, strike: Strike | None) -> Ghost:
        """Open an upload for a rule that continues with it: `@rule` changes the type of `open`."""
        opened: Any = self.open(caller, size, number, strike)
        assert isinstance(opened, Ghost)
        return opened

    @rule(ghost=ghosts, number=replicas, strike=strikes)
    def carry_on(self, ghost: Ghost, number: int, strike: Strike | None) -> None:
        """Take the next step of an upload where all goes well: few stories would get there."""
        if ghost.upload is None:
            self.initialize_again(ghost, number, strike)
        elif not ghost.whole:
            self.send(ghost, only_first=False, other=False)
        self.complete(ghost, number, strike)

    @rule(ghost=ghosts, number=replicas, strike=strikes)
    def initialize_again(self, ghost: Ghost, number: int, strike: Strike | None) -> None:
        self.opened(ghost, self.ask(ghost, "Initialize", ghost.request, number, strike))

    @rule(ghost=ghosts, only_first=st.booleans(), other=st.booleans())
    def send(self, ghost: Ghost, only_first: bool, other: bool) -> None:
        """Send the parts with the first URLs: they work or not, whatever has happened since."""
        for number, part in sorted(ghost.urls.items()):
            if only_first and number > 1:
                continue
            body = _content(part.part_number, part.size_bytes, other)
            reply = self.stage.run(self.stage.put(part.url, body, part.headers))
            if reply.status == 200:
                ghost.sent.setdefault(number, set()).add(body)
                ghost.late = ghost.late or ghost.aborted

    @rule(ghost=ghosts, number=replicas, strike=strikes)
    def complete(self, ghost: Ghost, number: int, strike: Strike | None) -> None:
        if ghost.upload is not None:
            request = pb.CompleteRequest(upload_id=ghost.upload.id)
            self.truth.heard(ghost, self.ask(ghost, "Complete", request, number, strike))

    @rule(ghost=ghosts, number=replicas, strike=strikes)
    def abort(self, ghost: Ghost, number: int, strike: Strike | None) -> None:
        if ghost.upload is not None:
            request = pb.AbortRequest(upload_id=ghost.upload.id)
            ghost.lost_parts = True
            self.truth.heard(ghost, self.ask(ghost, "Abort", request, number, strike))

    @rule(ghost=ghosts, number=replicas, at=st.sampled_from(["complete", "head", "finish"]))
    def die_at_complete(self, ghost: Ghost, number: int, at: str) -> None:
        """Die at the worst point: storage has done the work, and Redis does not know."""
        self.carry_on(ghost, number, Strike(at, late=at != "finish"))

    @rule(target=ghosts, caller=callers, number=replicas, made=st.booleans())
    def abort_what_a_dead_worker_left(self, caller: str, number: int, made: bool) -> Ghost:
        """Abort after a dead worker: the abort has to find out whether the object was made."""
        ghost = self.one(caller, "one part", number, None)
        self.carry_on(ghost, number, Strike("complete", late=made))
        self.a_lease_passes()
        self.abort(ghost, number, None)
        return ghost

    @rule(
        ghost=ghosts,
        number=replicas,
        at=st.sampled_from(["abort", "head", "finish"]),
        again=st.booleans(),
    )
    def die_at_abort(self, ghost: Ghost, number: int, at: str, again: bool) -> None:
        self.abort(ghost, number, Strike(at, late=at != "finish"))
        if again:
            self.a_lease_passes()
            self.abort(ghost, number, None)

    @rule(target=ghosts, caller=callers, late=st.booleans(), given_up=st.booleans())
    def die_at_initialize(self, caller: str, late: bool, given_up: bool) -> Ghost:
        ghost = self.one(caller, "one part", 0, Strike("create", late))
        if given_up:
            self.time_passes(0.01, False)
            self.the_janitor_comes(1, None)
        return ghost

    @rule(target=ghosts, caller=callers, number=replicas)
    def come_too_late(self, caller: str, number: int) -> Ghost:
        """Send the bytes after the abort: a single PUT makes the object nevertheless."""
        ghost = self.one(caller, "one PUT", number, None)
        self.abort(ghost, number, None)
        self.send(ghost, only_first=False, other=False)
        self.complete(ghost, number, None)
        return ghost

    @rule(ghost=ghosts, number=replicas, strike=strikes, progress=st.booleans())
    def status(self, ghost: Ghost, number: int, strike: Strike | None, progress: bool) -> None:
        if ghost.upload is not None:
            view = pb.STATUS_VIEW_PROGRESS if progress else pb.STATUS_VIEW_UNSPECIFIED
            request = pb.StatusRequest(upload_id=ghost.upload.id, view=view)
            self.truth.heard(ghost, self.ask(ghost, "Status", request, number, strike))

    @rule(ghost=ghosts, number=replicas, strike=strikes)
    def list_parts(self, ghost: Ghost, number: int, strike: Strike | None) -> None:
        if ghost.upload is not None:
            request = pb.ListPartsRequest(upload_id=ghost.upload.id)
            answer = self.ask(ghost, "ListParts", request, number, strike)
            self.truth.heard(ghost, answer)
            if isinstance(answer, pb.ListPartsResponse):
                assert {part.part_number for part in answer.parts} == set(ghost.sent)

    @rule(ghost=ghosts, other=callers, number=replicas)
    def trespass(self, ghost: Ghost, other: str, number: int) -> None:
        if ghost.upload is not None and other != ghost.caller:
            stranger = replace(ghost, caller=other)
            request = pb.CompleteRequest(upload_id=ghost.upload.id)
            answer = self.ask(stranger, "Complete", request, number, None)
            assert answer.reason == "UPLOAD_NOT_FOUND"

    @rule(ghost=ghosts, second=st.sampled_from(["Complete", "Abort"]), strike=strikes)
    def race(self, ghost: Ghost, second: str, strike: Strike | None) -> None:
        """Make two calls at once, by two replicas; one of them may die."""
        if ghost.upload is None:
            return
        ghost.lost_parts = ghost.lost_parts or second == "Abort"
        upload_id, metadata = ghost.upload.id, CALLERS[ghost.caller]
        rival = getattr(self.replicas[1].stub, second)
        request = getattr(pb, f"{second}Request")(upload_id=upload_id)

        async def both(it: Replica) -> Any:
            first = it.stub.Complete(pb.CompleteRequest(upload_id=upload_id), metadata=metadata)
            return await asyncio.gather(
                _within(first), _within(rival(request, metadata=metadata)), return_exceptions=True
            )

        answers = self.do(0, both, strike)
        for answer in answers or ():
            if isinstance(answer, grpc.aio.AioRpcError):
                answer = failure_of(answer)
            self.truth.heard(ghost, answer)

    # Events that happen to them.

    @rule()
    def a_lease_passes(self) -> None:
        self.clock.advance(LEASE.total_seconds() + 10)

    @rule(days=st.sampled_from([0.002, 0.01, LIFETIME.days]), urls_end=st.booleans())
    def time_passes(self, days: float, urls_end: bool) -> None:
        """Advance by minutes, to give up what was not opened, or by the whole life of uploads."""
        self.clock.advance(timedelta(days=days).total_seconds())
        for ghost in self.all:
            ghost.lost_parts = ghost.lost_parts or days == LIFETIME.days
        if urls_end:
            self.the_last_url_has_gone()

    def the_last_url_has_gone(self) -> None:
        self.clock.advance(self.policy.max_url_seconds + LONGEST_PUT.total_seconds())
        for ghost in self.all:
            ghost.urls.clear()

    @rule(number=replicas, strike=strikes)
    def the_janitor_comes(self, number: int, strike: Strike | None) -> None:
        self.do(number, _sweep, strike)

    @rule(what=st.sampled_from(["copy", "put back", "put back", "forget"]))
    def redis_suffers(self, what: str) -> None:
        self.clock.advance(1)  # a restart takes its time
        match what:
            case "copy":
                self.stage.redis.remember()
            case "put back":
                self.stage.redis.put_back()
            case "forget":
                self.stage.redis.forget()

    @rule(target=ghosts, caller=callers, number=replicas, strike=strikes)
    def a_lifecycle_rule_takes_it(self, caller: str, number: int, strike: Strike | None) -> Ghost:
        ghost = self.one(caller, "one part", number, None)
        if ghost.grant is not None:
            ghost.lost_parts = True
            self.stage.bucket.abort_all(ghost.grant.key)
            self.complete(ghost, number, strike)
        return ghost

    # Invariants.

    def opened(self, ghost: Ghost, answer: Any) -> None:
        if isinstance(answer, Failure):
            assert answer.code in ("UNAVAILABLE", "ABORTED"), answer
        if not isinstance(answer, pb.InitializeResponse):
            return
        if ghost.upload is None or ghost.upload.id != answer.upload.id:
            # The first answer to arrive, or one after Redis has forgotten the first upload.
            if ghost.upload is not None:
                self.all.append(replace(ghost))
            ghost.upload, ghost.grant = (
                answer.upload,
                UploadIdCipher([SEALING_KEY]).decrypt(answer.upload.id),
            )
            ghost.urls, ghost.sent, ghost.etag = {}, {}, ""
            ghost.aborted = ghost.late = ghost.lost_parts = False
        ghost.urls |= {part.part_number: part for part in answer.parts}
        self.truth.agree(ghost, answer.upload)

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        for ghost in self.all:
            if ghost.etag:
                ours = self.truth.ours(ghost)
                assert ours is not None and ours.etag == ghost.etag

    def teardown(self) -> None:
        try:
            self.all_ends_well()
        finally:
            for replica in self.replicas:
                self.stage.run(replica.stop())
            self.stage.run(self.sessions.aclose())

    def all_ends_well(self) -> None:
        """Complete every upload whose object exists; after all time has passed, no parts remain."""
        self.a_lease_passes()
        for ghost in self.all:
            if ghost.upload is None:
                self.initialize_again(ghost, 0, None)
            if ghost.grant is not None and self.truth.ours(ghost) is not None:
                self.complete(ghost, 0, None)
                # One that came after its abort is removed instead.
                assert ghost.etag or (ghost.aborted and self.truth.ours(ghost) is None)
        for urls_end in (False, True):
            for ghost in self.all:
                self.status(ghost, 0, None, True)
            self.time_passes(LIFETIME.days, urls_end)
            # A record that was rebuilt stays until the last deadline that its upload can have.
            self.clock.advance(self.policy.max_upload_seconds)
            self.the_janitor_comes(0, None)
            self.a_lease_passes()
        self.the_janitor_comes(0, None)
        self.what_was_acknowledged_is_there()
        self.do(0, lambda it: it.service.sweeper.sweep())
        assert self.stage.bucket.unfinished(self.prefix) == 0
        for ghost in self.all:
            if ghost.grant is not None and ghost.aborted and not ghost.grant.single:
                assert self.truth.ours(ghost) is None


async def _sweep(it: Replica) -> None:
    with contextlib.suppress(SessionsUnavailable):  # as `Janitor.run` does: it comes again
        await it.service.janitor.sweep()


async def _within(call: Any) -> Any:
    return await call


def _content(number: int, size: int, other: bool) -> bytes:
    """Return the bytes of a part, or different ones."""
    return hashlib.sha256(f"{number} {other}".encode()).digest() * (size // 32) + b"." * (size % 32)


@pytest.mark.redis
@pytest.mark.s3
@pytest.mark.timeout(600)  # thirty stories of fifty steps, on real stores
def test_every_answer_agrees_with_storage_whatever_happens(stage: Stage) -> None:
    machine: Any = partial(Machine, stage)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        ),
    )
    print(*(f"{a} -> {b}: {n}" for (a, b), n in sorted(stage.taken.items())), sep="\n")
    print(stage.answers)
    table = {(a, b) for b, froms in CLAIMS.items() for a in froms}
    table |= {(a, b) for a, outcomes in FINISHES.items() for b in outcomes}
    # Only on a store that joins parts late, which tests/model has.
    table -= {(State.ABORTED, State.COMPLETING)}
    assert [(a, b) for a, b in sorted(table) if stage.taken[a, b] < OFTEN] == []
