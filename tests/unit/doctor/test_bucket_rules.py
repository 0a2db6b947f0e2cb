"""Tests the checks of a bucket's CORS and lifecycle rules, and the rules they recommend."""

import json
from datetime import timedelta
from typing import Any

import pytest
from partway_server.doctor import bucket_rules
from partway_server.doctor.probes.results import BucketFacts, ProbeResponse

HERE = '"$PARTWAY_S3_ENDPOINT"'
LIFE = timedelta(days=6)
NOT_KEPT = ProbeResponse(200)
PUT: dict[str, Any] = {
    "AllowedOrigins": ["https://*.example"],
    "AllowedMethods": ["PUT"],
    "AllowedHeaders": ["*"],
    "ExposeHeaders": ["etag"],
}
GET: dict[str, Any] = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
OTHER: dict[str, Any] = {"ID": "old", "Status": "Enabled", "Expiration": {"Days": 3}}


def facts(
    cors: Any = None, lifecycle: Any = None, versioning: ProbeResponse = NOT_KEPT
) -> BucketFacts:
    return BucketFacts(
        cors=cors
        if isinstance(cors, ProbeResponse)
        else ProbeResponse(200, reply={"CORSRules": cors or []}),
        lifecycle=lifecycle
        if isinstance(lifecycle, ProbeResponse)
        else ProbeResponse(200, reply={"Rules": lifecycle or []}),
        versioning=versioning,
    )


def ending(days: int, prefix: str = "", status: str = "Enabled") -> dict[str, Any]:
    return {
        "ID": f"end-{prefix}",
        "Status": status,
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }


@pytest.mark.parametrize(
    ("found", "origin", "problem"),
    [
        ([PUT], "*", ""),
        ([PUT], "https://app.example", ""),
        ([GET, PUT], "https://app.example", ""),
        ([], "*", "no rule allows PUT"),
        ([GET], "*", "no rule allows PUT"),
        ([PUT], "https://app.other", "no rule allows PUT from https://app.other"),
        ([{**PUT, "ExposeHeaders": []}], "*", "ETag is not exposed"),
        ([{**PUT, "ExposeHeaders": []}, PUT], "*", "ETag is not exposed"),
        ([{**PUT, "AllowedHeaders": []}], "*", "the header content-disposition is not allowed"),
        ([{**PUT, "AllowedHeaders": [*bucket_rules.BROWSER_HEADERS]}], "*", ""),
    ],
)
def test_a_page_can_upload_if_the_first_rule_that_matches_lets_it(
    found: list[dict[str, Any]], origin: str, problem: str
) -> None:
    assert bucket_rules.cors_problem(found, origin) == problem


def test_the_headers_that_policies_add_must_be_allowed_too() -> None:
    found = [{**PUT, "AllowedHeaders": [*bucket_rules.BROWSER_HEADERS]}]
    problem = bucket_rules.cors_problem(found, "*", ["x-amz-tagging"])
    assert problem == "the header x-amz-tagging is not allowed"
    assert (
        bucket_rules.cors_problem(bucket_rules.with_cors(found, "*"), "*", ["x-amz-tagging"]) == ""
    )


@pytest.mark.parametrize("origin", ["*", "https://app.other"])
@pytest.mark.parametrize("found", [[], [GET], [{**PUT, "ExposeHeaders": ["x-other"]}], [PUT]])
def test_what_is_set_is_good_and_leaves_the_other_rules(
    found: list[dict[str, Any]], origin: str
) -> None:
    merged = bucket_rules.with_cors(found, origin)
    assert bucket_rules.cors_problem(merged, origin) == ""
    assert all(rule in merged for rule in found)
    # A second time changes nothing.
    assert bucket_rules.with_cors(merged, origin) == merged


def test_what_a_rule_exposed_stays_exposed() -> None:
    [ours, _] = bucket_rules.with_cors([{**PUT, "ExposeHeaders": ["x-other"]}], "*")
    assert ours["ExposeHeaders"] == ["ETag", "x-other"]


def test_a_bucket_without_cors_comes_with_the_command_that_sets_it() -> None:
    found = bucket_rules.cors(facts(), "uploads", "https://app.example", endpoint=HERE)
    assert found.status == "warn"
    _, command = found.remedy.splitlines()
    assert command.startswith("aws s3api put-bucket-cors --bucket uploads --endpoint-url ")
    configuration = json.loads(command.partition("--cors-configuration '")[2][:-1])
    assert bucket_rules.cors_problem(configuration["CORSRules"], "https://app.example") == ""


@pytest.mark.parametrize(
    ("endpoint", "own", "word"),
    [
        ("", True, ""),
        ("http://s3:9000", True, ' --endpoint-url "$PARTWAY_S3_ENDPOINT"'),
        ("", False, ""),
        ("http://archive:9000", False, " --endpoint-url http://archive:9000"),
    ],
)
def test_a_command_is_for_the_storage_that_was_looked_at(
    endpoint: str, own: bool, word: str
) -> None:
    printed = bucket_rules.endpoint_word(endpoint, own=own)
    for found in (
        bucket_rules.cors(facts(), "films", "*", endpoint=printed),
        bucket_rules.lifecycle(facts(), "films", LIFE, endpoint=printed),
    ):
        assert f" --bucket films{word} --c" in found.remedy or f"films{word} --l" in found.remedy


