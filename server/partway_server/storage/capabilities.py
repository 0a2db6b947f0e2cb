"""The capabilities of each kind of backend, as data. Rules that depend on a backend read it here.

That metadata is returned is checked at startup instead: without it no outcome could be verified.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import GIB, MIB, PartLimits

KEPT = frozenset({"storage_class", "encryption", "tags"})
"""The rules of a policy that need support from storage."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capability record of a backend. The defaults apply to nearly every S3-compatible store.

    `source` is the origin of the record. `conditional_put` and `conditional_complete`:
    If-None-Match is honoured on PutObject and on CompleteMultipartUpload. `conditional_delete`:
    If-Match is honoured on DeleteObject. `checksums`: verified on each PUT. `listed_checksums`:
    returned by ListParts. `whole_checksum`: the CRC64NVME of the whole object is verified by
    CompleteMultipartUpload and returned by HeadObject. `md5_etags`: the ETag of a part, and of a
    single PUT, is its MD5, except with some kinds of encryption; so it is never trusted without a
    probe. `listed_resends`: ListParts returns every transmission of a part, not only the last.
    `exact_key_listing_only`: ListMultipartUploads answers only for a whole key. `keeps`: those of
    KEPT that an object gets when it is created, by PUT or by CreateMultipartUpload.
    `unsigned_headers`: a PUT of an object by URL may have x-amz-* headers that were not signed,
    including an ACL that makes it public. `equal_parts`: all parts except the last must have the
    same size, which every plan of parts that are sent fulfils. `part_minimum`: Complete refuses a
    part below 5 MiB before the last. `multipart_seconds`: the store itself ends a multipart upload
    so long after it began; 0: it does not, unless a lifecycle rule says so.

    The rest is documentation, and the service does not use it. `idempotent_complete`: a repeated
    Complete succeeds, unless its own object now fails the condition. `lifecycle` and `cors_api`:
    S3's calls for AbortIncompleteMultipartUpload and for CORS rules work. `metadata`: an object's
    is kept as long as the object. `part_resends`: a part may be sent again with other bytes.
    `part_order`, `part_gaps` and `part_numbers`: Complete refuses parts that are not ordered by
    number, and accepts gaps between numbers; a part above number 10,000 is refused.
    `refusals_spare`: an upload survives the refusal of a part or of a Complete.
    """

    source: str
    limits: PartLimits = field(default_factory=PartLimits)
    multipart_seconds: int = 0
    equal_parts: bool = False
    conditional_put: bool = False
    conditional_complete: bool = False
    conditional_delete: bool = False
    idempotent_complete: bool = False
    exact_key_listing_only: bool = False
    checksums: frozenset[Checksum] = frozenset()
    listed_checksums: bool = False
    whole_checksum: bool = False
    md5_etags: bool = False
    listed_resends: bool = False
    keeps: frozenset[str] = frozenset()
    unsigned_headers: bool = False
    lifecycle: bool = False
    cors_api: bool = False
    metadata: bool = True
    part_resends: bool = True
    part_minimum: bool = True
    part_order: bool = True
    part_gaps: bool = True
    part_numbers: bool = True
    refusals_spare: bool = True

    @property
    def safe_puts(self) -> bool:
        """Return whether a URL for one PUT can create the signed object, once, and no other."""
        return self.conditional_put and not self.unsigned_headers

    def finds_changes(self, algorithm: Checksum) -> bool:
        """Return whether a byte changed in transit is refused, or detected at Complete."""
        return algorithm in self.checksums or (algorithm is Checksum.MD5 and self.md5_etags)


_MD5 = frozenset({Checksum.MD5})
"""Content-MD5, which S3 has verified from the beginning
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html)."""

_ALL_CHECKSUMS = frozenset({Checksum.CRC32C, Checksum.SHA256, Checksum.CRC64NVME}) | _MD5

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
        whole_checksum=True,
        md5_etags=True,
        lifecycle=True,
        cors_api=True,
        keeps=KEPT,
    ),
    "r2": Capabilities(
        source="https://developers.cloudflare.com/r2/platform/limits/,"
        " https://developers.cloudflare.com/r2/objects/multipart-objects/,"
        " https://developers.cloudflare.com/r2/api/s3/conditional-operations/ and"
        " https://developers.cloudflare.com/r2/api/s3/api/",
        limits=PartLimits(
            max_part_bytes=5 * GIB - 5 * MIB, max_object_bytes=5 * 1024 * GIB - 5 * GIB
        ),
        # Each bucket has a rule to that effect from the start
        # (https://developers.cloudflare.com/r2/buckets/object-lifecycles/).
        multipart_seconds=7 * 24 * 3600,
        equal_parts=True,
        conditional_put=True,
        conditional_complete=True,
        # The others are composite there, and no page says that ListParts returns them, or that
        # Complete accepts the checksum of the whole.
        checksums=frozenset({Checksum.CRC64NVME}) | _MD5,
        lifecycle=True,
        cors_api=True,
        # Its page of API calls: the class on PutObject and CreateMultipartUpload, but no tags.
        keeps=frozenset({"storage_class"}),
    ),
    "storj": Capabilities(
        source="https://storj.dev/dcs/api/s3/s3-compatibility",
        limits=_FIVE_TIB,
        checksums=_MD5,
    ),
    "seaweedfs": Capabilities(
        source="measured on SeaweedFS 4.48",
        limits=_FIVE_TIB,
        conditional_put=True,
        conditional_complete=True,
        conditional_delete=True,
        idempotent_complete=True,
        checksums=_ALL_CHECKSUMS,
        whole_checksum=True,
        md5_etags=True,
        listed_resends=True,
        lifecycle=True,
        cors_api=True,
        # Encryption fails with 500 unless it was set up with keys.
        keeps=frozenset({"storage_class", "tags"}),
    ),
    "minio": Capabilities(
        source="measured on MinIO of 2026-02-12;"
        " Complete is not idempotent: https://github.com/minio/minio/issues/13318",
        limits=_FIVE_TIB,
        # stale_uploads_expiry is 24h unless configured otherwise (internal/config/api/api.go).
        multipart_seconds=24 * 3600,
        conditional_put=True,
        conditional_complete=True,
        exact_key_listing_only=True,
        checksums=_ALL_CHECKSUMS,
        listed_checksums=True,
        whole_checksum=True,
        lifecycle=True,
        cors_api=True,
    ),
    "ceph": Capabilities(
        source="measured on Ceph RGW 16.2.15",
        limits=_FIVE_TIB,
        checksums=_MD5,
        conditional_put=True,
        idempotent_complete=True,
        lifecycle=True,
        cors_api=True,
        unsigned_headers=True,
        # It joins parts in the order of their numbers, regardless of the request.
        part_order=False,
        part_numbers=False,
    ),
    "localstack": Capabilities(
        source="measured on LocalStack 4.13.1",
        conditional_put=True,
        conditional_complete=True,
        # DeleteObject with If-Match is NotImplemented.
        conditional_delete=False,
        checksums=_ALL_CHECKSUMS,
        listed_checksums=True,
        whole_checksum=True,
        lifecycle=True,
        cors_api=True,
    ),
    "gcs": Capabilities(
        # With HMAC keys; its lifecycle and CORS calls are not S3's.
        source="https://cloud.google.com/storage/docs/multipart-uploads and"
        " https://cloud.google.com/storage/docs/xml-api/put-object-multipart",
        limits=_FIVE_TIB,
        checksums=_MD5,
    ),
    "b2": Capabilities(
        source="https://www.backblaze.com/apidocs/introduction-to-the-s3-compatible-api; that it"
        " takes no conditions is assumed",
        limits=_FIVE_TIB,
        checksums=_MD5,
        cors_api=True,
    ),
    "wasabi": Capabilities(
        source="https://docs.wasabi.com/apidocs/wasabi-api, which promises nothing beyond this",
        limits=_FIVE_TIB,
        checksums=_MD5,
    ),
    "spaces": Capabilities(
        source="https://docs.digitalocean.com/products/spaces/reference/s3-compatibility/",
        limits=_FIVE_TIB,
        checksums=_MD5,
        lifecycle=True,
        cors_api=True,
    ),
    "generic": Capabilities(
        source="assumed: the least that S3-compatible stores have in common",
        limits=_FIVE_TIB,
        checksums=_MD5,
        md5_etags=True,
    ),
}
"""Capability records by the kind of backend that an operator configures."""
