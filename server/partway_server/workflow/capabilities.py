"""GetCapabilities: what each policy that a caller may use allows, together with its storage.

It says what Initialize would decide, and calls what Initialize calls to decide it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Caller
from partway_server.domain.media_types import narrower
from partway_server.domain.part_plan import PartLimits, make_plan
from partway_server.domain.policy import Policy
from partway_server.storage.capabilities import Capabilities
from partway_server.workflow.deps import Deps
from partway_server.workflow.new_upload import single_put_max_bytes, verifiable_checksums


@dataclass(frozen=True, slots=True)
class PolicyCapabilities:
    """What a policy and its storage allow. Sizes are in bytes.

    `checksums` are those that Initialize accepts, the best first; NONE, if it is among them, is the
    last. `default_checksum` is None if a caller must name one. `extensions` have the content types
    that a file of such a name may have; empty: any.
    """

    policy: Policy
    max_size_bytes: int
    min_part_size_bytes: int
    default_part_size_bytes: int
    max_part_size_bytes: int
    single_put_max_bytes: int
    checksums: Sequence[Checksum]
    default_checksum: Checksum | None
    extensions: Mapping[str, Sequence[str]]


def capabilities_of(policy: Policy, storage: Capabilities) -> PolicyCapabilities:
    """Return what the policy allows on this storage."""
    limits = policy.part_limits(storage.limits)
    checksums = list(verifiable_checksums(policy, storage))
    if not policy.checksums:
        checksums.append(Checksum.NONE)
    return PolicyCapabilities(
        policy=policy,
        max_size_bytes=min(policy.max_size_bytes, limits.max_object_bytes),
        min_part_size_bytes=_part_size(1, limits),
        default_part_size_bytes=_part_size(policy.part_size_bytes, limits),
        max_part_size_bytes=_part_size(limits.max_part_bytes, limits),
        single_put_max_bytes=single_put_max_bytes(policy, storage),
        checksums=checksums,
        default_checksum=policy.default_checksum if policy.default_checksum in checksums else None,
        extensions={name: _types(policy, types) for name, types in policy.extensions.items()},
    )


class GetCapabilities:
    """Describes policies to those who may use them."""

    def __init__(self, deps: Deps) -> None:
        self._policies = deps.policies
        self._storage = deps.storage

    def __call__(self, caller: Caller) -> Sequence[PolicyCapabilities]:
        """Return what each policy allows that admits the caller, by name.

        Raises StorageUnavailable.
        """
        return [
            capabilities_of(policy, self._storage.capabilities_of(policy.backend))
            for _, policy in sorted(self._policies.items())
            if policy.admits(caller)
        ]


def _part_size(wanted: int, limits: PartLimits) -> int:
    """Return the part size of a small file whose caller wants this one."""
    return make_plan(1, wanted, limits).part_size_bytes


def _types(policy: Policy, types: Sequence[str]) -> Sequence[str]:
    """Return the content types that both the extension and the policy allow."""
    both = (narrower(each, allowed) for each in types for allowed in policy.content_types)
    return list(dict.fromkeys(filter(None, both)))
