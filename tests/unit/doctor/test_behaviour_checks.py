"""Tests the checks of how storage handles requests."""

from dataclasses import replace
from typing import Any

import pytest
from partway_server.doctor import behaviour_checks
from partway_server.doctor.finding import Finding
from partway_server.doctor.probes.results import (
    BrowserFacts,
    ChecksumFacts,
    ConditionFacts,
    MultipartFacts,
    ProbeResponse,
    SignatureFacts,
)

OK, REFUSED, TAKEN, DOWN = (
    ProbeResponse(200),
    ProbeResponse(403, "AccessDenied"),
    ProbeResponse(412),
    ProbeResponse(503),
)
UNKNOWN = ProbeResponse(501, "NotImplemented")

REFUSALS = SignatureFacts(OK, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED, through="own")
CONDITIONS = ConditionFacts((OK, TAKEN), (OK, TAKEN), TAKEN, survived=True)
MULTIPART = MultipartFacts(
    unequal=OK,
    small=ProbeResponse(400, "EntityTooSmall"),
    again=OK,
    token_kept=True,
    single_token_kept=True,
    resent=["two"],
    resending=ProbeResponse(200, headers={"etag": '"two"'}),
    listed_by_key=True,
    listed_by_prefix=True,
    ended=ProbeResponse(404, "NoSuchUpload"),
    whole=ChecksumFacts(OK, ProbeResponse(400, "BadDigest"), listed=True),
)
PREFLIGHT = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "PUT",
    "access-control-allow-headers": "Content-Type",
}
BROWSER = BrowserFacts(
    "https://app.example",
    ["content-type"],
    ProbeResponse(200, headers=PREFLIGHT),
    ProbeResponse(200, headers={"access-control-expose-headers": "ETag"}),
)


def by_name(*found: Finding) -> dict[str, str]:
    return {finding.name.partition(".")[2]: str(finding.status) for finding in found}


def test_storage_that_refuses_what_was_not_signed_is_good() -> None:
    assert set(by_name(*behaviour_checks.refusals(REFUSALS)).values()) == {"ok"}


@pytest.mark.parametrize("name", behaviour_checks.REFUSALS)
def test_storage_that_takes_what_was_not_signed_is_bad_and_says_what_that_means(name: str) -> None:
    taken: dict[str, Any] = {name: OK}
    findings = {f.name: f for f in behaviour_checks.refusals(replace(REFUSALS, **taken))}
    found = findings.pop(f"storage.signature.{name}")
    assert found.status == "bad"
    assert "so that" in found.found
    assert {f.status for f in findings.values()} == {"ok"}


def test_where_nothing_is_taken_a_refusal_proves_nothing() -> None:
    found = by_name(*behaviour_checks.refusals(replace(REFUSALS, as_signed=REFUSED)))
    assert found.pop("signature.as_signed") == "bad"
    assert set(found.values()) == {"warn"}


def test_a_refusal_that_did_not_come_is_not_taken_for_one() -> None:
    found = by_name(*behaviour_checks.refusals(replace(REFUSALS, expired=DOWN)))
    assert found["signature.expired"] == "warn"


@pytest.mark.parametrize(
    ("pair", "honoured"),
    [
        ((OK, TAKEN), True),
        ((OK, ProbeResponse(409)), True),
        ((OK, OK), False),
        ((UNKNOWN, UNKNOWN), False),
        ((OK, UNKNOWN), False),
        ((DOWN, TAKEN), None),
        ((OK, DOWN), None),
    ],
)
def test_if_none_match_is_honoured_only_if_both_ways_are_right(
    pair: tuple[ProbeResponse, ProbeResponse], honoured: bool | None
) -> None:
    facts = replace(CONDITIONS, put=pair, complete=pair)
    assert (facts.put_honoured, facts.complete_honoured) == (honoured, honoured)
    found = by_name(*behaviour_checks.conditions(facts))
    assert found["conditional_put"] == ("ok" if honoured else "warn")
    assert found["conditional_complete"] == ("ok" if honoured else "warn")


@pytest.mark.parametrize(
    ("answer", "survived", "honoured"),
    [
        (TAKEN, True, True),
        (ProbeResponse(204), False, False),
        (ProbeResponse(204), True, False),
        (UNKNOWN, True, False),
        (DOWN, True, None),
        (TAKEN, None, None),
    ],
)
def test_if_match_on_a_delete_is_honoured_if_the_object_lives_and_storage_says_why(
    answer: ProbeResponse, survived: bool | None, honoured: bool | None
) -> None:
    facts = replace(CONDITIONS, delete=answer, survived=survived)
    assert facts.delete_honoured is honoured
    found = by_name(*behaviour_checks.conditions(facts))
    assert found["conditional_delete"] == ("ok" if honoured else "warn")


