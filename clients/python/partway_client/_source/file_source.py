"""The file being uploaded: kept open, read by offset, and checked for changes."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from partway_client.errors import FileChanged, FileUnreadable

_AHEAD_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """The facts that show a file is still the one that was opened, with the same content."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """Return the identity of the file that `found` describes."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class FileSource:
    """`size_bytes` bytes of the file `fd`, from `base` on. Owns the descriptor.

    `path` is absolute, with links resolved; without it an upload cannot be resumed. `identity` is
    None for a file that no other process can reach. Bytes of `name` that are not Unicode are
    replaced: a file name may contain them, the name at the service may not.
    """

    def __init__(
        self,
        *,
        fd: int,
        name: str,
        size_bytes: int,
        base: int = 0,
        path: str = "",
        identity: FileIdentity | None = None,
    ) -> None:
        self._fd = fd
        self._base = base
        self.name = name.encode("utf-8", "replace").decode("utf-8")
        self.size_bytes = size_bytes
        self.path = path
        self.identity = identity

    @classmethod
    def open(cls, path: str | os.PathLike[str], name: str = "") -> Self:
        """Open the regular file at `path`. Raises FileUnreadable."""
        shown = os.fspath(path)
        try:
            fd = os.open(shown, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise FileUnreadable(f"cannot read {shown}: {exc.strerror}") from None
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            os.close(fd)
            raise FileUnreadable(f"{shown} is a directory; give the files in it")
        return cls(
            fd=fd,
            name=name or Path(shown).name,
            size_bytes=found.st_size,
            path=os.path.realpath(shown),
            identity=FileIdentity.of(found),
        )

    @classmethod
    def rest_of(cls, stream: BinaryIO, name: str) -> Self:
        """Return the unread rest of `stream`, which must be a regular file."""
        position = stream.tell()
        fd = os.dup(stream.fileno())
        found = os.fstat(fd)
        return cls(
            fd=fd,
            name=name,
            size_bytes=max(found.st_size - position, 0),
            base=position,
            identity=FileIdentity.of(found),
        )

    def read(self, offset: int, size: int) -> bytes:
        """Return 1 to `size` bytes from `offset` on. Raises FileChanged, OSError."""
        at = self._base + offset
        if offset % _AHEAD_BYTES == 0 and hasattr(os, "posix_fadvise"):
            # The kernel reads ahead while we wait for the network, so that the delays of a slow
            # disk and a slow network do not add up.
            os.posix_fadvise(self._fd, at, 2 * _AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
        piece = os.pread(self._fd, size, at)
        if not piece:
            raise FileChanged
        return piece

    def check(self) -> None:
        """Raise FileChanged if the open file, or the one now at its path, differs from before."""
        if self.identity is None:
            return
        if FileIdentity.of(os.fstat(self._fd)) != self.identity:
            raise FileChanged
        if self.path and self._replaced():
            raise FileChanged

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _replaced(self) -> bool:
        try:
            return FileIdentity.of(os.stat(self.path)) != self.identity
        except OSError:
            # Removed or no longer reachable: the open file is still intact.
            return False
