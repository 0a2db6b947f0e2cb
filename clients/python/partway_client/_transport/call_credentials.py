"""The metadata of calls, with a token that may come from a file or a function, and may change."""

import asyncio
import inspect
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from partway_client.errors import (
    CallerUnknown,
    CredentialsRejected,
    PartwayError,
    TokenUnavailable,
    UploadTokenExpired,
)

Metadata = Sequence[tuple[str, str]]

TokenSource = Callable[[], str | Awaitable[str]]
Token = str | os.PathLike[str] | TokenSource
"""A token, the path of a file that holds it, or a function that returns it."""

_UPLOAD_TOKEN = re.compile(r"[0-9A-Za-z_-]+")
_JSON_WEB_TOKEN = re.compile(r"[0-9A-Za-z_=-]+(\.[0-9A-Za-z_=-]+){2}")
_MOST_CHARS = 16 * 1024
_REFUSALS = (CallerUnknown, CredentialsRejected, UploadTokenExpired)


def authorization_of(token: str) -> str:
    """Return the `authorization` of an upload token or a JSON Web Token. Raises ValueError."""
    if _UPLOAD_TOKEN.fullmatch(token):
        return f"Partway {token}"
    if _JSON_WEB_TOKEN.fullmatch(token):
        return f"Bearer {token}"
    raise ValueError(
        "the token is invalid: an upload token consists of letters, digits, - and _, and a JSON"
        " Web Token has three such parts with dots between them"
    )


class CallCredentials:
    """The metadata that every call carries, and a token besides, if there is one.

    A file is read again when it changes; a function is called again when the service refuses the
    token. No repr shows the token.
    """

    def __init__(self, metadata: Mapping[str, str], token: Token = "") -> None:
        self._metadata = tuple(metadata.items())
        self._authorization = ""
        self._lock = asyncio.Lock()
        self._source: TokenSource | None = None
        self._file: Path | None = None
        self._file_state: tuple[int, ...] = ()
        if isinstance(token, str):
            self._authorization = authorization_of(token) if token else ""
        elif isinstance(token, os.PathLike):
            self._file = Path(token)
        else:
            self._source = token

    async def metadata(self) -> Metadata:
        """Return what a call is to carry. Raises TokenUnavailable."""
        changed = self._file is not None and self._state_of(self._file) != self._file_state
        missing = not self._authorization and (self._file or self._source) is not None
        if changed or missing:
            await self._renew()
        if not self._authorization:
            return self._metadata
        return *self._metadata, ("authorization", self._authorization)

    async def renew(self, error: PartwayError, used: Metadata) -> bool:
        """Return whether there is another token than the one used, which `error` may refuse."""
        if not isinstance(error, _REFUSALS) or (self._source is None and self._file is None):
            return False
        before = dict(used).get("authorization", "")
        if self._authorization == before:
            await self._renew(before)
        return self._authorization != before

    async def _renew(self, refused: str = "") -> None:
        async with self._lock:
            # Calls that were refused together ask once.
            if refused and self._authorization != refused:
                return
            token = (await self._ask()).strip()
            try:
                self._authorization = authorization_of(token)
            except ValueError as error:
                raise TokenUnavailable(str(error)) from None

    async def _ask(self) -> str:
        if self._file is not None:
            return self._read(self._file)
        assert self._source is not None
        # In a thread: a function that is not asynchronous may take its time.
        if inspect.iscoroutinefunction(self._source):
            answer: str | Awaitable[str] = self._source()
        else:
            answer = await asyncio.to_thread(self._source)
        token = await answer if inspect.isawaitable(answer) else answer
        if not isinstance(token, str):
            raise TypeError(f"the token must be a string, not {type(token).__name__}")
        return token

    def _read(self, file: Path) -> str:
        try:
            self._file_state = self._state_of(file)
            # With a limit: the file may be the wrong one.
            with file.open("r", encoding="utf-8", errors="replace") as opened:
                return opened.read(_MOST_CHARS)
        except OSError as error:
            words = error.strerror or type(error).__name__
            raise TokenUnavailable(f"the token file {file} cannot be read: {words}") from None

    def _state_of(self, file: Path) -> tuple[int, ...]:
        try:
            found = os.stat(file)
        except OSError:
            # It is being replaced, or gone: the token that was read last may still be good.
            return self._file_state
        return found.st_ino, found.st_size, found.st_mtime_ns
