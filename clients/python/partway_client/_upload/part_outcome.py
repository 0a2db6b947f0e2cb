"""What came of one try to send a part, and what storage's HTTP answer means."""

from dataclasses import dataclass
from enum import Enum

from partway_client.errors import PartwayError

_MOST_ETAG_CHARS = 128
"""The most that Complete takes."""

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_AGAIN_CODES = frozenset({"RequestTimeout", "IncompleteBody", "SlowDown"})
"""Some servers send these with 400.
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html."""
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
    """What came of a try, by either route, and the error to raise if there is no other.

    `not_reached` says why storage was not reached, "" if it was; `etag` is as in HttpResult.
    """

    verdict: Verdict
    error: PartwayError | None = None
    not_reached: str = ""
    etag: str = ""


def judge(result: HttpResult, *, single: bool) -> Verdict:
    """Return what `result` means; `single`: the part is the only one, and may be the object."""
    status, code = result.status, result.code
    if status is None or status in _AGAIN:
        return Verdict.AGAIN
    if 200 <= status < 300:
        return Verdict.DONE
    if status == 403 or code in _EXPIRED_CODES:
        return Verdict.PRESIGN
    if status == 400 and code in _AGAIN_CODES:
        return Verdict.AGAIN
    if status == 400 and code == "BadDigest":
        return Verdict.DAMAGED
    if code == "NoSuchUpload":
        return Verdict.GONE
    if single:
        return _judge_single(status)
    return Verdict.GONE if status == 404 else Verdict.REFUSED


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
