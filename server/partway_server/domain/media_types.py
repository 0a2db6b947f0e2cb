"""Media types: patterns of them, and the types of a file extension."""

from fnmatch import fnmatchcase
from mimetypes import MimeTypes

TYPES = MimeTypes().types_map
"""Types by extension with its dot, from Python itself and not from the machine's tables."""


def matches(content_type: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a media type, without its parameters, matches a pattern such as `image/*`."""
    bare = content_type.partition(";")[0].strip().lower()
    return any(fnmatchcase(bare, pattern.lower()) for pattern in patterns)


def known_types(extension: str) -> tuple[str, ...]:
    """Return the content types that Python knows for an extension, the registered one first."""
    common, registered = TYPES
    found = (table.get(f".{extension}", "") for table in (registered, common))
    return tuple(dict.fromkeys(filter(None, found)))


def narrower(one: str, other: str) -> str:
    """Return that of two patterns which the other covers, "" if neither does."""
    if matches(one, (other,)):
        return one
    return other if matches(other, (one,)) else ""


def overlap(one: str, other: str) -> bool:
    """Return whether one of two patterns covers the other."""
    return bool(narrower(one, other))
