"""The nearest known name, for one that is not known."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return "did you mean X?" for the nearest of `known`, or "" if none is near.

    `prefix` is what every known name begins with; it does not count as likeness.
    """
    endings = [each.removeprefix(prefix) for each in known]
    near = difflib.get_close_matches(name.removeprefix(prefix), endings, 1)
    return f"did you mean {prefix}{near[0]}?" if near else ""
