"""Observe the calls to the stores: what was asked for, how long it took, how it ended.

A decorator of each seam (`storage/observed.py`, `sessions/observed.py`) makes a StoreCall of every
method with I/O, and notifies observers. So no use case knows that it is observed.
"""

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Protocol


class Store(StrEnum):
    """The two stores."""

    STORAGE = "storage"
    SESSIONS = "sessions"


class CallObserver(Protocol):
    """Is notified of each call to a store. It must neither block nor raise."""

    def on_start(self, call: "StoreCall") -> None:
        """Note that the call begins, in the task that makes it."""
        ...

    def on_end(self, call: "StoreCall", error: BaseException | None) -> None:
        """Note how the call ended: `call.seconds` and `call.code` are set now."""
        ...


class StoreCall:
    """One call to a store, which is in flight inside the `with` block.

    Of storage, `operation` is S3's name, with `backend` and `bucket`; of sessions, it is the method
    of the interface. `sid` is the upload's, "" if the call is about many. At the end `code` is ""
    for a success, or one of few names for what went wrong: S3's code, the name of Redis's error, or
    one in lower case of the decorator. Compared by identity, so that observers can remember it.
    """

    __slots__ = (
        "_began",
        "_code_of",
        "_now",
        "_observers",
        "backend",
        "bucket",
        "code",
        "operation",
        "seconds",
        "sid",
        "store",
    )

    def __init__(
        self,
        observers: Sequence[CallObserver],
        code_of: Callable[[BaseException], str],
        store: Store,
        operation: str,
        *,
        backend: str = "",
        bucket: str = "",
        sid: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observers = observers
        self._code_of = code_of
        self._now = now
        self.store, self.operation = store, operation
        self.backend, self.bucket, self.sid = backend, bucket, sid
        self.seconds, self.code = 0.0, ""

    @property
    def began(self) -> float:
        """Return when the call began, by the monotonic clock."""
        return self._began

    def __enter__(self) -> "StoreCall":
        self._began = self._now()
        for observer in self._observers:
            observer.on_start(self)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.seconds = self._now() - self._began
        if error is not None:
            self.code = self._code_of(error)
        for observer in self._observers:
            observer.on_end(self, error)
