"""What was found out about a store by trying: facts, without judgement. No I/O.

The probes produce them, and the checks of the doctor judge them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from partway_server.domain.checksum import Checksum


@dataclass(frozen=True, slots=True)
class ProbeResponse:
    """What storage answered to one request: the HTTP status and S3's code, "" without one.

    Status 0 means that no answer of S3 came, and `code` says why, in a word of
    `storage/obstacles.py`. `headers` have lower-case names; `reply` is the parsed body, or the S3
    error.
    """

    status: int
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    reply: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Return whether storage certainly did not do it.

        A 501 means that it does not support a call or header. What may be transient, a 429 or
        another status from 500, proves nothing.
        """
        return (400 <= self.status < 500 and self.status != 429) or self.status == 501

    @property
    def forbidden(self) -> bool:
        return self.status == 403

    def __str__(self) -> str:
        if not self.status:
            return f"no answer ({self.code})"
        return f"{self.status} {self.code}".strip()


@dataclass(frozen=True, slots=True)
class Reachability:
    """The first signed call. `bucket_region` is "" where storage does not report it.

    `skew_seconds`: how far the clock of storage is ahead of ours, None if it does not report its
    time.
    """

    answer: ProbeResponse
    bucket_region: str
    skew_seconds: float | None


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """What storage answers to one PUT as signed, and to five that are not.

    `more_headers` has a header of storage that was not signed; some take that.
    `through` names the endpoint they were sent to: public, or own.
    """

    as_signed: ProbeResponse
    wrong_signature: ProbeResponse
    expired: ProbeResponse
    other_length: ProbeResponse
    other_key: ProbeResponse
    more_headers: ProbeResponse
    through: str

    @property
    def takes_unsigned_headers(self) -> bool | None:
        """Return whether a header of storage counts unsigned; None if the answers do not show."""
        if not self.as_signed.ok or not (self.more_headers.ok or self.more_headers.refused):
            return None
        return self.more_headers.ok


@dataclass(frozen=True, slots=True)
class ConditionFacts:
    """Requests with a condition. Each pair: where the condition holds, and where it does not.

    `survived`: whether the object outlived a delete with another ETag, None if unknown.
    """

    put: tuple[ProbeResponse, ProbeResponse]
    complete: tuple[ProbeResponse, ProbeResponse]
    delete: ProbeResponse
    survived: bool | None

    @property
    def put_honoured(self) -> bool | None:
        """Return whether If-None-Match on a PUT is honoured; None if the answers do not show it."""
        return _honoured(*self.put)

    @property
    def complete_honoured(self) -> bool | None:
        """Return the same for Complete."""
        return _honoured(*self.complete)

    @property
    def delete_honoured(self) -> bool | None:
        """Return whether If-Match on a delete is honoured. Reported done but not done is no."""
        if self.survived is None or not (self.delete.ok or self.delete.refused):
            return None
        return self.survived and self.delete.status == 412


def _honoured(free: ProbeResponse, taken: ProbeResponse) -> bool | None:
    """Judge an answer where no object was, and one where there was one."""
    if free.ok and taken.status in (409, 412):
        return True
    return False if taken.ok or free.refused or (free.ok and taken.refused) else None


@dataclass(frozen=True, slots=True)
class ChecksumFacts:
    """A part sent with the right and with a wrong checksum. `listed`: ListParts reports it."""

    right: ProbeResponse
    wrong: ProbeResponse
    listed: bool = False

    @property
    def verified(self) -> bool | None:
        """Return whether it is verified; None if the answers do not show it."""
        if self.right.ok and self.wrong.refused:
            return True
        return False if self.wrong.ok or self.right.refused else None

    def limited_by(self, of_object: "ChecksumFacts") -> "ChecksumFacts":
        """Return what holds for a part and for a PUT of an object: the same callers send both."""
        weaker = self.verified and not of_object.verified
        return replace(of_object, listed=self.listed) if weaker else self


@dataclass(frozen=True, slots=True)
class MultipartFacts:
    """One multipart upload from beginning to end, and one whose parts are too small.

    `unequal` is Complete of 5 MiB, 5 MiB + 1 byte and 1 byte; `equal`, only if that was refused, of
    5 MiB, 5 MiB and 1 byte. `token_kept` and `single_token_kept`: metadata came back, for a
    multipart upload and for a PUT. `resending` is the answer to a part that was sent a second time,
    with other bytes, and `resent` what ListParts then reports of it, as ETags without quotes.
    `ended` is ListParts of an upload that was aborted, and `whole` is Complete with the CRC64NVME
    of the whole object, `listed` if HeadObject returns it.
    """

    unequal: ProbeResponse
    small: ProbeResponse
    equal: ProbeResponse | None = None
    again: ProbeResponse | None = None
    token_kept: bool | None = None
    single_token_kept: bool | None = None
    resending: ProbeResponse | None = None
    resent: Sequence[str] = ()
    listed_by_key: bool | None = None
    listed_by_prefix: bool | None = None
    ended: ProbeResponse | None = None
    whole: ChecksumFacts | None = None


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """How the bucket is configured. Rules are spelled as S3 does, None if storage does not report
    them.

    The `reply` of `cors` and `lifecycle` may hold more than rules.
    """

    cors: ProbeResponse
    lifecycle: ProbeResponse
    versioning: ProbeResponse

    @property
    def cors_rules(self) -> Sequence[Mapping[str, Any]] | None:
        return _rules(self.cors, "CORSRules", "NoSuchCORSConfiguration")

    @property
    def lifecycle_rules(self) -> Sequence[Mapping[str, Any]] | None:
        return _rules(self.lifecycle, "Rules", "NoSuchLifecycleConfiguration")

    @property
    def versions(self) -> str:
        """Return Enabled, Suspended, or "" if no version was ever kept."""
        status: str = self.versioning.reply.get("Status", "") if self.versioning.ok else ""
        return status


def _rules(answer: ProbeResponse, name: str, none: str) -> Sequence[Mapping[str, Any]] | None:
    if answer.ok:
        rules: Sequence[Mapping[str, Any]] = answer.reply.get(name, [])
        return rules
    return [] if answer.code == none else None


@dataclass(frozen=True, slots=True)
class BrowserFacts:
    """What a web page at `origin` is answered: the preflight of a PUT, and the PUT itself."""

    origin: str
    asked_headers: Sequence[str]
    preflight: ProbeResponse
    put: ProbeResponse


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What remains after everything was removed. None: storage did not report it."""

    objects: int | None
    multiparts: int | None


Permissions = Mapping[str, ProbeResponse]
"""By IAM action without `s3:`, such as PutObject: the answer to a request that needs it."""

Checksums = Mapping[Checksum | str, ChecksumFacts]
"""By algorithm; Content-MD5 is `md5`."""
