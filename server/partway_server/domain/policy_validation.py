"""Find what contradicts itself in the rules of a policy, in words for operators."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from partway_server.domain.checksum import Checksum
from partway_server.domain.media_types import overlap
from partway_server.domain.object_keys import template_problems, valid_metadata_key
from partway_server.domain.part_plan import GIB, MAX_PARTS
from partway_server.domain.rule_error import Problem

if TYPE_CHECKING:
    from partway_server.domain.policy import Policy

MIN_URL_SECONDS = 120
MAX_URL_SECONDS = 7 * 24 * 3600
"""The longest lifetime of a SigV4 URL
(https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html)."""

MAX_UPLOAD_SECONDS = 365 * 24 * 3600
MAX_TAGS = 10
"""The most tags of an object
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html)."""

MAX_TAGS_BYTES = 1000
"""Tags are in the upload ID of a single PUT, which must stay short enough for a request."""

_POLICY_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_EXTENSION = re.compile(r"[^\W_A-Z][^\W_A-Z-]{0,19}")
_PRINTABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
_STORAGE_CLASS = re.compile(r"[A-Z0-9_]{1,64}")
_TAG = re.compile(r"[\w .:/=+@-]*")

_SIZES = (
    "min_size_bytes",
    "max_size_bytes",
    "part_size_bytes",
    "min_part_size_bytes",
    "max_part_size_bytes",
    "single_put_max_bytes",
)


def problems_of(policy: "Policy") -> Iterator[Problem]:
    """Yield each rule that cannot be as it is, and why."""
    yield from _name_problems(policy)
    yield from _limit_problems(policy)
    yield from _lifetime_problems(policy)
    yield from _object_problems(policy)


def _name_problems(policy: "Policy") -> Iterator[Problem]:
    if not _POLICY_NAME.fullmatch(policy.name):
        yield "name", f"{policy.name!r} is not a name for a policy: use 1 to 64 of a-z, 0-9, _, -"
    if not policy.bucket:
        yield "bucket", "is empty; name one"
    for problem in template_problems(policy.key_template, policy.key_metadata):
        yield "key_template", problem
    for rule in ("key_metadata", "required_metadata"):
        for key in getattr(policy, rule):
            if not valid_metadata_key(key):
                yield rule, f"{key!r} is not a metadata key: use 1 to 64 of a-z, 0-9, -"
    if not policy.tenants:
        yield "tenants", 'is empty, so no one may use it; ["*"] allows everyone'


def _limit_problems(policy: "Policy") -> Iterator[Problem]:
    for rule in _SIZES:
        if getattr(policy, rule) < 0:
            yield rule, "is negative"
    if policy.min_size_bytes > policy.max_size_bytes >= 0:
        yield "min_size_bytes", "is more than max_size_bytes; lower it, or raise that"
    least, most = policy.min_part_size_bytes, policy.max_part_size_bytes
    if not least <= policy.part_size_bytes <= most:
        yield (
            "part_size_bytes",
            f"{policy.part_size_bytes} is not between min_part_size_bytes, {least}, and"
            f" max_part_size_bytes, {most}",
        )
    if most < 5 * GIB and most * MAX_PARTS < policy.max_size_bytes:
        yield (
            "max_part_size_bytes",
            f"{MAX_PARTS} parts of {most} are too few for max_size_bytes, {policy.max_size_bytes};"
            " raise this, or lower that",
        )
    if not policy.content_types:
        yield "content_types", 'is empty, so no file is allowed; ["*"] allows every type'
    if Checksum.NONE in policy.checksums:
        yield "checksum", '"none" cannot be required; leave the rule out'
    if policy.checksums and policy.default_checksum not in (Checksum.NONE, *policy.checksums):
        yield "default_checksum", f"is not one of checksum, {', '.join(policy.checksums)}"
    yield from _extension_problems(policy)


def _lifetime_problems(policy: "Policy") -> Iterator[Problem]:
    if not MIN_URL_SECONDS <= policy.max_url_seconds <= MAX_URL_SECONDS:
        yield "max_url_seconds", f"is not between {MIN_URL_SECONDS} and {MAX_URL_SECONDS}"
    if not MIN_URL_SECONDS <= policy.url_seconds <= policy.max_url_seconds:
        yield (
            "url_seconds",
            f"is not between {MIN_URL_SECONDS} and max_url_seconds, {policy.max_url_seconds}",
        )
    if policy.upload_seconds < policy.url_seconds:
        yield "upload_seconds", f"is shorter than url_seconds, {policy.url_seconds}"
    if policy.upload_seconds > MAX_UPLOAD_SECONDS:
        yield "upload_seconds", f"is more than {MAX_UPLOAD_SECONDS}, a year"
    if policy.max_upload_seconds < policy.upload_seconds:
        yield "max_upload_seconds", f"is shorter than upload_seconds, {policy.upload_seconds}"
    if policy.max_upload_seconds > MAX_UPLOAD_SECONDS >= policy.upload_seconds:
        yield "max_upload_seconds", f"is more than {MAX_UPLOAD_SECONDS}, a year"


def _extension_problems(policy: "Policy") -> Iterator[Problem]:
    for extension, types in policy.extensions.items():
        if not _EXTENSION.fullmatch(extension):
            yield (
                "extensions",
                f"{extension!r} is not an extension: use small letters and digits, no dot",
            )
        elif not types:
            yield (
                "extensions",
                f"the types of {extension!r} are unknown; list them in a table:"
                f' extensions = {{ {extension} = ["application/octet-stream"] }}',
            )
        elif not any(overlap(each, p) for each in types for p in policy.content_types):
            yield (
                "extensions",
                f"{extension!r} is {' or '.join(types)}, which content_types does not allow",
            )


def _object_problems(policy: "Policy") -> Iterator[Problem]:
    if not _PRINTABLE.fullmatch(policy.content_disposition):
        yield "content_disposition", "is not a header value: use printable ASCII, at most 255"
    if policy.cache_control and not _PRINTABLE.fullmatch(policy.cache_control):
        yield "cache_control", "is not a header value: use printable ASCII, at most 255"
    if policy.storage_class and not _STORAGE_CLASS.fullmatch(policy.storage_class):
        yield "storage_class", "is not a storage class, such as STANDARD_IA"
    if policy.encryption not in ("", "AES256", "aws:kms"):
        yield "encryption", f'{policy.encryption!r} is neither "AES256" nor "aws:kms"'
    if policy.kms_key_id and policy.encryption != "aws:kms":
        yield "kms_key_id", 'needs encryption = "aws:kms"; set that, or remove this'
    if policy.kms_key_id and not _PRINTABLE.fullmatch(policy.kms_key_id):
        yield "kms_key_id", "is not the ID or ARN of a key: use printable ASCII, at most 255"
    if policy.encryption and Checksum.MD5 in policy.checksums:
        yield (
            "checksum",
            "md5 cannot be used with encryption: an ETag is not an MD5 then; use another",
        )
    if len(policy.tags) > MAX_TAGS:
        yield "tags", f"are more than {MAX_TAGS}, the most that an object can have; remove some"
    if len(urlencode(policy.tags, quote_via=quote)) > MAX_TAGS_BYTES:
        yield "tags", f"are more than {MAX_TAGS_BYTES} bytes as a header; shorten them"
    for key, value in policy.tags.items():
        if not (0 < len(key) <= 128 and len(value) <= 256):
            yield "tags", f"{key!r}: a key is 1 to 128 characters, a value at most 256"
        elif key.startswith("aws:") or not (_TAG.fullmatch(key) and _TAG.fullmatch(value)):
            yield "tags", f"{key!r}: letters, digits, spaces and . : / = + @ _ - only, not aws:"
