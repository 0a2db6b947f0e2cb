"""Remembers unfinished uploads between runs, so that a stopped upload can be resumed.

There is one small JSON file for each upload in progress, in the user's state directory. It holds
the request_id, written before Initialize, so that a run killed between Initialize and its answer
leads to the same Upload; and the upload_id, written after. It holds no URL. The entry's name
identifies the file: a hash of server, path, size, modification time and the options.

A file for each service and caller holds the id of the last upload that was started here, also once
it is done.

No upload depends on it: where the directory is not writable, uploads proceed without. So entries
are not synced to the disk, which would take longer than to send a small file: one that a power cut
took means that the file is found by its fingerprint, or sent again.
"""

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import platformdirs

from partway_client.errors import FileBusy

logger = logging.getLogger(__name__)

CALLER_KEYS = ("partway-tenant", "partway-subject")
"""The metadata of calls that says on whose behalf a file is uploaded."""

_KEPT = timedelta(days=30)
_PRUNE_EVERY = timedelta(hours=1)


def journal_directory(given: str | os.PathLike[str] | None) -> Path:
    """Return the given directory or, if None, that of PARTWAY_STATE_DIR or the user's own."""
    chosen = given or os.environ.get("PARTWAY_STATE_DIR")
    return Path(chosen) if chosen else platformdirs.user_state_path("partway") / "uploads"


def entry_key(*facts: object) -> str:
    """Return the name of the entry for an upload with these JSON-serializable `facts`."""
    packed = json.dumps(facts, sort_keys=True, ensure_ascii=True).encode("ascii")
    return hashlib.sha256(packed).hexdigest()[:32]


def last_path(directory: Path, server: str, call_metadata: Mapping[str, str]) -> Path:
    """Return the path of the record of the last upload to this server, for its caller."""
    caller = [call_metadata.get(key, "") for key in CALLER_KEYS]
    return directory / f"{entry_key('last', server, caller)}.last"


def last_upload_id(path: Path) -> str:
    """Return the id in such a record; "" if it does not exist. Raises OSError, ValueError."""
    try:
        return str(json.loads(path.read_text("ascii"))["upload_id"])
    except FileNotFoundError:
        return ""


@dataclass(frozen=True, slots=True)
class FileLock:
    """A lock file that this process holds; the kernel releases it if the process dies."""

    path: Path
    fd: int

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Take the lock; return None if another process has it. Raises OSError."""
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The last holder may have removed the file since we opened it: check that the
                # file at the path is still ours.
                if _same_file(fd, path):
                    return cls(path, fd)
            except BlockingIOError:
                os.close(fd)
                return None
            except OSError:
                os.close(fd)
                raise
            os.close(fd)

    def release(self) -> None:
        """Remove the file while it is still ours, then release the lock."""
        with suppress(OSError):  # A file that stays is locked again later, or ages out.
            self.path.unlink()
        os.close(self.fd)


class JournalEntry:
    """What is remembered of one upload; without a `path`, only until the end of this run.

    `found`: an earlier run wrote the request_id, or an Upload was adopted. `adopted`: another
    process or machine began the Upload, and may still be sending parts of it. `part_size` is what
    Initialize asks for with this request_id. `superseded` is an Upload that this one replaces, and
    that is still to be aborted; `begun_again`: it replaces one. `last` is the path of the record of
    the last upload.
    """

    def __init__(
        self, *, path: Path | None = None, lock: FileLock | None = None, last: Path | None = None
    ) -> None:
        self._path = path
        self._lock = lock
        self._last = last
        self.request_id = str(uuid.uuid4())
        self.upload_id = ""
        self.found = False
        self.adopted = False
        self.part_size = 0
        self.superseded = ""
        self.begun_again = False

    def load(self) -> None:
        """Read what an earlier run wrote, if possible."""
        if self._path is None:
            return
        try:
            kept = json.loads(self._path.read_text("ascii"))
            os.utime(self._path)  # In use, so it must not age out.
            self.request_id = str(uuid.UUID(kept["request_id"]))
            self.upload_id = str(kept["upload_id"])
            self.adopted = bool(kept.get("adopted", False))
            self.part_size = int(kept.get("part_size", 0))
            self.superseded = str(kept.get("superseded", ""))
            self.begun_again = bool(kept.get("begun_again", False))
            self.found = True
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            logger.warning("the resume record of an earlier run is damaged; starting over")

    def restart(self) -> None:
        """Forget the Upload, to begin another one of the same file."""
        self.request_id, self.upload_id, self.found = str(uuid.uuid4()), "", False
        self.adopted = False
        self.save()

    def begin_again(self, part_size: int) -> None:
        """Replace the Upload by another one of the same file, with parts of this size."""
        superseded = "" if self.adopted else self.upload_id
        self.part_size, self.begun_again, self.superseded = part_size, True, superseded
        self.restart()

    def adopt(self, upload_id: str) -> None:
        """Remember to continue an Upload that another client began."""
        self.upload_id, self.found, self.adopted = upload_id, True, True
        self.save()

    def save(self) -> None:
        """Write the entry atomically, readable only by the user."""
        if self._last is not None and self.upload_id:
            self._save_last(self._last)
        if self._path is None:
            return
        kept: dict[str, object] = {"request_id": self.request_id, "upload_id": self.upload_id}
        more = ("adopted", "part_size", "superseded", "begun_again")
        kept |= {name: value for name in more if (value := getattr(self, name))}
        try:
            write_atomically(self._path, json.dumps(kept))
        except OSError as exc:
            self._path = None
            _warn(exc)

    def _save_last(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, json.dumps({"upload_id": self.upload_id}))
        except OSError as exc:
            logger.debug("the last upload cannot be remembered: %s", exc.strerror)

    def remove(self) -> None:
        """Delete the entry: nothing is left to resume."""
        if self._path is not None:
            with suppress(OSError):  # It ages out; until then a later run gets the same answer.
                self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock, so that other processes can upload the file."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class ResumeJournal:
    """The entries in `directory`, which is created when first needed."""

    def __init__(self, *, directory: Path, now: Callable[[], datetime]) -> None:
        self.directory = directory
        self._now = now
        self._prune_time: datetime | None = None

    def open(self, key: str, last: Path) -> JournalEntry:
        """Lock and return the entry `key`. Raises FileBusy if another process has it."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._prune()
            lock = FileLock.take(self.directory / f"{key}.lock")
        except OSError as exc:
            _warn(exc)
            return JournalEntry()
        if lock is None:
            raise FileBusy
        return JournalEntry(path=self.directory / f"{key}.json", lock=lock, last=last)

    def _prune(self) -> None:
        """Remove what is too old, at most once an hour."""
        now = self._now()
        if self._prune_time is not None and now < self._prune_time:
            return
        self._prune_time = now + _PRUNE_EVERY
        oldest = (now - _KEPT).timestamp()
        for path in self.directory.iterdir():
            # Another process may prune at the same time.
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def write_atomically(path: Path, content: str) -> None:
    """Write a file of ASCII that only the user can read. Raises OSError."""
    # In the same directory, or the rename is not atomic. mkstemp creates it with mode 0600.
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        # Also on Ctrl-C: leave no half-written file behind.
        os.unlink(temporary)
        raise


def _warn(exc: OSError) -> None:
    logger.warning(
        "uploads cannot be remembered (%s): this one cannot be resumed if it is stopped; "
        "set PARTWAY_STATE_DIR to a writable directory",
        exc.strerror,
    )
