"""The harness finds planted violations, and a clean run passes."""

import hashlib
import math
import random
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import pytest
from partway_server.devstack.servers import S3

from tests.chaos.bucket_reader import Auditor, Found, Holdings
from tests.chaos.failpoints import Armed, Failpoint, Moment, Watched, deal, every_failpoint
from tests.chaos.fault_schedule import Harm, schedule
from tests.chaos.ledger import NEVER, Answer, Ledger, Look, Sending, Story
from tests.chaos.plans import planned
from tests.chaos.upload_audit import Kind, judge
from tests.support.bucket import Bucket, look_into

BODY = b"what was sent"
ETAG = "e"
KEY = "default/2026/01/01/sid-token/u000001.bin"


def a_story(*answers: Answer, **changes: object) -> Story:
    """Return an upload of one part that was sent, with these answers."""
    story = Story(1, "plain", "u000001.bin", len(BODY), hashlib.sha256(BODY).hexdigest(), 0.0)
    story.key, story.single, story.answers = KEY, False, list(answers)
    story.sendings, story.completes = [Sending(1, True, 1.0, 2.0, 200)], [3.0]
    for name, value in changes.items():
        setattr(story, name, value)
    return story


def said(at: float, state: str, verb: str = "Status", **more: Any) -> Answer:
    return Answer(at, at + 0.1, verb, state, **more)


def completed(at: float = 3.0, etag: str = ETAG) -> Answer:
    return said(at, "COMPLETED", "Complete", etag=etag)


def aborted(at: float = 3.0, reason: str = "REQUESTED") -> Answer:
    return said(at, "ABORTED", abort_reason=reason)


def found(body: bytes = BODY, etag: str = ETAG) -> Holdings:
    return Holdings({KEY: Found(len(body), etag, hashlib.sha256(body).hexdigest())})


def kinds(
    story: Story, holdings: Holdings, forgets: tuple[tuple[float, float], ...] = ()
) -> list[Kind]:
    ledger = Ledger(0.0, [story, *story.sources], list(forgets))
    return [violation.kind for violation in judge(ledger, holdings)]


def composed(*answers: Answer, deletes: bool = True) -> Story:
    """Return a Compose with these answers, of one source that was complete before."""
    source = a_story(said(1.0, "COMPLETED"), name="u2.bin", key="default/u2.bin")
    source.removable = 2.5 if deletes else math.inf
    story = a_story(*answers, sources=[source], delete_sources=deletes)
    story.answers.append(Answer(3.0, 3.1, "Compose"))
    return story


def holding(*names: str) -> Holdings:
    """Return the holdings of a Compose."""
    keys = {"composed": KEY, "source": "default/u2.bin", "again": f"another/{PurePath(KEY).name}"}
    [whole] = found().objects.values()
    return Holdings({keys[name]: whole for name in names})


