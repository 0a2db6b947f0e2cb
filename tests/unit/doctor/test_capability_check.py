"""Tests whether the record of a backend agrees with what was found."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from partway_server.doctor.capability_check import (
    TRIED,
    BehaviourFacts,
    ObservedCapabilities,
    agreement,
    as_found,
    doubtful,
    measured,
    observed_capabilities,
    source_of,
)
from partway_server.doctor.probes.results import (
    BucketFacts,
    ChecksumFacts,
    ConditionFacts,
    MultipartFacts,
    ProbeResponse,
    SignatureFacts,
)
from partway_server.domain.checksum import Checksum
from partway_server.storage.capabilities import KNOWN

OK, TAKEN, WRONG = ProbeResponse(200), ProbeResponse(412), ProbeResponse(400)
SIGNATURES = SignatureFacts(OK, WRONG, WRONG, WRONG, WRONG, more_headers=OK, through="own")
ALGORITHMS = [each for each in Checksum if each is not Checksum.NONE]


def as_recorded(kind: str, **changes: bool) -> ObservedCapabilities:
    """Return a store that behaves as recorded, except for `changes`."""
    record = KNOWN[kind]
    truth: dict[str, Any] = {name: getattr(record, name) for name in TRIED} | changes
    return ObservedCapabilities(truth, {each: each in record.checksums for each in ALGORITHMS})


def judged(
    kind: str, found: ObservedCapabilities, *, is_aws: bool = False
) -> dict[str, tuple[str, str]]:
    findings = agreement(kind, KNOWN, found, is_aws=is_aws)
    return {f.name: (str(f.status), f.remedy) for f in findings}


@pytest.mark.parametrize("kind", KNOWN)
def test_every_store_that_does_as_recorded_agrees(kind: str) -> None:
    found = judged(kind, as_recorded(kind), is_aws=kind == "aws")
    assert found == {"storage.record": ("ok", "")}


@pytest.mark.parametrize(
    "name", ["conditional_put", "conditional_complete", "conditional_delete", "listed_resends"]
)
def test_a_record_that_claims_more_than_there_is_is_bad(name: str) -> None:
    claimed = "aws"
    worse = name == "listed_resends"
    found = judged(claimed, as_recorded(claimed, **{name: worse}), is_aws=True)
    assert found[f"storage.record.{name}"][0] == "bad"


@pytest.mark.parametrize("name", ["lifecycle", "cors_api", "idempotent_complete", "equal_parts"])
def test_a_claim_that_no_service_relies_on_is_a_warning(name: str) -> None:
    truth = name == "equal_parts"
    found = judged("aws", as_recorded("aws", **{name: truth}), is_aws=True)
    assert found[f"storage.record.{name}"][0] == "warn"


def test_a_record_that_claims_less_is_a_warning_that_names_a_better_kind() -> None:
    found = judged("generic", as_recorded("localstack"))
    assert set(found.values()) == {("warn", "PARTWAY_BACKEND=localstack fits what was found.")}


def test_what_any_url_may_add_is_bad_where_the_record_denies_it() -> None:
    found = judged("generic", as_recorded("ceph"))
    remedy = "PARTWAY_BACKEND=ceph fits what was found."
    assert found["storage.record.unsigned_headers"] == ("bad", remedy)


def test_a_record_that_fits_in_part_is_not_named() -> None:
    """Check versitygw 1.8: the record of B2 claims nothing false, and leaves most unused."""
    found = as_recorded("aws", lifecycle=False)
    assert {remedy for _, remedy in judged("generic", found).values()} == {
        "Nothing breaks; `partway-server doctor --write-record FILE` uses it."
    }


def test_a_checksum_that_is_claimed_and_not_verified_is_bad() -> None:
    found = as_recorded("seaweedfs")
    lies = replace(found, checksums={**found.checksums, Checksum.SHA256: False})
    assert judged("seaweedfs", lies)["storage.record.checksums.sha256"][0] == "bad"


def test_nobody_is_told_to_call_another_store_aws() -> None:
    assert "aws" not in str(judged("generic", as_recorded("aws")))
    assert "PARTWAY_BACKEND=aws" in str(judged("generic", as_recorded("aws"), is_aws=True))


def test_what_could_not_be_told_is_no_disagreement() -> None:
    nothing = ObservedCapabilities(dict.fromkeys(TRIED), dict.fromkeys(ALGORITHMS))
    assert judged("aws", nothing, is_aws=True) == {"storage.record": ("ok", "")}


def test_facts_become_the_words_of_the_record() -> None:
    facts = BehaviourFacts(
        ConditionFacts((OK, TAKEN), (OK, OK), ProbeResponse(204), survived=False),
        {
            Checksum.CRC32C: ChecksumFacts(OK, WRONG, listed=True),
            Checksum.SHA256: ChecksumFacts(OK, OK),
            Checksum.MD5: ChecksumFacts(OK, WRONG),
        },
        MultipartFacts(
            unequal=WRONG,
            equal=OK,
            small=WRONG,
            again=ProbeResponse(404),
            resent=["a", "b"],
            listed_by_key=True,
            listed_by_prefix=False,
            whole=ChecksumFacts(OK, WRONG, listed=True),
        ),
        SIGNATURES,
    )
    bucket = BucketFacts(ProbeResponse(501), ProbeResponse(404, "NoSuchLifecycleConfiguration"), OK)
    found = observed_capabilities(facts, bucket)
    assert found.checksums == {Checksum.CRC32C: True, Checksum.SHA256: False, Checksum.MD5: True}
    assert set(found.fields) == set(TRIED)
    assert {name for name, true in found.fields.items() if true} == {
        "conditional_put",
        "equal_parts",
        "exact_key_listing_only",
        "lifecycle",
        "listed_checksums",
        "listed_resends",
        "unsigned_headers",
        "whole_checksum",
    }


@pytest.mark.parametrize(
    ("as_signed", "more_headers", "taken"),
    [
        (OK, OK, True),
        (OK, WRONG, False),
        (WRONG, WRONG, None),
        (OK, ProbeResponse(503), None),
    ],
)
def test_a_header_that_was_not_signed_counts_only_where_a_put_does(
    as_signed: ProbeResponse, more_headers: ProbeResponse, taken: bool | None
) -> None:
    facts = replace(SIGNATURES, as_signed=as_signed, more_headers=more_headers)
    assert facts.takes_unsigned_headers is taken


def test_a_call_that_is_refused_says_nothing_about_the_store() -> None:
    found = observed_capabilities(
        BehaviourFacts(), BucketFacts(ProbeResponse(403), ProbeResponse(503), OK)
    )
    assert set(found.fields.values()) == {None}


def test_what_was_measured_of_a_store_as_recorded_is_certain() -> None:
    assert doubtful([as_recorded("ceph"), as_recorded("ceph")]) == ()


def test_what_one_bucket_leaves_open_is_doubtful_and_counts_as_absent() -> None:
    certain = as_recorded("seaweedfs")
    fields = {**certain.fields, "conditional_put": None, "lifecycle": None}
    open_field = replace(
        certain, fields=fields, checksums={**certain.checksums, Checksum.MD5: None}
    )
    found = [certain, open_field]
    assert doubtful(found) == ("conditional_put", "checksums.md5")
    record = measured(found)
    assert record["conditional_put"] is False
    assert record["checksums"] == KNOWN["seaweedfs"].checksums - {Checksum.MD5}


def test_a_store_without_checksums_has_none_to_list() -> None:
    found = as_recorded("b2")
    none = dict.fromkeys(found.checksums, False)
    without = replace(found, fields={**found.fields, "listed_checksums": None}, checksums=none)
    assert doubtful([without]) == ()
    assert doubtful([replace(without, checksums={})]) == ("listed_checksums",)


def test_what_was_never_tried_is_doubtful() -> None:
    assert "conditional_delete" in doubtful([ObservedCapabilities({}, {})])


def test_a_measurement_says_when_and_of_what() -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    named = replace(as_recorded("minio"), server="MinIO")
    assert source_of([named], day) == "measured on 2026-03-01 of a store that calls itself MinIO"
    assert source_of([as_recorded("minio")], day) == "measured on 2026-03-01"


def test_the_doctor_says_what_a_start_would_use() -> None:
    finding = as_found(as_recorded("r2"))
    assert (finding.name, str(finding.status)) == ("storage.record", "ok")
    assert finding.found == (
        "a start uses it as found: storage honours If-None-Match on a PUT; honours"
        " If-None-Match on Complete; verifies crc64nvme, md5; requires parts of one size"
    )
