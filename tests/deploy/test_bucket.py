"""Tests the documents of deploy/bucket: that a real store takes them, and the doctor the result."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import validate_parameters
from partway_server.devstack.servers import S3

from tests.support.bucket import look_into
from tests.support.processes import Server, service_environ

DOCUMENTS = Path(__file__).parents[2] / "deploy/bucket"
ORIGIN = "https://app.example"


def document(name: str, bucket: str = "uploads") -> dict[str, Any]:
    """Return a document, with what the README says to replace replaced."""
    text = (DOCUMENTS / f"{name}.json").read_text()
    found: dict[str, Any] = json.loads(text.replace("ORIGIN", ORIGIN).replace("BUCKET", bucket))
    return found


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.s3
def test_a_store_takes_them_and_the_doctor_has_nothing_to_say(
    s3: S3, redis_url: str, tmp_path: Path
) -> None:
    with look_into(s3, "deployed") as bucket:
        lifecycle, cors = document("lifecycle"), document("cors")
        bucket.client.put_bucket_lifecycle_configuration(
            Bucket=bucket.name, LifecycleConfiguration=lifecycle
        )
        bucket.client.put_bucket_cors(Bucket=bucket.name, CORSConfiguration=cors)
        environ = service_environ(replace(s3, bucket=bucket.name), redis_url)
        asked = ("doctor", "--json", "--cors-origin", ORIGIN)
        with Server(*asked, log=tmp_path / "log", environ=environ) as server:
            printed = json.loads(server.stdout.read())
            assert server.process.wait(60) == 0, printed
    found = {each["name"]: each for each in printed["findings"]}
    for name in ("storage.lifecycle", "storage.cors", "storage.cors.preflight"):
        assert found[name]["status"] == "ok", found[name]


@pytest.mark.parametrize(
    ("name", "operation", "field"),
    [
        ("lifecycle", "PutBucketLifecycleConfiguration", "LifecycleConfiguration"),
        ("cors", "PutBucketCors", "CORSConfiguration"),
        ("public-access", "PutPublicAccessBlock", "PublicAccessBlockConfiguration"),
    ],
)
def test_the_sdk_finds_them_well_formed(name: str, operation: str, field: str) -> None:
    model = botocore.session.get_session().get_service_model("s3")
    shape = model.operation_model(operation).input_shape
    validate_parameters({"Bucket": "uploads", field: document(name)}, shape)


def test_the_policy_refuses_plain_text_and_nothing_else() -> None:
    [statement] = document("policy")["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == ["arn:aws:s3:::uploads", "arn:aws:s3:::uploads/*"]
