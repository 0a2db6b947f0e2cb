"""Judges answers, errors and log lines by what is promised of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "partway"
_PREFIX = "ERROR_REASON_"
_DOCUMENT = Path(__file__).parents[2] / "docs/reference/errors.md"

_BY_GRPC = re.compile(
    r"(Received|Sent|CLIENT: Received|SERVER: Received) message larger than max"
    r"|received metadata size exceeds (hard|soft) limit",
    re.IGNORECASE,
)
"""What gRPC itself says of a call that is too large; it has no reason."""

_OF_PYTHON = re.compile(
    r"Traceback|\b[A-Z]\w*(?:Error|Exception|Warning)\b\(|File \"|<class |object at 0x|\.py\b"
)
_OF_LOGS = re.compile(
    r"Traceback \(most recent call last\)|was never retrieved|was never awaited|was destroyed"
    r"|Unhandled|Exception ignored| (?:ERROR|CRITICAL) |Segmentation fault|Check failed"
    r"|X-Amz-Signature="
)
_OF_OPERATORS = re.compile(r" ERROR +not ready: ")
"""What a service says of Redis and storage, which on a busy machine may not answer for a while."""

_ONCE = re.compile(r"[0-9a-f]{16,}")
_TIME = re.compile(r"^[-0-9]+ [:,0-9]+ ")


def documented() -> Mapping[str, tuple[str, int]]:
    """Return the code and the HTTP status of each reason, as the reference has them."""
    row = re.compile(r"^\| `([A-Z_]+)` \| `([A-Z_]+)` \| (\d+) \|", re.MULTILINE)
    found = {r: (code, int(http)) for r, code, http in row.findall(_DOCUMENT.read_text("utf-8"))}
    assert found, f"no reasons in {_DOCUMENT}"
    return found


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as it arrived. `packed` is the google.rpc.Status in its trailers, if any."""

    code: str
    text: str
    packed: bytes


class Oracle:
    """Knows the documented reasons, and what nothing, or no log, may show."""

    def __init__(self, secrets: Sequence[str], unlogged: Sequence[str] = ()) -> None:
        self._secrets = [*secrets, *unlogged]
        self._in_bytes = [secret.encode() for secret in secrets]
        self._reasons = documented()

    def of_refusal(self, refusal: Refusal) -> str:
        """Return what is wrong with an error, "" if nothing is."""
        if refusal.code in ("UNKNOWN", "INTERNAL", "UNIMPLEMENTED", "DATA_LOSS"):
            return f"answered {refusal.code}: {refusal.text[:200]}"
        if not refusal.packed:
            if refusal.code == "RESOURCE_EXHAUSTED" and _BY_GRPC.search(refusal.text):
                return ""
            return f"{refusal.code} without details: {refusal.text[:200]}"
        if self.shows_secret(refusal.packed):
            return f"a secret in an error {refusal.code}"
        if _OF_PYTHON.search(refusal.text):
            return f"the text of an exception in an error: {refusal.text[:200]}"
        try:
            status = status_pb2.Status.FromString(refusal.packed)
        except DecodeError:
            return f"{refusal.code} with details that cannot be decoded"
        reasons = _reasons(status)
        if len(reasons) != 1:
            return f"{refusal.code} with {len(reasons)} reasons"
        return self.of_reason(reasons[0], refusal.code)

    def of_reason(self, reason: str, code: str) -> str:
        """Return what is wrong with a reason beside a code."""
        found = self._reasons.get(reason.removeprefix(_PREFIX))
        if found is None or not reason.startswith(_PREFIX):
            return f"the reason {reason!r} is not documented"
        return "" if found[0] == code else f"{reason} with {code}, documented with {found[0]}"

    def http_of(self, reason: str) -> int | None:
        """Return the documented HTTP status of a reason."""
        found = self._reasons.get(reason.removeprefix(_PREFIX))
        return found[1] if found else None

    def of_line(self, line: str) -> str:
        """Return what is wrong with a line of the log."""
        if any(secret in line for secret in self._secrets):
            return "a secret in the log"
        if not _OF_LOGS.search(line) or _OF_OPERATORS.search(line):
            return ""
        # Without what differs each time, so that the same fault is one finding.
        return f"in the log: {_ONCE.sub('...', _TIME.sub('', line))[:300]}"

    def shows_secret(self, data: bytes) -> bool:
        """Return whether the bytes contain a secret."""
        return any(secret in data for secret in self._in_bytes)


def _reasons(status: status_pb2.Status) -> list[str]:
    """Return the reasons of our domain in the details."""
    found = []
    for packed in status.details:
        info = error_details_pb2.ErrorInfo()
        if packed.Is(info.DESCRIPTOR) and packed.Unpack(info) and info.domain == DOMAIN:
            found.append(info.reason)
    return found
