"""Files that hold one secret each, as container platforms mount them.

The value is the content without one newline at its end. No text here shows any of it, nor a path
that is not absolute: that may be a secret in the place of its file.
"""

import os
import stat
from collections.abc import Callable, Mapping
from typing import Any

from partway_server.config.settings_validation import HIDDEN

MAX_BYTES = 64 * 1024


class SecretFileError(ValueError):
    """A file of a secret cannot be used. The text names the path and says why."""


def shown_path(path: str) -> str:
    """Return an absolute path, or `***` for what may be a secret in its place."""
    return path if path.startswith("/") or not path else HIDDEN


def path_problem(path: str) -> str:
    """Return what is wrong with the path of a secret's file, or "". It is not opened."""
    if not path.startswith("/"):
        return "is not an absolute path"
    return "" if path.isprintable() else "has a character in it that cannot be printed"


def read_secret(path: str) -> str:
    """Return the secret in a file; symbolic links are followed. Raises SecretFileError."""
    if problem := path_problem(path):
        raise SecretFileError(problem)
    content, problem = _content(path)
    text = "" if problem else content.decode("utf-8", errors="ignore")
    if not problem and text.encode() != content:
        problem = "is not UTF-8"
    secret = text.removesuffix("\n")
    if not problem and not secret.strip():
        problem = "is empty"
    if problem:
        # Outside any `except`, so that no exception behind this one holds the content.
        raise SecretFileError(f"{path} {problem}")
    return secret.removesuffix("\r") if text.endswith("\r\n") else secret


def _content(path: str) -> tuple[bytes, str]:
    """Return what a file holds, and what prevents its use, or ""."""
    try:
        # Without waiting: a pipe without a writer would block, and could be read only once.
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return b"", "is not a regular file"
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"
    too_large = f"is larger than {MAX_BYTES // 1024} KiB" if len(content) > MAX_BYTES else ""
    return content, too_large


def readable_by_all(path: str) -> bool:
    """Return whether every user of the machine may read the file, as its mode says."""
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False


def with_secrets(
    files: Mapping[str, str],
    environ: Mapping[str, str],
    overrides: Mapping[str, Any],
    variable: Callable[[str], str],
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the overrides with each secret that a file holds, and what is wrong, by setting.

    `files` maps the setting that names a file to the setting whose value the file holds.
    """

    def given(name: str) -> str:
        override = overrides.get(name)
        return environ.get(variable(name), "").strip() if override is None else str(override)

    found, problems = dict(overrides), []
    for file, name in files.items():
        if not (path := given(file)):
            continue
        if given(name):
            problems.append((file, f"{variable(name)} is set as well; remove one of the two"))
            continue
        try:
            found[name] = read_secret(path)
        except SecretFileError as error:
            problems.append((file, str(error)))
    return found, problems
