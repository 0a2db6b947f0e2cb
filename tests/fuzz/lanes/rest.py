"""JSON through the gateway: what Schemathesis makes of the OpenAPI document, right and wrong."""

import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, openapi

from tests.fuzz.answer_shapes import AnswerShapes
from tests.fuzz.lane import REQUESTS, Job
from tests.fuzz.oracle import Oracle

_DOCUMENT = Path(__file__).parents[3] / "docs" / "openapi.json"
_EXAMPLES = 20
_KNOWN_SHARE = 0.6
_BY_GATEWAY = (400, 404, 405, 411, 413, 415, 431)
"""What Envoy refuses by itself, without details: deploy/envoy/README.md."""

_REASON_TYPE = "type.googleapis.com/google.rpc.ErrorInfo"


class _Stopped(Exception):
    """The run is over."""


def run(job: Job) -> None:
    """Send until stopped."""
    document = json.loads(_DOCUMENT.read_text())
    schema, shapes = openapi.from_dict(document), AnswerShapes(document)
    found: Any = schema.get_all_operations()
    operations = [each.ok() for each in found]
    with requests.Session() as session:
        known = _opened(job, session)
        chance, oracle = random.Random(job.seed), job.wire.oracle()

        def send(case: Any) -> None:
            if not job.goes_on():
                raise _Stopped
            if case.path_parameters and chance.random() < _KNOWN_SHARE:
                case.path_parameters["upload_id"] = chance.choice(known)
            _judge(job, oracle, shapes, session, case)

        try:
            for turn in itertools.count():
                for operation in operations:
                    _draw(operation, job.seed + turn, send)
        except _Stopped:
            return


def _draw(operation: Any, number: int, send: Any) -> None:
    cases = st.one_of(
        operation.as_strategy(GenerationMode.POSITIVE),
        operation.as_strategy(GenerationMode.NEGATIVE),
    )

    @seed(number)
    @settings(
        max_examples=_EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def example(case: Any) -> None:
        send(case)

    example()


def _opened(job: Job, session: requests.Session) -> Sequence[str]:
    """Open a few Uploads through the gateway."""
    known = []
    for size in (0, 100, 17 * 1024 * 1024, 2**40):
        answer = session.post(f"{job.wire.rest}/v1/uploads", json={"sizeBytes": str(size)})
        known.append(answer.json()["upload"]["id"])
    return known


def _judge(
    job: Job, oracle: Oracle, shapes: AnswerShapes, session: requests.Session, case: Any
) -> None:
    label, curl = case.operation.label, case.as_curl_command()
    job.count(REQUESTS)
    try:
        wanted = session.request(
            **case.as_transport_kwargs(base_url=job.wire.rest),
            timeout=job.wire.patience,
            stream=True,
        )
        with wanted as answer:
            # A Watch goes on: that it began is enough.
            goes_on = case.path.endswith(":watch") and answer.status_code == 200
            text = "" if goes_on else answer.text
            kind = answer.headers.get("content-type", "")
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError):
        job.count("not sent")
        return
    except requests.exceptions.RequestException as error:
        job.find(f"{label}: {type(error).__name__}", curl=curl)
        return
    job.count(str(answer.status_code))
    wrong = wrong_with(oracle, answer.status_code, text)
    if not wrong and not goes_on:
        operation = case.operation
        status = answer.status_code
        wrong = shapes.wrong_with(operation.method, operation.path, status, kind, text)
    if wrong:
        job.find(f"{label}: {wrong}", curl=curl)


def wrong_with(oracle: Oracle, status: int, text: str) -> str:
    """Return what is wrong with an answer of the gateway, "" if nothing."""
    if oracle.shows_secret(text.encode("utf-8", "replace")):
        return "a secret in an answer"
    if status < 400:
        return ""
    if not text and status in _BY_GATEWAY:
        # What is not even HTTP has an answer without a body.
        return ""
    try:
        body = json.loads(text)
    except ValueError:
        return f"{status} with the text {text[:100]!r}"
    if not isinstance(body, dict) or set(body) != {"code", "message", "details"}:
        return f"{status} with a body of another shape: {text[:200]}"
    details = body["details"]
    if not details and status in _BY_GATEWAY:
        return ""
    reasons = [each.get("reason", "") for each in details if each.get("@type") == _REASON_TYPE]
    if not reasons and status == 429 and "larger than max" in body.get("message", ""):
        return ""
    if len(reasons) != 1:
        return f"{status} with {len(reasons)} reasons: {text[:200]}"
    documented = oracle.http_of(reasons[0])
    if documented != status:
        return f"{status} with {reasons[0]}, documented with {documented}"
    return "" if status < 500 or status == 503 else f"answered {status}: {text[:200]}"


def again(curl: str) -> str:
    """Show the command, for there is no gateway to send it to."""
    return f"start `partway-server dev --rest`, then: {curl}"