NOTHING = Holdings()
WRONG = {
    "a lost object": (a_story(completed()), NOTHING, Kind.LOST),
    "a wrong byte": (a_story(completed()), found(b"what was sEnt"), Kind.CORRUPTED),
    "another entity tag": (a_story(completed()), found(etag="f"), Kind.FALSE),
    "two entity tags": (a_story(completed(), completed(4.0, "f")), found(), Kind.FALSE),
    "an object after an abort": (a_story(aborted(), aborts=[2.5]), found(), Kind.FALSE),
    "an abort after an object": (
        a_story(completed(), aborted(5.0), aborts=[4.0]),
        found(),
        Kind.FALSE,
    ),
    "an object that was there": (
        a_story(aborted(), aborts=[2.5], looks=[Look(3.2, True)]),
        NOTHING,
        Kind.FALSE,
    ),
    "a late object that stays": (
        a_story(
            aborted(),
            aborts=[2.5],
            single=True,
            sendings=[Sending(1, True, 4.0, 5.0, 200)],
        ),
        found(),
        Kind.ORPHAN,
    ),
    "an upload that was lost": (a_story(aborted(reason="LOST")), NOTHING, Kind.FALSE),
    "an abort that no one asked for": (a_story(aborted()), NOTHING, Kind.FALSE),
    "an early end": (a_story(aborted(reason="EXPIRED"), expires_at=60.0), NOTHING, Kind.FALSE),
    "an id that is unknown": (
        a_story(said(3.0, "", reason="UPLOAD_NOT_FOUND")),
        NOTHING,
        Kind.FALSE,
    ),
    "a part that is missing": (a_story(said(3.0, "", reason="PARTS_MISSING")), NOTHING, Kind.FALSE),
    "a step back": (a_story(completed(), said(4.0, "ACTIVE")), found(), Kind.FALSE),
    "too little progress": (a_story(said(3.0, "ACTIVE", parts_stored=0)), NOTHING, Kind.FALSE),
    "two Uploads for one request": (
        a_story(
            said(0.5, "ACTIVE", "Initialize", key=KEY), said(0.7, "ACTIVE", "Initialize", key="k")
        ),
        NOTHING,
        Kind.FALSE,
    ),
    "an object of no one's making": (a_story(completes=[]), found(), Kind.FALSE),
    "an object that no one knows": (
        a_story(key="another"),
        found(),
        Kind.ORPHAN,
    ),
    "a source that is gone": (
        composed(completed(), deletes=False),
        holding("composed"),
        Kind.LOST,
    ),
    "sources that are gone for nothing": (
        composed(said(3.0, "ACTIVE", "Compose")),
        NOTHING,
        Kind.LOST,
    ),
    "a source that stays": (composed(completed()), holding("composed", "source"), Kind.ORPHAN),
    "a source that is said to have changed": (
        composed(said(3.0, "", "Compose", reason="SOURCE_UNUSABLE")),
        holding("source"),
        Kind.FALSE,
    ),
    "a second object of the same": (
        composed(completed()),
        holding("composed", "again"),
        Kind.ORPHAN,
    ),
    "a Watch that goes on after the end": (
        a_story(
            Answer(3.0, 3.1, "Watch", "COMPLETED"),
            Answer(3.0, 3.2, "Watch", "ACTIVE"),
        ),
        found(),
        Kind.FALSE,
    ),
    "more reports than parts sent": (a_story(said(4.0, "ACTIVE", reported=2)), NOTHING, Kind.FALSE),
    "a report that was forgotten": (
        a_story(said(4.0, "ACTIVE", reported=0), reports={1: 3.0}),
        NOTHING,
        Kind.FALSE,
    ),
    "what was seen at once": (a_story(wrong=["a report was refused"]), NOTHING, Kind.FALSE),
    "parts that are left": (a_story(), Holdings(unfinished=(KEY,)), Kind.ORPHAN),
    "a caller without an answer": (a_story(unfinished="Complete"), NOTHING, Kind.UNFINISHED),
}


