"""Guesses a file's media type from its name."""

import mimetypes

_ANY_TYPE = "application/octet-stream"


def guess_content_type(name: str) -> str:
    """Return the media type that a file of this name usually has."""
    guessed, encoding = mimetypes.guess_type(name)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else _ANY_TYPE
    return guessed or _ANY_TYPE
