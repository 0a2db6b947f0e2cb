"""Counts the calls to a session store."""

from typing import Any, cast

from partway_server.sessions.base import SessionStore


class CountedSessions:
    """A session store whose `calls` are the names of those made."""

    def __init__(self, sessions: SessionStore) -> None:
        self.calls: list[str] = []
        self._sessions = sessions

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._sessions, name)
        if not callable(method):
            return method

        def counted(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            return method(*arguments, **named)

        return counted


def counted(sessions: SessionStore) -> tuple[SessionStore, list[str]]:
    """Return a session store, and the list that its calls are appended to."""
    store = CountedSessions(sessions)
    return cast(SessionStore, store), store.calls