@pytest.mark.parametrize(("story", "holdings", "kind"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found(story: Story, holdings: Holdings, kind: Kind) -> None:
    assert kinds(story, holdings) == [kind]


RIGHT = {
    "completed": (a_story(completed(), completed(5.0)), found()),
    "aborted": (a_story(aborted(), aborts=[2.5], looks=[Look(3.2, False)]), NOTHING),
    "expired": (a_story(aborted(reason="EXPIRED"), expires_at=2.0), NOTHING),
    "complete as soon as the bytes arrived": (a_story(single=True, completes=[]), found()),
    "complete although an abort had begun": (a_story(completed(), aborts=[2.9]), found()),
    "composed, and the sources removed": (composed(completed()), holding("composed")),
    "composed, and the sources kept": (
        composed(completed(), deletes=False),
        holding("composed", "source"),
    ),
    "a late proof": (
        a_story(
            aborted(2.5),
            completed(5.0),
            aborts=[2.4],
            single=True,
            sendings=[Sending(1, True, 2.4, math.inf)],
        ),
        found(),
    ),
}


@pytest.mark.parametrize(("story", "holdings"), RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_let_pass(story: Story, holdings: Holdings) -> None:
    assert kinds(story, holdings) == []


def test_what_redis_forgot_is_excused_and_counted_apart() -> None:
    late = a_story(aborted(), aborts=[2.5], single=True, sendings=[Sending(1, True, 4.0, 5.0, 200)])
    back = a_story(completed(), said(9.0, "ACTIVE"))
    assert kinds(late, found(), ((5.0, 6.0),)) == [Kind.RESURRECTED]
    # That rows end in their time forgets nothing before.
    assert kinds(late, found(), ((50.0, NEVER),)) == [Kind.ORPHAN]
    assert kinds(back, found(), ((5.0, 6.0),)) == []
    assert kinds(back, found(), ((0.0, 1.0),)) == [Kind.FALSE]
    assert kinds(a_story(completed()), NOTHING, ((5.0, 6.0),)) == [Kind.LOST]


def test_a_compose_that_redis_forgot_is_excused() -> None:
    forgot = ((2.0, 3.0),)
    assert kinds(composed(completed()), holding("composed", "source"), forgot) == []
    assert kinds(composed(completed()), holding("composed", "again"), forgot) == [Kind.UNREPORTED]
    assert kinds(composed(completed()), holding(), forgot) == [Kind.LOST, Kind.LOST]


@pytest.fixture
def bucket(s3: S3) -> Iterator[Bucket]:
    with look_into(s3, "audited") as bucket:
        yield bucket


@pytest.mark.s3
async def test_the_audit_reads_what_storage_holds(s3: S3, bucket: Bucket) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=KEY, Body=b"what was sEnt")
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key=KEY + "2")
    auditor = Auditor(s3, bucket)
    holdings = await auditor.holdings()
    etag = hashlib.md5(b"what was sEnt").hexdigest()
    assert holdings == Holdings(found(b"what was sEnt", etag).objects, (KEY + "2",))
    assert kinds(a_story(completed(etag=etag)), holdings) == [Kind.CORRUPTED, Kind.ORPHAN]
    assert await auditor.exists(KEY)
    assert not await auditor.exists(KEY + "3")


def test_every_call_to_a_store_is_a_failpoint() -> None:
    names = {str(point) for point in every_failpoint()}
    assert {
        "before sessions.claim",
        "during storage.complete",
        "after storage.head",
        "after storage.unfinished",
    } <= names
    dealt = deal(random.Random(7))
    assert {next(dealt).failpoints[0] for _ in names} == set(every_failpoint())


@pytest.mark.parametrize(("moment", "done"), [(Moment.BEFORE, 1), (Moment.AFTER, 2)])
async def test_a_process_dies_at_the_chosen_call(moment: Moment, done: int) -> None:
    calls: list[str] = []

    class Store:
        async def head(self) -> None:
            calls.append("head")

    class Death(Exception):
        pass

    def die(failpoint: Failpoint) -> None:
        raise Death

    armed = Armed((Failpoint("storage", "head", moment),), nth=2)
    watched = Watched(Store(), seam="storage", armed=armed, now=lambda: 1.0, die=die)
    await watched.head()
    with pytest.raises(Death):
        await watched.head()
    assert len(calls) == done


def test_a_seed_decides_the_uploads_and_the_harm() -> None:
    async def act(chance: random.Random) -> None: ...

    harms = [Harm("one", 2.0, act), Harm("other", 5.0, act)]

    def whole(seed: str) -> object:
        strikes = [(s.at, s.harm.name, s.chance.random()) for s in schedule(seed, harms, 60)]
        uploads = [planned(seed, number) for number in range(50)]
        return strikes, [(u.kind, u.policy, u.size_bytes, u.chance.random()) for u in uploads]

    assert whole("7") == whole("7")
    assert whole("7") != whole("8")
