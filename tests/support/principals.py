"""A real store with the identities of deploy/iam: the principals, and some with a right less."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from partway_server.devstack.servers import S3, start_seaweedfs

IAM = Path(__file__).parents[2] / "deploy/iam"
CONTROL, SIGNER = "partway-control", "partway-signer"
AWS = "-aws"
"""At the end of the name of an identity: its rights are those of the policy for AWS."""


@dataclass(frozen=True, slots=True)
class Principals:
    """A store that knows the principals; `root` may do everything, and made the bucket."""

    root: S3
    secret_of: Callable[[str], str]

    def seen_by(self, identity: str) -> S3:
        """Return the store with the keys of an identity."""
        return replace(self.root, access_key=identity, secret_key=self.secret_of(identity))


def policy(name: str, bucket: str) -> dict[str, Any]:
    """Return the policy of deploy/iam/s3.json of that name, for the bucket."""
    shipped = json.loads((IAM / "s3.json").read_text().replace("BUCKET", bucket))
    [content] = [each["content"] for each in shipped["policies"] if each["name"] == name]
    found: dict[str, Any] = json.loads(content)
    return found


def aws_policy(name: str, bucket: str) -> dict[str, Any]:
    """Return the policy for AWS of that name, such as `signer`, for the bucket.

    It has no conditions: SeaweedFS does not know that of the signer, s3:authType.
    """
    found = json.loads((IAM / f"{name}.json").read_text().replace("BUCKET", bucket))
    statements = [{k: v for k, v in s.items() if k != "Condition"} for s in found["Statement"]]
    return {**found, "Statement": statements}


def control_actions(bucket: str) -> dict[str, list[str]]:
    """Return the actions of each statement of the control principal, by its Sid."""
    return {each["Sid"]: each["Action"] for each in policy(CONTROL, bucket)["Statement"]}


def without(sid: str, action: str) -> str:
    """Return the name of the identity that has all rights of the control principal but one."""
    return f"{CONTROL}-without-{sid}-{action.removeprefix('s3:')}"


@contextlib.contextmanager
def a_store_with_principals(
    folder: Path,
    bucket: str,
    secret_of: Callable[[str], str] = "secret of {}".format,
    added: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Principals]:
    """Run SeaweedFS with the two principals, and for each right one who lacks it.

    `added` are policies of further identities, by name.
    """
    policies = {name: policy(name, bucket) for name in (CONTROL, SIGNER)}
    policies[CONTROL + AWS] = aws_policy("control", bucket)
    policies[SIGNER + AWS] = aws_policy("signer", bucket)
    for sid, actions in control_actions(bucket).items():
        for action in actions:
            policies[without(sid, action)] = lacking(policies[CONTROL], sid, action)
    policies.update({name: dict(policy) for name, policy in (added or {}).items()})
    others = {
        "identities": [_identity(name, secret_of(name)) for name in policies],
        "policies": [{"name": n, "content": json.dumps(p)} for n, p in policies.items()],
    }
    child, root = start_seaweedfs(folder, keep=False, bucket=bucket, others=others)
    with child:
        yield Principals(root, secret_of)


def _identity(name: str, secret: str) -> dict[str, Any]:
    keys = {"accessKey": name, "secretKey": secret}
    return {"name": name, "credentials": [keys], "policyNames": [name]}


def lacking(whole: Mapping[str, Any], sid: str, action: str) -> dict[str, Any]:
    """Return the policy without one right."""
    statements = [
        {**each, "Action": [a for a in each["Action"] if a != action]}
        if each["Sid"] == sid
        else each
        for each in whole["Statement"]
    ]
    return {**whole, "Statement": [each for each in statements if each["Action"]]}
