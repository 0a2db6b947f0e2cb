"""The policy file: TOML, with tables `[policy.NAME]`, `[backend.NAME]` and `[tenant.NAME]`.

Reading it reports every problem at once, each with its line, and needs nothing but the file.
"""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from partway_server.config.backends import (
    DEFAULT,
    MULTIPART_MARGIN_SECONDS,
    Backend,
    with_measured,
)
from partway_server.config.schema import UNSET, OneOrMore, Size, Table, Texts
from partway_server.config.tenant_limits import read_limits
from partway_server.config.toml_file import FileProblem, TomlFile, TomlFileError
from partway_server.domain.checksum import Checksum
from partway_server.domain.media_types import known_types
from partway_server.domain.policy import Policy
from partway_server.domain.requests import ComposeDelete
from partway_server.domain.rule_error import Problem
from partway_server.storage.capabilities import KEPT, Capabilities

__all__ = ["FileProblem", "PolicyFileError", "Rules", "read_rules"]

logger = logging.getLogger(__name__)

_BACKEND_NAME = re.compile(r"[a-z0-9_-]{1,64}")


def _checksums(names: tuple[str, ...]) -> tuple[Checksum, ...]:
    known = [each.value for each in Checksum if each is not Checksum.NONE]
    for each in names:
        if each not in known:
            raise ValueError(f"{each!r} is unknown; known are {', '.join(known)}")
    if not names:
        raise ValueError("is empty, which allows none; leave the rule out to allow all")
    return tuple(map(Checksum, names))


def _default_checksum(name: str) -> Checksum:
    if name not in list(Checksum):
        raise ValueError(f"{name!r} is unknown; known are {', '.join(Checksum)}")
    return Checksum(name)


def _lifetime(seconds: int) -> int:
    # To `Policy`, 0 is a rule that is not set.
    if seconds == 0:
        raise ValueError("is 0; leave the rule out, or allow some time")
    return seconds


