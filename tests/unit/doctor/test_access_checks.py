"""Tests the checks of access to storage: every way to fail has its own message."""

from dataclasses import replace

import pytest
from partway_server.doctor import access_checks
from partway_server.doctor.finding import Finding, Status
from partway_server.doctor.probes.results import Leftovers, ProbeResponse, Reachability

LISTED = ProbeResponse(200)


def judged(
    answer: ProbeResponse, *, region: str = "", skew: float | None = 0.0, addressing: str = "path"
) -> dict[str, Finding]:
    reached = Reachability(answer, region, skew)
    return {f.name: f for f in access_checks.reach(reached, "uploads", "us-east-1", addressing)}


def statuses(found: dict[str, Finding]) -> dict[str, str]:
    return {name.partition(".")[2]: str(finding.status) for name, finding in found.items()}


def test_a_bucket_that_answers_is_good_in_all() -> None:
    assert set(statuses(judged(LISTED)).values()) == {"ok"}


@pytest.mark.parametrize(
    ("obstacle", "words"),
    [
        ("dns", "host name cannot be resolved"),
        ("connect", "the connection is refused"),
        ("timeout", "no answer came in time"),
        ("untrusted certificate", "CA that is not trusted"),
        ("other name", "another host name"),
        ("plain", "no TLS"),
        ("wants TLS", "the port speaks TLS"),
        ("tls", "TLS"),
        ("closed", "closed without an answer"),
        ("no S3", "does not speak S3"),
    ],
)
def test_what_is_in_the_way_is_told_apart_and_the_rest_is_skipped(
    obstacle: str, words: str
) -> None:
    found = judged(ProbeResponse(0, obstacle))
    reachable = found.pop(access_checks.REACHABLE)
    assert reachable.status is Status.BAD
    assert words in reachable.found
    assert "PARTWAY_S3_ENDPOINT" in reachable.remedy or "PARTWAY_S3_CA_FILE" in reachable.remedy
    assert {f.found for f in found.values()} == {"skipped: needs storage in reach"}


def test_a_host_that_is_not_known_may_be_the_fault_of_virtual_hosts() -> None:
    found = judged(ProbeResponse(0, "dns"), addressing="virtual")[access_checks.REACHABLE]
    assert "set PARTWAY_S3_ADDRESSING to path" in found.remedy


@pytest.mark.parametrize(
    ("code", "variable"),
    [
        ("InvalidAccessKeyId", "PARTWAY_S3_ACCESS_KEY"),
        ("SignatureDoesNotMatch", "PARTWAY_S3_SECRET_KEY"),
        ("InvalidToken", "PARTWAY_S3_SESSION_TOKEN"),
        ("ExpiredToken", ""),
    ],
)
def test_credentials_that_are_wrong_are_told_apart(code: str, variable: str) -> None:
    found = judged(ProbeResponse(403, code))
    assert found[access_checks.CREDENTIALS].status is Status.BAD
    assert variable in found[access_checks.CREDENTIALS].remedy
    assert found[access_checks.BUCKET].status is Status.SKIPPED
    assert not access_checks.usable(ProbeResponse(403, code))


def test_no_credentials_are_bad_and_nothing_was_asked() -> None:
    found = judged(ProbeResponse(0, "credentials"))
    assert found[access_checks.CREDENTIALS].status is Status.BAD
    assert found[access_checks.REACHABLE].status is Status.SKIPPED


def test_a_bucket_that_is_not_there_is_bad() -> None:
    found = judged(ProbeResponse(404, "NoSuchBucket"))
    assert found[access_checks.CREDENTIALS].status is Status.OK
    assert found[access_checks.BUCKET].status is Status.BAD
    assert "create-bucket --bucket uploads" in found[access_checks.BUCKET].remedy


def test_a_name_that_no_bucket_can_have_is_bad() -> None:
    assert judged(ProbeResponse(0, "bucket name"))[access_checks.BUCKET].status is Status.BAD


def test_a_bucket_that_may_not_be_listed_may_exist() -> None:
    refused = ProbeResponse(403, "AccessDenied")
    assert judged(refused)[access_checks.CREDENTIALS].status is Status.OK
    assert judged(refused)[access_checks.BUCKET].status is Status.WARN
    assert access_checks.usable(refused)