def test_any_origin_is_said_to_be_any() -> None:
    sentence = "any web site may use a URL it is given"
    assert sentence in bucket_rules.cors(facts(), "uploads", "*", endpoint="").remedy
    everyone = [{**PUT, "AllowedOrigins": ["*"]}]
    assert sentence in bucket_rules.cors(facts(everyone), "uploads", "*", endpoint="").found
    assert sentence not in bucket_rules.cors(facts([PUT]), "uploads", "*", endpoint="").found


@pytest.mark.parametrize(
    ("answer", "status"),
    [(ProbeResponse(403), "skipped"), (ProbeResponse(501), "warn"), (ProbeResponse(404), "warn")],
)
def test_rules_that_cannot_be_read_are_no_rules_that_are_missing(
    answer: ProbeResponse, status: str
) -> None:
    found = facts(answer, answer, answer)
    assert bucket_rules.cors(found, "uploads", "*", endpoint=HERE).status == status
    assert bucket_rules.lifecycle(found, "uploads", LIFE, endpoint=HERE).status == status
    expected = "ok" if status == "warn" else "skipped"
    assert bucket_rules.versioning(found).status == expected


def test_the_answer_that_there_are_no_rules_is_an_empty_list() -> None:
    found = facts(
        ProbeResponse(404, "NoSuchCORSConfiguration"),
        ProbeResponse(404, "NoSuchLifecycleConfiguration"),
    )
    assert (found.cors_rules, found.lifecycle_rules) == ([], [])


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([], "warn"),
        ([OTHER], "warn"),
        ([ending(7)], "ok"),
        ([ending(30)], "ok"),
        ([ending(6)], "warn"),
        ([ending(5)], "bad"),
        ([ending(30), ending(5)], "bad"),
        ([ending(5, status="Disabled")], "warn"),
        ([ending(7, prefix="tmp/")], "warn"),
        ([ending(7), ending(1, prefix="tmp/")], "warn"),
        ([{**ending(7), "Filter": {}}], "ok"),
        ([{**OTHER, "Prefix": "", **{k: v for k, v in ending(7).items() if k != "Filter"}}], "ok"),
    ],
)
def test_incomplete_uploads_must_end_and_not_before_an_upload_does(
    found: list[dict[str, Any]], status: str
) -> None:
    assert (
        bucket_rules.lifecycle(facts(None, found), "uploads", LIFE, endpoint=HERE).status == status
    )


@pytest.mark.parametrize(
    "found", [[], [OTHER], [ending(5)], [ending(30), ending(5)], [ending(7, prefix="tmp/")]]
)
def test_the_lifecycle_that_is_set_is_good_and_keeps_what_else_was_there(
    found: list[dict[str, Any]],
) -> None:
    merged = bucket_rules.with_lifecycle(found, bucket_rules.enough_days(LIFE))
    assert (
        bucket_rules.lifecycle(facts(None, merged), "uploads", LIFE, endpoint=HERE).status == "ok"
    )
    assert {rule["ID"] for rule in found} <= {rule["ID"] for rule in merged}
    assert bucket_rules.with_lifecycle(merged, bucket_rules.enough_days(LIFE)) == merged


def test_the_old_spelling_of_rules_is_kept() -> None:
    [_, ours] = bucket_rules.with_lifecycle([{**OTHER, "Prefix": "logs/"}], 7)
    assert "Filter" not in ours and ours["Prefix"] == ""


def test_days_are_rounded_up_and_one_more() -> None:
    assert bucket_rules.enough_days(timedelta(days=6)) == 7
    assert bucket_rules.enough_days(timedelta(hours=1)) == 2


@pytest.mark.parametrize(
    ("answer", "status"),
    [(ProbeResponse(200), "ok"), (ProbeResponse(403), "bad"), (ProbeResponse(501), "bad")],
)
def test_what_was_to_be_set_and_was_not_is_bad(answer: ProbeResponse, status: str) -> None:
    found = bucket_rules.fixed("cors", "PutBucketCORS", answer, "uploads")
    assert found.status == status
    assert ("s3:PutBucketCORS" in found.remedy) == (answer.status == 403)


def test_versions_are_noted() -> None:
    kept = facts(versioning=ProbeResponse(200, reply={"Status": "Enabled"}))
    assert kept.versions == "Enabled"
    assert bucket_rules.versioning(kept).found.startswith("kept")
    assert bucket_rules.versioning(facts()).found == "not kept"


def test_a_page_is_tried_from_an_origin_that_a_rule_names() -> None:
    named = {**PUT, "AllowedOrigins": ["https://app.example"]}
    assert bucket_rules.page_origin([named], "*") == "https://app.example"
    assert bucket_rules.page_origin([PUT], "https://x.example") == "https://x.example"
    assert bucket_rules.page_origin([], "*") == bucket_rules.SAMPLE_ORIGIN


def test_a_store_that_ends_uploads_by_itself_needs_no_rule() -> None:
    own = timedelta(hours=24)
    short, long = timedelta(hours=23), timedelta(days=6)
    found = bucket_rules.lifecycle(facts(None, []), "uploads", short, endpoint=HERE, own=own)
    assert found.status == "ok"
    assert "24 hours" in found.found
    found = bucket_rules.lifecycle(facts(None, []), "uploads", long, endpoint=HERE, own=own)
    assert found.status == "bad"
    assert "upload_seconds" in found.remedy
