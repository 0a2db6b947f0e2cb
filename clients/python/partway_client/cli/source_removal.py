"""Deletes a file after it was uploaded, for --delete-after."""

import os
import stat

from partway_client._source.file_source import FileIdentity
from partway_client.models import Checksum, Uploaded


def identity_of(file: str) -> FileIdentity | None:
    """Return what shows that a file is still the same, None if it cannot be found."""
    try:
        return FileIdentity.of(os.stat(file))
    except (OSError, ValueError):
        # What is wrong is said when it is uploaded.
        return None


def reason_to_keep(file: str, before: FileIdentity | None, uploaded: Uploaded) -> str:
    """Return why a file must not be deleted; "" if its object is proven to have its bytes.

    `before` is its identity from before it was uploaded.
    """
    if not uploaded.completed:
        return "its upload is not completed"
    if uploaded.checksum_algorithm == Checksum.NONE:
        return "no checksum proves that the object has its bytes"
    try:
        found = os.lstat(file)
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    if stat.S_ISLNK(found.st_mode):
        return "it is a link"
    return "" if FileIdentity.of(found) == before else "it changed after it was uploaded"
