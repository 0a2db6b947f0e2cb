"""Converts what the service says that it can do."""

from partway.v1 import upload_service_pb2 as service_pb

from partway_client._transport.conversion import known_checksum
from partway_client.models import Capabilities, PolicyCapabilities


def capabilities_from_proto(answer: service_pb.GetCapabilitiesResponse) -> Capabilities:
    """Convert `answer`, without the checksums that are newer than this client."""
    return Capabilities(
        version=answer.version,
        policies=tuple(map(_policy, answer.policies)),
        max_batch_uploads=answer.max_batch_uploads,
        max_batch_parts=answer.max_batch_parts,
        max_compose_sources=answer.max_compose_sources,
    )


def _policy(policy: service_pb.PolicyCapabilities) -> PolicyCapabilities:
    default = policy.default_checksum_algorithm
    checksums = map(known_checksum, policy.checksum_algorithms)
    return PolicyCapabilities(
        name=policy.name,
        min_size_bytes=policy.min_size_bytes,
        max_size_bytes=policy.max_size_bytes,
        content_types=tuple(policy.content_types),
        extensions={e.extension: tuple(e.content_types) for e in policy.extensions},
        required_metadata=tuple(policy.required_metadata),
        checksums=tuple(checksum for checksum in checksums if checksum is not None),
        default_checksum=known_checksum(default),
        min_part_size_bytes=policy.min_part_size_bytes,
        default_part_size_bytes=policy.default_part_size_bytes,
        max_part_size_bytes=policy.max_part_size_bytes,
        single_put_max_bytes=policy.single_put_max_bytes,
        upload_seconds=policy.upload_lifetime.seconds,
        max_upload_seconds=policy.max_upload_lifetime.seconds,
        url_seconds=policy.url_lifetime.seconds,
        max_url_seconds=policy.max_url_lifetime.seconds,
        via_service=policy.via_service,
    )
