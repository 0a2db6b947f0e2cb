"""Collects what an exception would reveal in any log or debugger."""

import traceback
from collections.abc import Iterator


def all_it_holds(error: BaseException) -> str:
    """Return the traceback as it is logged, and the repr of every exception behind it."""
    lines = traceback.format_exception(error)
    return "\n".join([*lines, *(f"{each!r} {each} {vars(each)}" for each in _chain(error))])


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception, its causes, and what was handled when it was raised."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [e for e in (each.__cause__, each.__context__) if e is not None]
