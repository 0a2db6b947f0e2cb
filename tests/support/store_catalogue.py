"""The S3 servers that the suites run over: the record of each, and the claims it does not make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from partway_server.config.capability_file import read_record
from partway_server.storage.capabilities import KNOWN, Capabilities

from tests.support.stores import (
    BEGINNINGS,
    COPIES,
    COPY_CONDITIONS,
    MANY_PARTS,
    MOTO,
    RCLONE,
    RESENDS,
    SIGNATURES,
    SIGNED_HEADERS,
)

RECORDS = Path(__file__).parents[1] / "conformance/records"
"""What the doctor measured of each store, which `make measure-stores` writes."""


@dataclass(frozen=True, slots=True)
class TestedStore:
    """A store that the suites run over.

    `fixture` starts it, and `marks` say what that needs. `lacks`: by the claim that it does not
    make, why.
    """

    fixture: str
    record: Capabilities
    lacks: Mapping[str, str] = field(default_factory=dict)
    marks: Sequence[pytest.MarkDecorator] = ()


def _measured(name: str, **more: Any) -> Capabilities:
    """Return the record that the doctor wrote of a store, and what it does not try."""
    return replace(read_record(str(RECORDS / f"{name}.toml")), **more)


_UNSIGNED = "moto looks neither at signatures nor at the headers that were signed"

STORES: Mapping[str, TestedStore] = {
    "moto": TestedStore(
        "moto",
        MOTO,
        {
            SIGNATURES: _UNSIGNED,
            SIGNED_HEADERS: _UNSIGNED,
            MANY_PARTS: "moto takes about ten seconds for a thousand",
            BEGINNINGS: "moto reports the same day in 2010 for each",
            COPY_CONDITIONS: "moto looks at none, and answers 500 where there is nothing to copy",
        },
    ),
    "seaweedfs": TestedStore(
        "s3",
        KNOWN["seaweedfs"],
        {RESENDS: "SeaweedFS lists both, with times in whole seconds"},
        (pytest.mark.s3,),
    ),
    "rclone": TestedStore(
        "rclone", RCLONE, {COPIES: "rclone makes an empty part of it"}, (pytest.mark.s3,)
    ),
    "localstack": TestedStore("localstack", KNOWN["localstack"], marks=(pytest.mark.localstack,)),
    "ceph": TestedStore(
        "ceph",
        KNOWN["ceph"],
        {COPY_CONDITIONS: "Ceph RGW 16.2.15 looks at none"},
        (pytest.mark.ceph,),
    ),
    "minio": TestedStore("minio", KNOWN["minio"], marks=(pytest.mark.minio,)),
    "versitygw": TestedStore("versitygw", _measured("versitygw"), marks=(pytest.mark.versitygw,)),
    "s3proxy": TestedStore("s3proxy", _measured("s3proxy"), marks=(pytest.mark.s3proxy,)),
    "s3mock": TestedStore("s3mock", _measured("s3mock"), marks=(pytest.mark.s3mock,)),
}
