"""Tests the parts of a fuzz run that decide what is a finding, and what is sent."""

import asyncio
import random

import pytest
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st
from partway.v1 import upload_service_pb2 as pb

from tests.fuzz.finding import recalled, recorded
from tests.fuzz.lanes.rest import wrong_with
from tests.fuzz.messages import METHODS, NOT_UTF8, among, calls, wire
from tests.fuzz.mutation import mutated
from tests.fuzz.oracle import Oracle, Refusal, documented
from tests.fuzz.scenarios import RPCS, staged
from tests.fuzz.steps import cancelled_at
from tests.fuzz.targets import TARGETS, chosen, corpus

SECRET = "s3cr3t-of-storage"
ORACLE = Oracle([SECRET])


def packed(reason: str, domain: str = "partway") -> bytes:
    status = status_pb2.Status(code=3, message="m")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain))
    data: bytes = status.SerializeToString()
    return data


GOOD = packed("ERROR_REASON_INVALID_REQUEST")


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("INVALID_ARGUMENT", "size_bytes: must not be negative", GOOD),
        Refusal("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (3 vs. 2)", b""),
    ],
)
def test_a_documented_refusal_is_no_finding(refusal: Refusal) -> None:
    assert ORACLE.of_refusal(refusal) == ""


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal("UNKNOWN", "Unexpected <class 'KeyError'>", b""), "answered UNKNOWN"),
        (Refusal("INTERNAL", "internal error", packed("ERROR_REASON_INTERNAL")), "INTERNAL"),
        (Refusal("UNAVAILABLE", "Socket closed", b""), "without details"),
        (Refusal("RESOURCE_EXHAUSTED", "too many", b""), "without details"),
        (Refusal("INVALID_ARGUMENT", "KeyError('x')", GOOD), "text of an exception"),
        (Refusal("INVALID_ARGUMENT", "m", packed("ERROR_REASON_NEW")), "not documented"),
        (Refusal("INVALID_ARGUMENT", "m", packed("X", "elsewhere")), "0 reasons"),
        (Refusal("NOT_FOUND", "m", GOOD), "documented with INVALID_ARGUMENT"),
        (Refusal("INVALID_ARGUMENT", "m", GOOD + SECRET.encode()), "a secret"),
    ],
)
def test_any_other_refusal_is_a_finding(refusal: Refusal, words: str) -> None:
    assert words in ORACLE.of_refusal(refusal)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("2026-01-01 INFO    Status NotFound 1.2 ms", False),
        ("Traceback (most recent call last):", True),
        ("2026-01-01 ERROR   /partway.v1.UploadService/Status failed, reference 12", True),
        ("2026-01-01 ERROR   not ready: no answer from redis for 5 s", False),
        ("Task exception was never retrieved", True),
        (f"key={SECRET}", True),
        ("GET http://x/y?X-Amz-Signature=abc", True),
    ],
)
def test_a_log_holds_no_traceback_and_no_secret(line: str, wrong: bool) -> None:
    assert bool(ORACLE.of_line(line)) is wrong


def test_the_same_fault_in_the_log_is_one_finding() -> None:
    found = {
        ORACLE.of_line(f"2026-01-01 10:00:0{n},000 ERROR   X failed, reference {n:016x}")
        for n in range(3)
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("status", "text", "wrong"),
    [
        (200, "{}", False),
        (400, "", False),
        (404, "Not Found", True),
        (400, '{"code":3,"message":"m","details":[]}', False),
        (400, '{"code":3,"message":"a next line: \x85","details":[]}', False),
        (500, '{"code":13,"message":"m","details":[]}', True),
        (400, '{"message":"m"}', True),
        (500, "upstream error", True),
        (503, "no healthy upstream", True),
        (
            503,
            '{"code":14,"message":"m","details":['
            '{"@type":"type.googleapis.com/google.rpc.ErrorInfo",'
            '"reason":"ERROR_REASON_TIMED_OUT"}]}',
            False,
        ),
        (
            400,
            '{"code":14,"message":"m","details":['
            '{"@type":"type.googleapis.com/google.rpc.ErrorInfo",'
            '"reason":"ERROR_REASON_TIMED_OUT"}]}',
            True,
        ),
    ],
)
def test_the_gateway_answers_as_documented(status: int, text: str, wrong: bool) -> None:
    assert bool(wrong_with(ORACLE, status, text)) is wrong


def test_the_document_of_reasons_is_read_whole() -> None:
    assert documented()["INTERNAL"] == ("INTERNAL", 500)
    assert len(documented()) > 20


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data())
def test_every_rpc_has_calls_that_can_be_recorded(name: str, data: st.DataObject) -> None:
    call = data.draw(calls(name, among(lambda: ["an-id"]), st.just("a-token")))
    assert call.method == name
    assert recalled(recorded(call)) == call


def test_texts_that_are_not_utf8_are_sent() -> None:
    sent = wire(pb.StatusRequest(upload_id=f"a{NOT_UTF8}b"))
    with pytest.raises(DecodeError):
        pb.StatusRequest.FromString(sent)
    # Only the text is wrong: the lengths are right.
    assert len(sent) == 2 + sent[1]


def test_mutations_change_and_follow_their_seed() -> None:
    first, second = (
        [mutated(random.Random(n), b"0123456789", b"abc") for n in range(50)] for _ in range(2)
    )
    assert first == second
    assert len(set(first)) > 40


@pytest.mark.parametrize("data", corpus())
def test_each_target_accepts_its_seeds(data: bytes) -> None:
    name, rest = chosen(data)
    TARGETS[name](rest)


async def test_a_cancellation_hits_each_suspension_in_turn() -> None:
    reached: list[int] = []

    async def work() -> str:
        for n in range(3):
            await asyncio.sleep(0)
            reached.append(n)
        return "done"

    for step, expected in ((1, []), (2, [0]), (3, [0, 1])):
        reached.clear()
        assert await cancelled_at(work(), (step,)) == (False, None)
        assert reached == expected
    assert await cancelled_at(work(), (4,)) == (True, "done")


async def test_a_second_cancellation_hits_the_cleaning_up() -> None:
    reached: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            reached.append("clean")

    await cancelled_at(work(), (1,))
    assert reached == ["clean"]
    reached.clear()
    await cancelled_at(work(), (1, 2))
    assert reached == []


async def test_work_that_outlives_a_cancelled_call_is_noticed() -> None:
    async with staged(single=False) as stage:
        before = len(asyncio.all_tasks())
        left = asyncio.create_task(asyncio.Event().wait())
        assert "1 tasks" in await stage.rested(before)
        left.cancel()


@pytest.mark.parametrize("name", RPCS)
async def test_every_rpc_has_a_scene_that_comes_to_its_end(name: str) -> None:
    async with staged(single=False) as stage:
        scene = await stage.scene(name)
        await scene.act()
        await scene.settle()
