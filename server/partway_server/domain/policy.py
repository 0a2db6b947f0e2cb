"""Policies: what an operator allows, as named rules that requests are validated against."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from urllib.parse import quote, urlencode

from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import FieldViolation
from partway_server.domain.grant import Caller
from partway_server.domain.media_types import matches, overlap
from partway_server.domain.object_keys import (
    METADATA,
    NO_EXTENSION,
    extension_of,
    fields_of,
    filled,
    prefix_of,
    safe_name,
    template_problems,
    valid_metadata_key,
)
from partway_server.domain.part_plan import GIB, MAX_PARTS, MIB, PartLimits
from partway_server.domain.requests import ComposeDelete
from partway_server.domain.rule_error import Problem, RuleError

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

DISPOSITION = "attachment"
"""So that no browser renders an uploaded file on the storage's own origin."""

_POLICY_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_TENANT = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
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


@dataclass(frozen=True, slots=True)
class Policy:
    """One named set of rules. Raises RuleError if the rules contradict each other.

    `extensions` are those that a file name may have, each with the content types that agree with
    it; empty: any. `checksums` are the allowed algorithms; empty: all of them, or no checksum.
    `default_checksum` is for callers who name none. An empty string is a rule that is not set.
    """

    name: str
    bucket: str
    backend: str = "default"
    key_template: str = "{tenant}/{date}/{sid}/{name}"
    key_metadata: tuple[str, ...] = ()
    min_size_bytes: int = 0
    max_size_bytes: int = 5 * 1024 * GIB
    part_size_bytes: int = 16 * MIB
    min_part_size_bytes: int = 0
    max_part_size_bytes: int = 5 * GIB
    single_put_max_bytes: int = 16 * MIB
    content_types: tuple[str, ...] = ("*",)
    extensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    required_metadata: tuple[str, ...] = ()
    checksums: tuple[Checksum, ...] = ()
    default_checksum: Checksum = Checksum.NONE
    upload_seconds: int = 6 * 24 * 3600
    url_seconds: int = 900
    max_url_seconds: int = 3600
    content_disposition: str = DISPOSITION
    cache_control: str = ""
    storage_class: str = ""
    encryption: str = ""
    kms_key_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    tenants: tuple[str, ...] = ("*",)
    via_service: bool = False
    compose_delete: ComposeDelete = "own"

    def __post_init__(self) -> None:
        if found := (*_name_problems(self), *_limit_problems(self), *_object_problems(self)):
            raise RuleError(f"policy {self.name!r}", found)

    def admits(self, caller: Caller) -> bool:
        """Return whether the caller's tenant may use the policy."""
        return any(fnmatchcase(caller.tenant, pattern) for pattern in self.tenants)

    def allows_type(self, content_type: str) -> bool:
        """Return whether a media type, without its parameters, matches one of `content_types`."""
        return matches(content_type, self.content_types)

    def part_limits(self, storage: PartLimits) -> PartLimits:
        """Return what `storage` accepts within the policy's bounds."""
        most = min(storage.max_part_bytes, self.max_part_size_bytes)
        return PartLimits(
            min_part_bytes=max(storage.min_part_bytes, self.min_part_size_bytes),
            max_part_bytes=most,
            max_object_bytes=min(storage.max_object_bytes, most * MAX_PARTS),
        )

    def violations(
        self, file_name: str, size_bytes: int, content_type: str, metadata: Mapping[str, str]
    ) -> Iterator[FieldViolation]:
        """Yield what the policy does not allow in a request, by field."""
        if size_bytes > self.max_size_bytes:
            yield FieldViolation("size_bytes", f"the policy allows {self.max_size_bytes} bytes")
        if size_bytes < self.min_size_bytes:
            yield FieldViolation(
                "size_bytes", f"the policy requires at least {self.min_size_bytes} bytes"
            )
        if not self.allows_type(content_type):
            yield FieldViolation(
                "content_type", f"the policy allows {', '.join(self.content_types)}"
            )
        if self.extensions:
            yield from self._extension_violations(extension_of(file_name), content_type)
        # A key may not depend on missing metadata, even if the policy does not require it.
        named = {f"{METADATA}{key}": key for key in self.key_metadata}
        used = {named[each] for each in fields_of(self.key_template) & set(named)}
        for key in sorted({*self.required_metadata, *used}):
            if not metadata.get(key):
                yield FieldViolation("metadata", f"the policy requires a value of {key!r}")

    def _extension_violations(self, extension: str, content_type: str) -> Iterator[FieldViolation]:
        if extension not in self.extensions:
            allowed = ", ".join(self.extensions)
            yield FieldViolation("file_name", f"the policy allows the extensions {allowed}")
        elif not matches(content_type, self.extensions[extension]):
            meant = " or ".join(self.extensions[extension])
            yield FieldViolation("content_type", f"a file named .{extension} is {meant}")

    @property
    def key_prefix(self) -> str:
        """Return what all keys begin with: the template up to its first field."""
        return prefix_of(self.key_template)

    def key(
        self,
        caller: Caller,
        sid: str,
        file_name: str,
        now: datetime,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Return the object's key. No text from the caller can leave its own segment of it.

        `metadata` has every key that the template names; see `violations`.
        """
        values = {
            "tenant": caller.tenant,
            "subject": safe_name(caller.subject),
            "date": now.strftime("%Y/%m/%d"),
            "sid": sid,
            "name": safe_name(file_name),
            "extension": extension_of(file_name) or NO_EXTENSION,
        }
        for key in self.key_metadata:
            values[METADATA + key] = safe_name((metadata or {}).get(key, ""))
        return filled(self.key_template, values)

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the S3 headers of each object, except those that are the default."""
        found = {
            "cache-control": self.cache_control,
            "content-disposition": self.content_disposition,
            "x-amz-storage-class": self.storage_class,
            "x-amz-server-side-encryption": self.encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": self.kms_key_id,
            "x-amz-tagging": urlencode(self.tags, quote_via=quote),
        }
        if self.content_disposition == DISPOSITION:
            del found["content-disposition"]
        return {name: value for name, value in found.items() if value}


def _name_problems(policy: Policy) -> Iterator[Problem]:
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


def _limit_problems(policy: Policy) -> Iterator[Problem]:
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
    if not policy.content_types:
        yield "content_types", 'is empty, so no file is allowed; ["*"] allows every type'
    if Checksum.NONE in policy.checksums:
        yield "checksum", '"none" cannot be required; leave the rule out'
    if policy.checksums and policy.default_checksum not in (Checksum.NONE, *policy.checksums):
        yield "default_checksum", f"is not one of checksum, {', '.join(policy.checksums)}"
    yield from _extension_problems(policy)


def _extension_problems(policy: Policy) -> Iterator[Problem]:
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


def _object_problems(policy: Policy) -> Iterator[Problem]:
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


def valid_tenant(tenant: str) -> bool:
    """Return whether a tenant can be in a key: 1 to 64 of `A-Z a-z 0-9 . _ -`, no leading dot."""
    return _TENANT.fullmatch(tenant) is not None