@pytest.mark.parametrize(
    ("right", "wrong", "verified"),
    [
        (OK, ProbeResponse(400, "BadDigest"), True),
        (OK, OK, False),
        (UNKNOWN, UNKNOWN, False),
        (OK, DOWN, None),
        (DOWN, REFUSED, None),
    ],
)
def test_a_checksum_is_verified_if_the_right_one_is_taken_and_the_wrong_one_is_not(
    right: ProbeResponse, wrong: ProbeResponse, verified: bool | None
) -> None:
    facts = ChecksumFacts(right, wrong)
    assert facts.verified is verified
    [found] = behaviour_checks.checksums({"md5": facts})
    assert found.status == ("ok" if verified else "warn")


def test_a_whole_life_of_a_multipart_upload_is_good() -> None:
    found = by_name(*behaviour_checks.multipart(MULTIPART))
    assert set(found.values()) == {"ok"}
    assert {f"storage.{name}" for name in found} == set(behaviour_checks.MULTIPART)


@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({"unequal": REFUSED, "equal": REFUSED}, "multipart", "bad"),
        ({"unequal": DOWN}, "multipart", "warn"),
        ({"unequal": REFUSED, "equal": OK}, "multipart", "ok"),
        ({"unequal": REFUSED, "equal": OK}, "equal_parts", "ok"),
        ({"unequal": REFUSED, "equal": REFUSED}, "equal_parts", "warn"),
        ({"small": OK}, "small_parts", "ok"),
        ({"small": DOWN}, "small_parts", "warn"),
        ({"token_kept": False}, "metadata.multipart", "bad"),
        ({"token_kept": None}, "metadata.multipart", "warn"),
        ({"single_token_kept": False}, "metadata.put", "bad"),
        ({"again": ProbeResponse(404, "NoSuchUpload")}, "idempotent_complete", "ok"),
        ({"again": None}, "idempotent_complete", "warn"),
        ({"resent": ["one", "two"]}, "resent_part", "ok"),
        ({"resent": ["one"]}, "resent_part", "bad"),
        ({"resent": []}, "resent_part", "warn"),
        ({"resending": UNKNOWN}, "resent_part", "bad"),
        ({"resending": DOWN}, "resent_part", "warn"),
        ({"resending": None}, "resent_part", "warn"),
        ({"ended": OK}, "ended_upload", "warn"),
        ({"ended": DOWN}, "ended_upload", "warn"),
        ({"ended": None}, "ended_upload", "warn"),
        ({"whole": ChecksumFacts(OK, OK)}, "whole_checksum", "ok"),
        ({"whole": ChecksumFacts(OK, REFUSED)}, "whole_checksum", "ok"),
        ({"whole": ChecksumFacts(OK, DOWN)}, "whole_checksum", "warn"),
        ({"whole": None}, "whole_checksum", "warn"),
        ({"listed_by_prefix": False}, "multipart_listing", "ok"),
        ({"listed_by_key": False}, "multipart_listing", "warn"),
        ({"listed_by_key": None}, "multipart_listing", "warn"),
    ],
)
def test_what_is_otherwise_is_judged_by_what_it_costs(
    changes: dict[str, object], name: str, status: str
) -> None:
    facts = replace(MULTIPART, **changes)  # type: ignore[arg-type]
    assert by_name(*behaviour_checks.multipart(facts))[name] == status


@pytest.mark.parametrize(
    ("answer", "plain", "status", "words"),
    [
        (OK, False, "ok", ""),
        (OK, True, "warn", "https://"),
        (ProbeResponse(403, "SignatureDoesNotMatch"), False, "bad", "Host header"),
        (ProbeResponse(0, "connect"), False, "bad", "PARTWAY_S3_PUBLIC_ENDPOINT"),
    ],
)
def test_the_public_endpoint_must_take_a_presigned_put(
    answer: ProbeResponse, plain: bool, status: str, words: str
) -> None:
    found = behaviour_checks.public(answer, is_own=False, plain=plain)
    assert found.status == status
    assert words in found.remedy


def test_a_browser_that_is_told_all_it_needs_is_good() -> None:
    assert behaviour_checks.preflight(BROWSER).status == "ok"


@pytest.mark.parametrize(
    "printed",
    [
        {"access-control-allow-origin": "https://other.example"},
        {"access-control-allow-methods": "GET"},
        {"access-control-allow-headers": "x-other"},
    ],
)
def test_a_browser_that_is_told_otherwise_would_not_send(printed: dict[str, str]) -> None:
    answer = ProbeResponse(200, headers={**PREFLIGHT, **printed})
    assert behaviour_checks.preflight(replace(BROWSER, preflight=answer)).status == "warn"


def test_a_browser_that_cannot_read_etag_is_a_warning() -> None:
    assert behaviour_checks.preflight(replace(BROWSER, put=OK)).status == "warn"
    assert behaviour_checks.preflight(replace(BROWSER, preflight=REFUSED)).status == "warn"
