"""What a new upload is: its plan, checksum, key and deadline, by the policy and the backend.

Decisions only; `initialize` carries them out.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgpack

from partway_server.domain.checksum import BEST_FIRST, Checksum, ChecksumChoice
from partway_server.domain.errors import FieldViolation, InvalidRequest
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.part_plan import Plan, make_composed_plan, make_plan
from partway_server.domain.policy import Policy
from partway_server.domain.requests import UploadParams
from partway_server.domain.upload import State, Upload, epoch_at
from partway_server.storage.capabilities import Capabilities
from partway_server.workflow.deps import Deps

COMPOSITION_BYTES = 16
"""How much of the digest of a Compose its upload ID holds."""


def find_policy(policies: Mapping[str, Policy], caller: Caller, name: str) -> Policy:
    """Return the policy of that name. Raises InvalidRequest if the caller may not use one."""
    policy = policies.get(name)
    # Other tenants do not learn that a policy which is not theirs exists.
    if policy is None or not policy.admits(caller):
        raise InvalidRequest([FieldViolation("policy", "there is no such policy")])
    return policy


def derive_sid(caller: Caller, request_id: str, random_bytes: Callable[[int], bytes]) -> str:
    """Return the sid: the same for a repeated request, so that it meets the first one's record."""
    if not request_id:
        return random_bytes(16).hex()
    named = msgpack.packb((caller.tenant, caller.subject, request_id.lower()))
    return hashlib.sha256(b"partway sid\0" + named).digest()[:16].hex()


def new_upload(deps: Deps, caller: Caller, params: UploadParams) -> Upload:
    """Return the upload that `params` ask for, not stored yet. Raises InvalidRequest.

    And SourcesNotJoinable.
    """
    policy = find_policy(deps.policies, caller, params.policy)
    capabilities = deps.storage.capabilities_of(policy.backend)
    allowed = verifiable_checksums(policy, capabilities)
    plan = _check(policy, capabilities, params, allowed)
    single = _is_single(policy, capabilities, params)
    if single:
        plan = Plan(params.size_bytes, max(plan.part_size_bytes, params.size_bytes))
    if params.token:
        params.token.check_plan(plan)
    now = deps.clock.now().replace(microsecond=0)
    grant = _grant(deps, caller, policy, params, now)
    checksum = _chosen(params, policy, allowed)
    return Upload(
        replace(
            grant,
            single=single,
            plan=plan,
            checksum=checksum,
            metadata=params.metadata if single else {},
            whole_checksum=params.whole_checksum if checksum is Checksum.CRC64NVME else b"",
        ),
        # A single PUT needs nothing opened in storage.
        State.ACTIVE if single else State.INITIATING,
        epoch=epoch_at(now),
        fingerprint=params.fingerprint,
        request_digest=params.digest(),
        metadata=None if single else params.metadata,
        sources=params.sources,
        delete_sources=params.delete_sources,
    )


def is_same_request(row: Upload, upload: Upload) -> bool:
    """Return whether `upload` is what a repeat of the request that made `row` asks for.

    A record that was rebuilt has no digest: then what the ID holds of the request is compared.
    """
    if row.request_digest:
        return row.request_digest == upload.request_digest
    return _held_in_id(row.grant) == _held_in_id(upload.grant)


def is_same_composition(row: Upload, composition: bytes) -> bool:
    """Return whether the Compose with this digest made `row`, as far as the record shows."""
    if row.request_digest:
        return row.request_digest == composition
    return row.grant.composition == composition[:COMPOSITION_BYTES]


def _grant(
    deps: Deps, caller: Caller, policy: Policy, params: UploadParams, now: datetime
) -> Grant:
    """Return the grant without its cut: who, where and until when."""
    sid = derive_sid(caller, params.request_id, deps.random_bytes)
    write_token = deps.random_bytes(16).hex()
    expire_time = now + timedelta(seconds=policy.upload_seconds)
    marked = deps.key_marks.marked(
        sid,
        write_token=write_token,
        # However the policy changes, no ExtendUpload goes beyond what the key says.
        expire_time=now + timedelta(seconds=policy.max_upload_seconds),
        bucket=policy.bucket,
        key=policy.key(caller, sid, params.file_name, now, params.metadata),
    )
    return Grant(
        sid=sid,
        caller=caller,
        policy=policy.name,
        backend=policy.backend,
        bucket=policy.bucket,
        # If Redis forgets the upload, its sid may be used again. Its key may not.
        key=policy.key(caller, marked, params.file_name, now, params.metadata),
        single=False,
        plan=Plan(0, 1),
        content_type=params.content_type,
        checksum=Checksum.NONE,
        write_token=write_token,
        create_time=now,
        expire_time=expire_time,
        headers=policy.headers,
        composition=params.composition[:COMPOSITION_BYTES],
    )


