"""Counts how the files of one command fared, and says so as text or JSON."""

import dataclasses
from dataclasses import dataclass

from rich.filesize import decimal

from partway_client.models import Uploaded


@dataclass(slots=True)
class Summary:
    """The outcomes of `files`, in this run unless it says otherwise.

    `uploaded_before` were uploaded by an earlier run of the same command, `skipped` stand in the
    manifest, `deleted` and `kept` are sources that were to be deleted. The bytes and `seconds` are
    those of the files that were uploaded.
    """

    files: int
    uploaded: int = 0
    uploaded_before: int = 0
    skipped: int = 0
    failed: int = 0
    deleted: int = 0
    kept: int = 0
    size_bytes: int = 0
    bytes_sent: int = 0
    bytes_resent: int = 0
    bytes_via_service: int = 0
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether everything was done that the command is for."""
        return not self.failed and not self.kept

    def add(self, uploaded: Uploaded) -> None:
        """Count a file that was uploaded."""
        self.uploaded += 1
        self.size_bytes += uploaded.size_bytes
        self.bytes_sent += uploaded.bytes_sent
        self.bytes_resent += uploaded.bytes_resent
        self.bytes_via_service += uploaded.bytes_via_service

    def facts(self) -> dict[str, object]:
        """Return all of it for JSON, with the mean rate."""
        rate = int(self.bytes_sent / self.seconds) if self.seconds else 0
        seconds = round(self.seconds, 3)
        return {**dataclasses.asdict(self), "seconds": seconds, "bytes_per_second": rate}

    def words(self) -> str:
        """Return one line for a person."""
        done = self.uploaded + self.uploaded_before + self.skipped
        files = "1 file" if self.files == 1 else f"{self.files} files"
        words = files if done == self.files else f"{done} of {files}"
        words += f", {transferred(self)}"
        counts = {
            "uploaded by an earlier run": self.uploaded_before,
            "skipped": self.skipped,
            "deleted here": self.deleted,
            "not deleted": self.kept,
            "failed": self.failed,
        }
        return "; ".join([words, *(f"{count} {what}" for what, count in counts.items() if count)])


def transferred(figures: Summary | Uploaded) -> str:
    """Return how much is in storage, after how long, how fast it was sent, and by which way."""
    words = f"{decimal(figures.size_bytes)} in {figures.seconds:.1f} s"
    if figures.bytes_sent and figures.seconds:
        words += f", {decimal(int(figures.bytes_sent / figures.seconds))}/s"
    if figures.bytes_resent:
        words += f"; {decimal(figures.bytes_resent)} sent again"
    if figures.bytes_via_service:
        words += f"; {decimal(figures.bytes_via_service)} went through the service"
    return words
