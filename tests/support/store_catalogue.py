"""The S3 servers that the suites run over: the record of each, and the claims it does not make."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from partway_server.config.capability_file import read_record
from partway_server.devstack.servers import S3
from partway_server.doctor.behaviour_checks import REFUSALS
from partway_server.storage.capabilities import KNOWN, Capabilities

from tests.support.backends import OF_MAKE_TEST_STORES, OUTSIDE
from tests.support.measurement import Measurement
from tests.support.outside import PREFIX
from tests.support.stores import (
    BEGINNINGS,
    COPIES,
    COPY_CONDITIONS,
    COPY_OVER,
    DAMAGE,
    ENDED,
    IN_FLIGHT,
    MANY_PARTS,
    MOTO,
    RCLONE,
    REFUSALS_HEARD,
    RESENDS,
    SIGNATURES,
    SIGNED_HEADERS,
)

RECORDS = Path(__file__).parents[1] / "conformance/records"
"""What the doctor measured of each store, which `make measure-stores` writes."""


@dataclass(frozen=True, slots=True)
class KnownStore:
    """A store that the suites run over.

    `fixture` starts it, and `marks` say what that needs. `lacks`: by the claim that it does not
    make, why. `bad`: what the doctor says is bad of it. `prefix`: what
    all keys begin with. `title`: its name and version, for a reader.
    """

    fixture: str
    record: Capabilities
    lacks: Mapping[str, str] = field(default_factory=dict)
    marks: Sequence[pytest.MarkDecorator] = ()
    bad: Sequence[str] = ()
    prefix: str = ""
    title: str = ""


def _measured(name: str, **more: Any) -> Capabilities:
    """Return the record that the doctor wrote of a store, and what it does not try."""
    return replace(read_record(str(RECORDS / f"{name}.toml")), **more)


_DOCTOR = "the doctor found that it does not look at signatures"
_NOT_SIGNED = "S3Mock 3.12 looks at no signature"
_UNSIGNED = "moto looks neither at signatures nor at the headers that were signed"

STORES: Mapping[str, KnownStore] = {
    "moto": KnownStore(
        "moto",
        MOTO,
        {
            SIGNATURES: _UNSIGNED,
            SIGNED_HEADERS: _UNSIGNED,
            MANY_PARTS: "moto takes about ten seconds for a thousand",
            BEGINNINGS: "moto reports the same day in 2010 for each",
            COPY_CONDITIONS: "moto looks at none, and answers 500 where there is nothing to copy",
            COPY_OVER: "moto answers 500",
        },
    ),
    "seaweedfs": KnownStore(
        "s3",
        KNOWN["seaweedfs"],
        {RESENDS: "SeaweedFS lists both, with times in whole seconds"},
        (pytest.mark.s3,),
        title="SeaweedFS 4.48",
    ),
    "rclone": KnownStore(
        "rclone", RCLONE, {COPIES: "rclone makes an empty part of it"}, (pytest.mark.s3,)
    ),
    "localstack": KnownStore(
        "localstack",
        KNOWN["localstack"],
        marks=(pytest.mark.localstack,),
        title="LocalStack 4.13.1",
    ),
    "ceph": KnownStore(
        "ceph",
        KNOWN["ceph"],
        {COPY_CONDITIONS: "Ceph RGW 16.2.15 looks at none"},
        (pytest.mark.ceph,),
        title="Ceph RGW 16.2.15",
    ),
    "minio": KnownStore(
        "minio",
        KNOWN["minio"],
        {
            REFUSALS_HEARD: "MinIO closes without reading the body, and the reset often overtakes"
            " its answer: callers get UNAVAILABLE"
        },
        (pytest.mark.minio,),
        title="MinIO 20260212",
    ),
    "versitygw": KnownStore(
        "versitygw",
        _measured("versitygw"),
        marks=(pytest.mark.versitygw,),
        title="versitygw 1.8.0",
    ),
    "s3proxy": KnownStore(
        "s3proxy",
        # It joins parts in the order of their numbers, regardless of the request.
        _measured("s3proxy", part_order=False),
        {
            IN_FLIGHT: "S3Proxy 2.6 answers 400 then, which the service reports as UNAVAILABLE",
            MANY_PARTS: "S3Proxy 2.6 takes ten seconds to list a thousand uploads",
            ENDED: "S3Proxy 2.6 takes parts of an upload that is over, and lists none of it",
            COPY_OVER: "S3Proxy 2.6 accepts the copy",
        },
        (pytest.mark.s3proxy,),
        title="S3Proxy 2.6.0",
    ),
    "s3mock": KnownStore(
        "s3mock",
        _measured("s3mock"),
        {
            SIGNATURES: _NOT_SIGNED,
            SIGNED_HEADERS: _NOT_SIGNED,
            COPY_OVER: "S3Mock 3.12 answers 500",
            DAMAGE: "S3Mock 3.12 answers BadRequest",
        },
        (pytest.mark.s3mock,),
        title="S3Mock 3.12.0",
        bad=[f"storage.signature.{name}" for name in REFUSALS],
    ),
}

MEASURED = ("seaweedfs", *OF_MAKE_TEST_STORES)
"""The stores of which RECORDS has what was measured."""

NAMES = (*STORES, OUTSIDE)
"""All that the suites may run over."""


def marks_of(name: str) -> Sequence[pytest.MarkDecorator]:
    """Return what a store needs."""
    return (pytest.mark.outside,) if name == OUTSIDE else STORES[name].marks


def running(request: pytest.FixtureRequest, name: str) -> tuple[S3, KnownStore]:
    """Return where a store runs, starting it if needed, and what is known of it."""
    if name != OUTSIDE:
        return request.getfixturevalue(STORES[name].fixture), STORES[name]
    s3: S3 = request.getfixturevalue(OUTSIDE)
    found: Measurement = request.getfixturevalue("outside_measured")
    named = os.environ.get("PARTWAY_TEST_BACKEND")
    record = KNOWN[named] if named else found.record
    ended = found.findings["storage.ended_upload"]
    unread = found.bad().intersection(f"storage.signature.{each}" for each in REFUSALS)
    lacks = dict.fromkeys((SIGNATURES, SIGNED_HEADERS) if unread else (), _DOCTOR)
    if ended["status"] != "ok":
        lacks |= {ENDED: ended["found"], COPY_OVER: ended["found"]}
    return s3, KnownStore(OUTSIDE, record, lacks, bad=sorted(unread), prefix=PREFIX)