@pytest.mark.parametrize(
    "answer",
    [
        LISTED,
        ProbeResponse(400, "AuthorizationHeaderMalformed"),
        ProbeResponse(301, "PermanentRedirect"),
    ],
)
def test_the_right_region_is_named_also_where_the_sdk_found_it_by_itself(
    answer: ProbeResponse,
) -> None:
    found = judged(answer, region="eu-west-1")[access_checks.REGION]
    assert found.status is Status.BAD
    assert "PARTWAY_S3_REGION=eu-west-1" in found.remedy


def test_a_redirect_that_names_no_region_is_bad_as_well() -> None:
    found = judged(ProbeResponse(301, "PermanentRedirect"))
    assert found[access_checks.REGION].status is Status.BAD
    assert found[access_checks.BUCKET].status is Status.SKIPPED


@pytest.mark.parametrize(
    ("skew", "status"),
    [(0.4, "ok"), (-29.0, "ok"), (31.0, "warn"), (-31.0, "warn"), (301.0, "bad"), (None, "warn")],
)
def test_a_clock_may_be_half_a_minute_off(skew: float | None, status: str) -> None:
    assert judged(LISTED, skew=skew)[access_checks.CLOCK].status == status


def test_storage_that_is_down_for_a_moment_says_nothing() -> None:
    found = judged(ProbeResponse(503, "SlowDown"))
    assert found[access_checks.CREDENTIALS].status is Status.WARN
    assert found[access_checks.BUCKET].status is Status.WARN


@pytest.mark.parametrize(
    "action", [*access_checks.HARMLESS, *access_checks.WRITING, "DeleteObjectVersion"]
)
def test_an_action_that_is_refused_comes_with_its_statement(action: str) -> None:
    found = access_checks.permission(action, ProbeResponse(403, "AccessDenied"), "uploads")
    assert found.status is Status.BAD
    assert f'"Action": "s3:{action}"' in found.remedy
    on_bucket = action in ("ListBucket", "ListBucketMultipartUploads")
    assert f'"arn:aws:s3:::uploads{"" if on_bucket else "/*"}"' in found.remedy


def test_an_action_that_only_the_doctor_needs_is_a_warning() -> None:
    found = access_checks.permission("GetBucketCORS", ProbeResponse(403), "uploads")
    assert found.status is Status.WARN
    assert '"Resource": "arn:aws:s3:::uploads"' in found.remedy


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (ProbeResponse(204), "ok"),
        (ProbeResponse(404, "NoSuchUpload"), "ok"),
        (ProbeResponse(503), "warn"),
    ],
)
def test_an_answer_that_is_no_403_came_after_storage_had_allowed_it(
    answer: ProbeResponse, status: str
) -> None:
    assert access_checks.permission("AbortMultipartUpload", answer, "uploads").status == status


@pytest.mark.parametrize(
    "answer", [ProbeResponse(403), ProbeResponse(503), ProbeResponse(0, "timeout")]
)
def test_nothing_is_made_unless_it_can_surely_be_removed(answer: ProbeResponse) -> None:
    allowed = {"DeleteObject": ProbeResponse(204), "AbortMultipartUpload": ProbeResponse(404)}
    assert access_checks.lacking(allowed, list(allowed)) == ""
    assert (
        access_checks.lacking({**allowed, "DeleteObject": answer}, list(allowed))
        == "s3:DeleteObject"
    )
    assert access_checks.lacking({}, ["DeleteObject"]) == "s3:DeleteObject"


def test_what_is_left_is_bad_and_what_cannot_be_seen_a_warning() -> None:
    clean = Leftovers(0, 0)
    status = {
        left: access_checks.cleanliness(left, "partway-probe/x/", "uploads").status
        for left in (
            clean,
            replace(clean, objects=1),
            Leftovers(0, 2),
            Leftovers(None, 0),
            Leftovers(0, None),
        )
    }
    assert list(status.values()) == ["ok", "bad", "bad", "warn", "warn"]


def test_latency_is_a_warning_if_the_median_is_slow() -> None:
    quick = access_checks.latency([0.001] * 19 + [2.0], "x", "HEAD", 0.5)
    assert (quick.status, quick.found[:24]) == ("ok", "HEAD: median 1.0 ms, p99")
    assert access_checks.latency([0.6] * 20, "x", "HEAD", 0.5).status is Status.WARN
    assert access_checks.latency([], "x", "HEAD", 0.5).status is Status.SKIPPED
