"""The outcome of one try to send a part, and the meaning of storage's HTTP answers."""

from dataclasses import dataclass
from enum import Enum

from partway_client.errors import PartwayError

_MOST_ETAG_CHARS = 128
"""The most that Complete takes."""

_AGAIN = frozenset({408, 425, 429})
_NOT_IMPLEMENTED = 501
_AGAIN_CODES = frozenset({"RequestTimeout", "IncompleteBody", "SlowDown"})
"""Some servers send these with 400.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""
_DAMAGED_CODES = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})
"""The second is MinIO's for a checksum in a header (cmd/api-errors.go)."""
_EXPIRED_CODES = frozenset({"ExpiredToken", "RequestExpired", "TokenRefreshRequired"})


class Verdict(Enum):
    """What to do after a try."""

    DONE = "the part is in storage"
    AGAIN = "try again, later"
    PRESIGN = "try again with a new URL"
    DAMAGED = "the bytes that arrived are not those that were signed for"
    GONE = "storage knows no such upload: ask the service"
    REFUSED = "no other try would succeed"


@dataclass(frozen=True, slots=True)
class HttpResult:
    """How a PUT ended: an HTTP status with storage's own code, or no status and a problem.

    Holds no URL. `etag` is the entity tag of a part that arrived, without quotes, if storage sent
    one. `reached` is false if the result surely did not come from storage, but from the network
    before it.
    """

    status: int | None
    code: str = ""
    problem: str = ""
    etag: str = ""
    reached: bool = True

    def __str__(self) -> str:
        if self.status is None:
            return self.problem
        return f"it answers {self.status} {self.code}".rstrip()


@dataclass(frozen=True, slots=True)
class PartOutcome:
    """The outcome of one try, by either route, and the error to raise if there is no other.

    `not_reached` says why storage was not reached, "" if it was; `problem` is how storage answered
    or how the connection ended; `etag` is as in HttpResult. `broken`: the connection ended within
    the part.
    """

    verdict: Verdict
    error: PartwayError | None = None
    not_reached: str = ""
    etag: str = ""
    problem: str = ""
    broken: bool = False

    @property
    def congested(self) -> bool:
        """Whether fewer parts at a time might have got through."""
        return self.broken or self.verdict is Verdict.AGAIN


def judge(result: HttpResult, *, single: bool) -> Verdict:
    """Return what `result` means; `single`: the part is the only one, and may be the object."""
    status, code = result.status, result.code
    if status is None or _is_passing(status):
        return Verdict.AGAIN
    if 200 <= status < 300:
        return Verdict.DONE
    if status == 403 or code in _EXPIRED_CODES:
        return Verdict.PRESIGN
    if status == 400 and code in _AGAIN_CODES:
        return Verdict.AGAIN
    if status == 400 and code in _DAMAGED_CODES:
        return Verdict.DAMAGED
    if code == "NoSuchUpload":
        return Verdict.GONE
    if single:
        return _judge_single(status)
    return Verdict.GONE if status == 404 else Verdict.REFUSED


def _is_passing(status: int) -> bool:
    """Return whether a status says that a later try may succeed.

    Networks of delivery and proxies have 5xx of their own, such as Cloudflare's 520 to 526.
    """
    return status in _AGAIN or (status >= 500 and status != _NOT_IMPLEMENTED)


def _judge_single(status: int) -> Verdict:
    if status == 412:
        # An object exists: perhaps ours, from a try whose answer was lost. Complete finds out.
        return Verdict.DONE
    # 409: another write to the same key is in progress.
    return Verdict.AGAIN if status == 409 else Verdict.REFUSED


def bare_etag(header: str) -> str:
    """Return an entity tag without quotes; "" if it is missing or too long for Complete."""
    etag = header.removeprefix("W/").strip('"')
    return etag if len(etag) <= _MOST_ETAG_CHARS else ""