def _is_single(policy: Policy, capabilities: Capabilities, params: UploadParams) -> bool:
    """Return whether the upload is one PUT.

    An empty part is not portable, so an empty file is one PUT everywhere. Otherwise a PUT that
    storage would let be replayed over the finished object, or make it public, is not handed out:
    parts are neither.
    """
    if params.sources or params.multipart:
        # Storage copies into parts only.
        return False
    most = single_put_max_bytes(policy, capabilities)
    return params.size_bytes <= min(most, params.part_size_bytes or most)


def single_put_max_bytes(policy: Policy, capabilities: Capabilities) -> int:
    """Return up to which size a file is one PUT; only an empty one if that is 0."""
    if not capabilities.safe_puts:
        return 0
    return min(policy.single_put_max_bytes, capabilities.limits.max_part_bytes)


def _check(
    policy: Policy, capabilities: Capabilities, params: UploadParams, allowed: Sequence[Checksum]
) -> Plan:
    """Return the plan. Raises InvalidRequest naming every field that the policy does not allow.

    And SourcesNotJoinable.
    """
    wrong = list(
        policy.violations(params.file_name, params.size_bytes, params.content_type, params.metadata)
    )
    if params.sources:
        return _check_composed(capabilities, params, wrong)
    if params.multipart and params.size_bytes == 0:
        wrong.append(FieldViolation("mode", "an empty file has no parts; leave it unspecified"))
    checksum = _chosen(params, policy, allowed)
    if checksum not in allowed and (checksum is not Checksum.NONE or policy.checksums):
        able = ", ".join(allowed) or "none"
        what = "the policy allows" if policy.checksums else "storage can verify"
        wrong.append(FieldViolation("checksum_algorithm", f"{what} {able}"))
    if not wrong:
        size = params.part_size_bytes or policy.part_size_bytes
        try:
            return make_plan(params.size_bytes, size, policy.part_limits(capabilities.limits))
        except ValueError as too_large:
            wrong.append(FieldViolation("size_bytes", str(too_large)))
    raise InvalidRequest(wrong)


def _check_composed(
    capabilities: Capabilities, params: UploadParams, wrong: Sequence[FieldViolation]
) -> Plan:
    # Its size is that of its sources, and no caller sends a part that could carry a checksum.
    named = {"size_bytes": "sources"}
    if wrong:
        raise InvalidRequest([replace(v, field=named.get(v.field, v.field)) for v in wrong])
    return make_composed_plan(
        [source.size_bytes for source in params.sources],
        capabilities.limits,
        part_minimum=capabilities.part_minimum,
        equal_parts=capabilities.equal_parts,
    )


def verifiable_checksums(policy: Policy, can: Capabilities) -> Sequence[Checksum]:
    """Return what a caller may choose from, best first: allowed by the policy, verified by storage.

    The entity tag of an encrypted object may not be an MD5
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html), and the probe that would show
    it is not encrypted as the policy asks: so MD5 is not offered there.
    """
    allowed = policy.checksums or BEST_FIRST
    if policy.encryption:
        allowed = tuple(each for each in allowed if each is not Checksum.MD5)
    return [each for each in BEST_FIRST if each in allowed and can.finds_changes(each)]


def _chosen(params: UploadParams, policy: Policy, allowed: Sequence[Checksum]) -> Checksum:
    if params.checksum is ChecksumChoice.DEFAULT:
        return policy.default_checksum
    if params.checksum is ChecksumChoice.BEST:
        return next(iter(allowed), Checksum.NONE)
    return params.checksum


def _held_in_id(grant: Grant) -> tuple[object, ...]:
    cut = grant.plan, grant.single, grant.composition
    return grant.policy, *cut, grant.content_type, grant.checksum
