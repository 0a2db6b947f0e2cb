"""What is remembered between runs, so that a stopped upload goes on where it was.

One small JSON file for each upload that is under way, in the user's state directory. It holds the
request_id, written before Initialize, so that a run killed between Initialize and its answer finds
the same Upload; and the upload_id, written after. It holds no URL. That the file is the same is in
the name of the entry: a hash over server, path, size, modification time and what is asked for.

Nothing here is needed to upload: where the directory cannot be written, uploads go on without.
"""

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from partway_client.errors import FileBusy

logger = logging.getLogger(__name__)

_KEPT = timedelta(days=30)


def entry_key(*facts: object) -> str:
    """The name of the entry for an upload with these `facts`, which JSON must be able to hold."""
    packed = json.dumps(facts, sort_keys=True, ensure_ascii=True).encode("ascii")
    return hashlib.sha256(packed).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file that this process holds; the kernel takes it back if the process dies."""

    path: Path
    fd: int

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """The lock, or None if someone has it. Raises OSError."""
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Who had it may have removed it since we opened it: ours must be the file there.
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
        """Remove the file while it is still ours, and let go."""
        with suppress(OSError):  # One that stays is taken again, or ages out.
            self.path.unlink()
        os.close(self.fd)


class Entry:
    """What is remembered of one upload. Without a `path` it is forgotten at the end of the run.

    `found` tells that an earlier run wrote the request_id, or began the Upload; `adopted`, that
    the Upload was begun by somebody else, who may be sending parts of it.
    """

    def __init__(self, *, path: Path | None = None, lock: Lock | None = None) -> None:
        self._path = path
        self._lock = lock
        self.request_id = str(uuid.uuid4())
        self.upload_id = ""
        self.found = False
        self.adopted = False

    def load(self) -> None:
        """Take up what an earlier run wrote, if it can be read."""
        if self._path is None:
            return
        try:
            kept = json.loads(self._path.read_text("ascii"))
            os.utime(self._path)  # It is in use: it shall not age out under us.
            self.request_id = str(uuid.UUID(kept["request_id"]))
            self.upload_id = str(kept["upload_id"])
            self.adopted = bool(kept.get("adopted", False))
            self.found = True
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError):
            logger.warning("the record of an earlier try is damaged; the upload begins anew")

    def restart(self) -> None:
        """Forget the Upload, for another one of the same file."""
        self.request_id, self.upload_id, self.found = str(uuid.uuid4()), "", False
        self.adopted = False
        self.save()

    def adopt(self, upload_id: str) -> None:
        """Go on with an Upload that somebody else began."""
        self.upload_id, self.found, self.adopted = upload_id, True, True
        self.save()

    def save(self) -> None:
        """Write it down: all of it or nothing, and only for the user's eyes."""
        if self._path is None:
            return
        kept: dict[str, object] = {"request_id": self.request_id, "upload_id": self.upload_id}
        if self.adopted:
            kept["adopted"] = True
        try:
            _replace(self._path, json.dumps(kept))
        except OSError as exc:
            self._path = None
            _warn(exc)

    def remove(self) -> None:
        """Forget it: there is nothing left to resume."""
        if self._path is not None:
            with suppress(OSError):  # It ages out, and leads a later run to the same answer.
                self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let other processes upload the file."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class Journal:
    """The entries in `directory`, which is made when it is first needed."""

    def __init__(self, *, directory: Path, now: Callable[[], datetime]) -> None:
        self._directory = directory
        self._now = now

    def open(self, key: str) -> Entry:
        """The entry `key`, held until it is closed. Raises FileBusy if someone holds it."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._prune()
            lock = Lock.take(self._directory / f"{key}.lock")
        except OSError as exc:
            _warn(exc)
            return Entry()
        if lock is None:
            raise FileBusy
        return Entry(path=self._directory / f"{key}.json", lock=lock)

    def _prune(self) -> None:
        oldest = (self._now() - _KEPT).timestamp()
        for path in self._directory.iterdir():
            # Another process may prune at the same time.
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _replace(path: Path, content: str) -> None:
    # In the same folder, or the rename is not atomic. mkstemp makes it 0600.
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        # Ctrl-C too: no half-written file stays behind.
        os.unlink(temporary)
        raise


def _warn(exc: OSError) -> None:
    logger.warning(
        "uploads cannot be remembered (%s): if this one is stopped, it begins anew; "
        "set PARTWAY_STATE_DIR to a directory that can be written",
        exc.strerror,
    )
