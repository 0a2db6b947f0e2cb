"""What each backend can do, as data. A rule of ours that hangs on a backend reads it here.

That metadata comes back is asked of the bucket at the start instead: no outcome could be proven
without.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from partway_server.plan import GIB, MIB, PartLimits
from partway_server.uploads import Checksum


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One backend. The defaults are what nearly every S3-compatible store does.

    `source` says where the record comes from. `conditional_put` and `conditional_complete`:
    If-None-Match is honoured on PutObject and on CompleteMultipartUpload. `conditional_delete`:
    If-Match is honoured on DeleteObject. `checksums`: verified on each part. `listed_checksums`:
    ListParts tells them. `listed_resends`: ListParts tells every sending of a part, not only the
    last. `exact_key_listing_only`: ListMultipartUploads answers only for a whole key.

    The rest is for the record, and no service reads it. `equal_parts`: all parts but the last must
    have one size, as every plan has it. `idempotent_complete`: a repeated Complete succeeds, unless
    its own object now fails the condition. `lifecycle` and `cors_api`: S3's own calls for
    AbortIncompleteMultipartUpload and for CORS rules work.
    """

    source: str
    limits: PartLimits = field(default_factory=PartLimits)
    equal_parts: bool = False
    conditional_put: bool = False
    conditional_complete: bool = False
    conditional_delete: bool = False
    idempotent_complete: bool = False
    exact_key_listing_only: bool = False
    checksums: frozenset[Checksum] = frozenset()
    listed_checksums: bool = False
    listed_resends: bool = False
    lifecycle: bool = False
    cors_api: bool = False


_ALL_CHECKSUMS = frozenset({Checksum.CRC32C, Checksum.SHA256, Checksum.CRC64NVME})

_FIVE_TIB = PartLimits(max_object_bytes=5 * 1024 * GIB)

KNOWN: Mapping[str, Capabilities] = {
    "aws": Capabilities(
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html and, on the"
        " same site, the API pages of the calls",
        conditional_put=True,
        conditional_complete=True,
        conditional_delete=True,
        idempotent_complete=True,
        checksums=_ALL_CHECKSUMS,
        listed_checksums=True,
        lifecycle=True,
        cors_api=True,
    ),
    "r2": Capabilities(
        source="https://developers.cloudflare.com/r2/platform/limits/,"
        " https://developers.cloudflare.com/r2/objects/multipart-objects/,"
        " https://developers.cloudflare.com/r2/api/s3/conditional-operations/ and"
        " https://developers.cloudflare.com/r2/api/s3/api/",
        limits=PartLimits(
            max_part_bytes=5 * GIB - 5 * MIB, max_object_bytes=5 * 1024 * GIB - 5 * GIB
        ),
        equal_parts=True,
        conditional_put=True,
        conditional_complete=True,
        # The others are composite there, and no page says that ListParts tells them.
        checksums=frozenset({Checksum.CRC64NVME}),
        lifecycle=True,
        cors_api=True,
    ),
    "storj": Capabilities(
        source="https://storj.dev/dcs/api/s3/s3-compatibility",
        limits=_FIVE_TIB,
    ),
    "seaweedfs": Capabilities(
        source="measured on SeaweedFS 4.48",
        limits=_FIVE_TIB,
        conditional_put=True,
        conditional_complete=True,
        conditional_delete=True,
        idempotent_complete=True,
        checksums=_ALL_CHECKSUMS,
        listed_resends=True,
        lifecycle=True,
        cors_api=True,
    ),
    "minio": Capabilities(
        source="https://docs.min.io/enterprise/aistor-object-store/developers/s3-api-compatibility;"
        " Complete is not idempotent: https://github.com/minio/minio/issues/13318;"
        " checksums: https://github.com/minio/minio/pull/20343",
        limits=_FIVE_TIB,
        conditional_put=True,
        exact_key_listing_only=True,
        checksums=frozenset({Checksum.SHA256}),
    ),
    "ceph": Capabilities(
        source="measured on Ceph RGW 16.2.15",
        limits=_FIVE_TIB,
        conditional_put=True,
        idempotent_complete=True,
        lifecycle=True,
        cors_api=True,
    ),
    "gcs": Capabilities(
        # With HMAC keys; its lifecycle and CORS calls are not S3's.
        source="https://cloud.google.com/storage/docs/multipart-uploads",
        limits=_FIVE_TIB,
    ),
    "b2": Capabilities(
        source="https://www.backblaze.com/apidocs/introduction-to-the-s3-compatible-api; that it"
        " takes no conditions is assumed",
        limits=_FIVE_TIB,
        cors_api=True,
    ),
    "wasabi": Capabilities(
        source="https://docs.wasabi.com/apidocs/wasabi-api, which promises nothing beyond this",
        limits=_FIVE_TIB,
    ),
    "spaces": Capabilities(
        source="https://docs.digitalocean.com/products/spaces/reference/s3-compatibility/",
        limits=_FIVE_TIB,
        lifecycle=True,
        cors_api=True,
    ),
    "generic": Capabilities(
        source="assumed: the least that S3-compatible stores have in common",
        limits=_FIVE_TIB,
    ),
}
"""By the name that an operator gives as the kind of a backend."""
