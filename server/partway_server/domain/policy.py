"""Policies: what an operator allows, as named rules that requests are validated against."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from urllib.parse import quote, urlencode

from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import FieldViolation
from partway_server.domain.grant import Caller
from partway_server.domain.media_types import matches
from partway_server.domain.object_keys import (
    METADATA,
    NO_EXTENSION,
    extension_of,
    fields_of,
    filled,
    prefix_of,
    safe_name,
)
from partway_server.domain.part_plan import GIB, MAX_PARTS, MIB, PartLimits
from partway_server.domain.policy_validation import problems_of
from partway_server.domain.requests import ComposeDelete
from partway_server.domain.rule_error import RuleError

DISPOSITION = "attachment"
"""So that no browser renders an uploaded file on the storage's own origin."""

_TENANT = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Policy:
    """One named set of rules. Raises RuleError if the rules contradict each other.

    `extensions` are those that a file name may have, each with the content types that agree with
    it; empty: any. `checksums` are the allowed algorithms; empty: all of them, or no checksum.
    `default_checksum` is for callers who name none. An empty string is a rule that is not set, and
    a `max_upload_seconds` of 0 stands for `upload_seconds`: no upload is extended.
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
    max_upload_seconds: int = 0
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
        if self.max_upload_seconds == 0:
            object.__setattr__(self, "max_upload_seconds", self.upload_seconds)
        if found := tuple(problems_of(self)):
            raise RuleError(f"policy {self.name!r}", found)

    def admits(self, caller: Caller) -> bool:
        """Return whether the caller's tenant may use the policy."""
        return any(fnmatchcase(caller.tenant, pattern) for pattern in self.tenants)

    def allows_type(self, content_type: str) -> bool:
        """Return whether a media type, without its parameters, matches one of `content_types`."""
        return matches(content_type, self.content_types)

    @property
    def needed_metadata(self) -> Sequence[str]:
        """Return the metadata keys that must have a value.

        A key may not depend on missing metadata, even if the policy does not require it.
        """
        named = {f"{METADATA}{key}": key for key in self.key_metadata}
        used = {named[each] for each in fields_of(self.key_template) & set(named)}
        return sorted({*self.required_metadata, *used})

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
        for key in self.needed_metadata:
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


def valid_tenant(tenant: str) -> bool:
    """Return whether a tenant can be in a key: 1 to 64 of `A-Z a-z 0-9 . _ -`, no leading dot."""
    return _TENANT.fullmatch(tenant) is not None
