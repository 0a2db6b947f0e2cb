"""Name how a call to the session store failed, for metrics and logs.

That is the name of redis-py's error, such as TimeoutError or BusyLoadingError; with the code of
Redis's answer where that says more, such as BUSY; `cancelled` if whoever waited ended the call;
`other` for anything else.
"""

import asyncio

from redis.exceptions import RedisError, ResponseError

from partway_server.domain.errors import SessionsFull, SessionsUnavailable

_LONGEST_CODE = 16


def sessions_call_code(error: BaseException) -> str:
    """Return a name of the failure."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, SessionsFull):
        return "OutOfMemoryError"
    cause = error.__cause__ if isinstance(error, SessionsUnavailable) else error
    if cause is None:
        return "unavailable"
    if type(cause) is ResponseError:
        code = str(cause).partition(" ")[0]
        plain = code.isascii() and code.isalpha() and code.isupper()
        return code if plain and len(code) <= _LONGEST_CODE else "ResponseError"
    return type(cause).__name__ if isinstance(cause, RedisError | OSError) else "other"
