"""Convert what policies allow to the messages of the proto."""

from collections.abc import Sequence
from importlib.metadata import version

from partway.v1 import upload_pb2
from partway.v1 import upload_service_pb2 as pb

from partway_server.rpc.batch_validation import MAX_BATCH_UPLOADS
from partway_server.rpc.conversion import CHECKSUMS
from partway_server.rpc.validation import MAX_BATCH_PARTS, MAX_SOURCES
from partway_server.workflow.capabilities import PolicyCapabilities

_VERSION = version("partway-server")


def capabilities(policies: Sequence[PolicyCapabilities]) -> pb.GetCapabilitiesResponse:
    """Return what the service can do, and what these policies allow."""
    return pb.GetCapabilitiesResponse(
        version=_VERSION,
        policies=map(_policy, policies),
        max_batch_uploads=MAX_BATCH_UPLOADS,
        max_batch_parts=MAX_BATCH_PARTS,
        max_compose_sources=MAX_SOURCES,
    )


def _policy(allowed: PolicyCapabilities) -> pb.PolicyCapabilities:
    policy, default = allowed.policy, allowed.default_checksum
    unnamed = upload_pb2.CHECKSUM_ALGORITHM_UNSPECIFIED
    message = pb.PolicyCapabilities(
        name=policy.name,
        min_size_bytes=policy.min_size_bytes,
        max_size_bytes=allowed.max_size_bytes,
        content_types=policy.content_types,
        extensions=[
            pb.AllowedExtension(extension=extension, content_types=types)
            for extension, types in allowed.extensions.items()
        ],
        required_metadata=policy.needed_metadata,
        checksum_algorithms=[CHECKSUMS[each] for each in allowed.checksums],
        default_checksum_algorithm=unnamed if default is None else CHECKSUMS[default],
        min_part_size_bytes=allowed.min_part_size_bytes,
        default_part_size_bytes=allowed.default_part_size_bytes,
        max_part_size_bytes=allowed.max_part_size_bytes,
        single_put_max_bytes=allowed.single_put_max_bytes,
        via_service=policy.via_service,
    )
    message.upload_lifetime.FromSeconds(policy.upload_seconds)
    message.max_upload_lifetime.FromSeconds(policy.max_upload_seconds)
    message.url_lifetime.FromSeconds(policy.url_seconds)
    message.max_url_lifetime.FromSeconds(policy.max_url_seconds)
    return message