def _typed(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if not all(isinstance(name, str) for name in value):
        raise ValueError('has an item that is not a string; write it as ["jpg"]')
    return {name: known_types(name) for name in value}


class PolicyTable(Table):
    """The rules of a `[policy.NAME]` and how each is written. `Policy` has the defaults."""

    backend: str = UNSET
    bucket: str = UNSET
    key_template: str = UNSET
    key_metadata: Texts = UNSET
    min_size_bytes: Size = UNSET
    max_size_bytes: Size = UNSET
    part_size_bytes: Size = UNSET
    min_part_size_bytes: Size = UNSET
    max_part_size_bytes: Size = UNSET
    single_put_max_bytes: Size = UNSET
    content_types: Texts = UNSET
    # A list of extensions whose types Python knows, or a table with the types of each.
    extensions: Annotated[dict[str, OneOrMore], BeforeValidator(_typed)] = UNSET
    required_metadata: Texts = UNSET
    checksum: Annotated[OneOrMore, AfterValidator(_checksums)] = UNSET
    default_checksum: Annotated[str, AfterValidator(_default_checksum)] = UNSET
    upload_seconds: int = UNSET
    max_upload_seconds: Annotated[int, AfterValidator(_lifetime)] = UNSET
    url_seconds: int = UNSET
    max_url_seconds: int = UNSET
    content_disposition: str = UNSET
    cache_control: str = UNSET
    storage_class: str = UNSET
    encryption: str = UNSET
    kms_key_id: str = UNSET
    tags: dict[str, str] = UNSET
    tenants: Texts = UNSET
    via_service: bool = UNSET
    compose_delete: ComposeDelete = UNSET


class BackendTable(Table):
    """The rules of a `[backend.NAME]`. `Backend` has the defaults."""

    kind: str = UNSET
    endpoint: str = UNSET
    public_endpoint: str = UNSET
    region: str = UNSET
    addressing: str = UNSET
    ca_file: str = UNSET
    record: str = UNSET
    multipart_seconds: int = UNSET
    access_key_env: str = UNSET
    access_key_file: str = UNSET
    secret_key_env: str = UNSET
    secret_key_file: str = UNSET
    session_token_env: str = UNSET
    session_token_file: str = UNSET
    signer_access_key_env: str = UNSET
    signer_access_key_file: str = UNSET
    signer_secret_key_env: str = UNSET
    signer_secret_key_file: str = UNSET
    signer_session_token_env: str = UNSET
    signer_session_token_file: str = UNSET


RULES, OF_BACKEND = PolicyTable.model_fields, BackendTable.model_fields
"""The rules of a policy and of a backend, by their names in a file."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The policies, backends and limits in force, by name. The backend `default` is always there.

    `limits` are those of tenants, by their names or patterns of names.
    """

    policies: Mapping[str, Policy]
    backends: Mapping[str, Backend]
    limits: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


class PolicyFileError(TomlFileError):
    """A policy file cannot be used."""


def read_rules(
    file: str,
    content: bytes,
    *,
    bucket: str,
    default: Backend,
    measured: Mapping[str, Capabilities] = MappingProxyType({}),
) -> Rules:
    """Return the rules in the `content` of `file`. Raises PolicyFileError.

    `bucket` is that of each policy of the `default` backend that names none. `measured` are the
    capability records of backends of the kind `auto`; while one is missing, it is not checked
    whether storage can follow the policies.
    """
    toml = TomlFile(file, content, PolicyFileError)
    toml.refuse_others("policy", "backend", "tenant")
    limits = read_limits(toml)
    backends = {DEFAULT: default}
    # A backend with a problem is named here too, so that its policies get none because of it.
    described = {DEFAULT}
    for name, rules in toml.named("backend"):
        described.add(name)
        if (backend := _backend(toml, name, rules)) is not None:
            backends[name] = with_measured(backend, measured)
    policies: dict[str, Policy] = {}
    for name, rules in toml.named("policy"):
        own = rules.get("backend", DEFAULT) == DEFAULT
        policy = _policy(toml, name, {"bucket": bucket, **rules} if own else rules)
        if policy is None:
            continue
        policies[name] = policy
        if policy.backend not in described:
            words = f"no [backend.{policy.backend}]; known are {', '.join(sorted(backends))}"
            toml.add(("policy", name, "backend"), words)
        elif (used := backends.get(policy.backend)) is not None:
            policies[name] = policy = capped(policy, used.capabilities, rules.keys())
            problems = () if used.is_unmeasured else unfit(policy, used.capabilities)
            for rule, words in problems:
                storage = f"the backend {used.name!r} ({used.known_as})"
                toml.add(("policy", name, rule), f"{storage} {words}")
    toml.raise_problems()
    if not policies:
        toml.add((), "has no policy; begin one with [policy.default]")
    toml.raise_problems()
    return Rules(policies, backends, limits)


def _backend(toml: TomlFile, name: str, rules: Mapping[str, Any]) -> Backend | None:
    path = ("backend", name)
    if name == DEFAULT:
        toml.add(path, "is the backend of the PARTWAY_S3_ settings; choose another name")
        return None
    if not _BACKEND_NAME.fullmatch(name):
        toml.add(path, "is not a name for a backend: use 1 to 64 of a-z, 0-9, _, -")
    found, bad = toml.values(path, rules, BackendTable)
    return toml.built(path, lambda: Backend(name=name, **found), bad)


def _policy(toml: TomlFile, name: str, rules: Mapping[str, Any]) -> Policy | None:
    path = ("policy", name)
    found, bad = toml.values(path, rules, PolicyTable)
    if "bucket" not in found and "bucket" not in bad:
        bad.add("bucket")
        words = "is missing; PARTWAY_BUCKET is for the backend default only, so name one here"
        toml.add((*path, "bucket"), words)
    found.setdefault("bucket", "?")
    if "checksum" in found:
        found["checksums"] = found.pop("checksum")
    return toml.built(path, lambda: Policy(name=name, **found), bad)


def most_upload_seconds(can: Capabilities) -> int | None:
    """Return how long uploads may take until storage itself ends them; None: as long as they do."""
    return can.multipart_seconds - MULTIPART_MARGIN_SECONDS if can.multipart_seconds else None


def capped(policy: Policy, can: Capabilities, named: Collection[str] = ()) -> Policy:
    """Return the policy with lifetimes that storage keeps to, where they are not `named` rules."""
    most = most_upload_seconds(can)
    if most is None:
        return policy
    upload, longest = policy.upload_seconds, policy.max_upload_seconds
    if "upload_seconds" not in named:
        upload = min(upload, most)
    if "max_upload_seconds" not in named:
        longest = max(upload, min(longest, most))
    if (upload, longest) == (policy.upload_seconds, policy.max_upload_seconds):
        return policy
    logger.warning(
        "policy %r: uploads end after %d s, since storage ends multipart uploads after %d s",
        policy.name,
        upload,
        can.multipart_seconds,
    )
    return replace(policy, upload_seconds=upload, max_upload_seconds=longest)


def unfit(policy: Policy, can: Capabilities) -> Iterator[Problem]:
    """Yield the rules that storage cannot follow, in words that come after the storage's name."""
    for rule in sorted(KEPT - can.keeps):
        if getattr(policy, rule):
            yield rule, "is not known to keep it; remove the rule, or use another backend"
    if policy.checksums and not any(can.finds_changes(each) for each in policy.checksums):
        yield "checksum", "can verify none of these; allow another"
    if policy.default_checksum is not Checksum.NONE and not can.finds_changes(
        policy.default_checksum
    ):
        yield "default_checksum", "cannot verify it; name another"
    most = most_upload_seconds(can)
    for rule in ("upload_seconds", "max_upload_seconds"):
        follows = rule == "max_upload_seconds" and policy.upload_seconds == getattr(policy, rule)
        if most is not None and getattr(policy, rule) > most and not follows:
            found = f"ends a multipart upload {can.multipart_seconds} s after it began"
            yield rule, f"{found}; allow at most {most}, or set multipart_seconds of the backend"
    if policy.max_part_size_bytes < can.limits.min_part_bytes:
        yield "max_part_size_bytes", f"takes no part below {can.limits.min_part_bytes}; raise it"
    if policy.min_part_size_bytes > can.limits.max_part_bytes:
        yield "min_part_size_bytes", f"takes no part above {can.limits.max_part_bytes}; lower it"
