"""Observe changes of session records: what uploads came to, and what leases were worth.

An event of an upload is counted where this process made the change. The rules are those of
`domain/events.py`, but nothing here reads the outbox: who took a lease saw what was before.
"""

from collections import OrderedDict
from dataclasses import replace
from typing import Protocol

from partway_server.domain.events import INITIALIZED, event_type_of
from partway_server.domain.upload import State, Upload

_REMEMBERED = 10_000
"""How many leases are remembered at a time: more than a process holds."""


class RecordObserver(Protocol):
    """Is notified of each change of a session record, after it was made."""

    def inserted(self, upload: Upload, *, restored: bool) -> None:
        """Note a new record; `restored` if it replaces one that was lost."""
        ...

    def claimed(self, upload: Upload | None, target: State) -> None:
        """Note that a lease was taken; None if it was refused."""
        ...

    def finished(self, outcome: Upload) -> None:
        """Note the outcome of a lease."""
        ...

    def lease_lost(self, during: str) -> None:
        """Note that a lease was over before its holder was done."""
        ...

    def reported(self, upload: Upload, count: int) -> None:
        """Note that a caller reported parts as sent."""
        ...

    def usage_corrected(self, count: int) -> None:
        """Note how many uploads were not counted as they are."""
        ...


class IgnoreChanges:
    """An observer that does nothing."""

    def inserted(self, upload: Upload, *, restored: bool) -> None:
        pass

    def claimed(self, upload: Upload | None, target: State) -> None:
        pass

    def finished(self, outcome: Upload) -> None:
        pass

    def lease_lost(self, during: str) -> None:
        pass

    def reported(self, upload: Upload, count: int) -> None:
        pass

    def usage_corrected(self, count: int) -> None:
        pass


IGNORE_CHANGES = IgnoreChanges()


class Announcements:
    """Finds out which changes announce an event, as the outbox does: none twice."""

    def __init__(self) -> None:
        self._leases: OrderedDict[tuple[str, int], str] = OrderedDict()

    def inserted(self, upload: Upload, *, restored: bool) -> str:
        """Return the event of a new record, "" without one."""
        if upload.state is State.INITIATING:
            self._remember(upload, "")
        # A record that is rebuilt from an ID, with epoch 0, announces what happened long ago.
        return "" if restored and upload.epoch == 0 else event_type_of(upload)

    def claimed(self, upload: Upload) -> None:
        """Note what an upload had announced when a lease of it was taken."""
        if upload.state is State.INITIATING:
            self._remember(upload, "")
        elif upload.abort_reason is not None:
            self._remember(upload, _announced(upload))

    def finished(self, outcome: Upload) -> str:
        """Return the event of the outcome of a lease, "" if it was announced before."""
        # An upload whose lease is not remembered was ACTIVE before: that is announced.
        before = self._leases.pop((outcome.sid, outcome.epoch), INITIALIZED)
        event = event_type_of(outcome)
        return "" if event == before else event

    def _remember(self, upload: Upload, announced: str) -> None:
        self._leases[upload.sid, upload.epoch] = announced
        if len(self._leases) > _REMEMBERED:
            self._leases.popitem(last=False)


def _announced(upload: Upload) -> str:
    """Return what an upload announced that was aborted before it was leased again."""
    return event_type_of(replace(upload, state=State.ABORTED))
