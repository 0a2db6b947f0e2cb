"""Checks the promises: in every state, and once no one is at work any more."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from partway_server.domain.grant import Grant

from tests.model.programs import EXTENDED, FAILED, Answer, Verb, grant_of
from tests.model.stores import OTHER, Rows, Storage, ask_sessions, lease_over, leased

if TYPE_CHECKING:
    from tests.model.search import Search, State

COMPLETE_HOLDS = "P1 answered COMPLETED, and the object is not this Upload's"
ABORT_HOLDS = "P2 answered ABORTED, and the object is there"
NO_ORPHAN = "P3 something is left that no janitor removes"
RETRY_HOLDS = "P4 the object is ours, and a retry of Complete does not say so"
NOT_TAKEN_BACK = "P5 answered COMPLETED, and in the end there is no object"
ABORT_LASTS = "P6 answered ABORTED, and in the end there is an object"
OTHERS_KEPT = "P7 somebody else's object is gone"
NO_FAILURE = "P8 the code failed in a way that it does not know"
STATUS_AGREES = "P10 answered how it ended, and Status says otherwise"
NOTHING_LEFT = "P11 something is left that neither a janitor nor the sweep removes"
DEADLINE_HOLDS = "P12 answered a later deadline, and before it a Complete does not succeed"
ONE_UPLOAD = "P9 one request was answered with two Uploads, and Redis lost nothing"

_SWEEPS = 40
_LONG_AFTER = timedelta(days=60)

_STATUS = {"COMPLETED": {"COMPLETED"}, "ABORTED": {"ABORTED", "ABORTING"}}
"""What Status may report after a reported end. A burial is ABORTING once more."""

_FINDING_OUT = {"COMPLETING", "ABORTING"}
"""Also allowed if Redis was lost: an actor works on an old session record, and will notice."""


def in_any_state(search: Search, state: State) -> list[str]:
    storage, reported = search.storages[state.storage], search.reported[state.reported]
    broken = []
    for answer in reported:
        if answer.word.startswith(FAILED):
            broken.append(f"{NO_FAILURE}: {answer.word}")
        if answer.word == "COMPLETED" and not storage.holds(grant_of(answer.upload_id)):
            broken.append(COMPLETE_HOLDS)
        if answer.word == "ABORTED" and storage.holds(grant_of(answer.upload_id)):
            broken.append(ABORT_HOLDS)
    if not state.losses and sum(answer.word == "opened" for answer in reported) > 1:
        broken.append(ONE_UPLOAD)
    kept = search.scenario.other and search.scenario.kind.conditional
    if kept and all(there.token != OTHER for there in storage.objects):
        broken.append(OTHERS_KEPT)
    return broken


def at_rest(search: Search, state: State) -> list[str]:
    """Check the promises as if all actors were killed now and nothing went wrong again."""
    reported = search.reported[state.reported]
    opened = [answer.upload_id for answer in reported if answer.word == "opened"]
    broken = []
    for upload_id in opened:
        calm = Calm(search, state)
        written = calm.storage.holds(grant_of(upload_id))
        late = any(row.upload.stays_aborted for row in calm.rows)
        said = calm.answer(Verb("Complete", upload_id)).word
        gone = not calm.storage.holds(grant_of(upload_id))
        if written and said != "COMPLETED" and not (late and said == "ABORTED" and gone):
            broken.append(RETRY_HOLDS)
    if "Abort" not in search.scenario.actors and search.moments[state.moment] < EXTENDED:
        for answer in reported:
            complete = Verb("Complete", answer.upload_id)
            if (
                answer.word == "extended"
                and Calm(search, state).answer(complete).word != "COMPLETED"
            ):
                broken.append(DEADLINE_HOLDS)
    calm = Calm(search, state)
    if state.losses:
        broken += nobody_calls(search, state)
        # Only the id has what a lost session record had: its holder calls once more.
        for upload_id in opened:
            calm.answer(Verb("ListParts", upload_id))
    calm.sweep_to_the_end()
    broken += calm.failures
    if calm.rows or calm.left_open([grant_of(i) for i in opened] if state.losses else None):
        broken.append(NO_ORPHAN)
    if calm.left_after_the_sweep():
        broken.append(NOTHING_LEFT)
    broken += contradicted(search, state)
    for answer in reported:
        if answer.word in ("COMPLETED", "ABORTED"):
            there = calm.storage.holds(grant_of(answer.upload_id))
            again = calm.answer(Verb("Complete", answer.upload_id)).word == "COMPLETED"
            if answer.word == "COMPLETED" and not (there and again):
                broken.append(NOT_TAKEN_BACK)
            if answer.word == "ABORTED" and (there or again):
                broken.append(ABORT_LASTS)
    return broken


def contradicted(search: Search, state: State) -> list[str]:
    """Find where Status contradicts what was reported."""
    for answer in search.reported[state.reported]:
        if answer.word in _STATUS:
            may = _STATUS[answer.word] | (_FINDING_OUT if state.losses else set())
            if Calm(search, state).answer(Verb("Status", answer.upload_id)).word not in may:
                return [STATUS_AGREES]
    return []


def nobody_calls(search: Search, state: State) -> list[str]:
    """Check that a janitor with an old session record reverts nothing, with no caller left."""
    calm = Calm(search, state)
    calm.sweep_to_the_end()
    reported = [answer for answer in search.reported[state.reported] if answer.word == "COMPLETED"]
    broken = [] if not calm.left_after_the_sweep() else [NOTHING_LEFT]
    if not all(calm.storage.holds(grant_of(answer.upload_id)) for answer in reported):
        broken.append(NOT_TAKEN_BACK)
    return [*broken, *calm.failures]


class Calm:
    """The system continued from a state, one actor at a time and without faults."""

    def __init__(self, search: Search, state: State) -> None:
        self._search = search
        self.failures: list[str] = []
        self._losses = state.losses
        self._now: datetime = search.moments[state.moment]
        self.rows: Rows = search.rows[state.rows]
        self.storage: Storage = search.storages[state.storage].settled()

    def answer(self, verb: Verb) -> Answer:
        """Return the answer to a caller that comes when no lease is left."""
        for sid in leased(self.rows):
            self.rows = lease_over(self.rows, sid, self._now)
        programs = self._search.programs
        node = programs.begin(verb, self._now)
        while (answer := programs.nodes[node].answer) is None:
            call = programs.nodes[node].call
            assert call is not None
            value = None
            if call.seam == "sessions":
                self.rows, value = ask_sessions(self.rows, call, self._now, self._losses)
            elif call.seam == "storage":
                storage, value = self.storage.ask(call)
                self.storage = storage.settled()
            node = programs.after(node, programs.replies.number(value), self._now)
        if answer.word.startswith(FAILED):
            self.failures.append(f"{NO_FAILURE}: {answer.word}")
        return answer

    def sweep_to_the_end(self) -> None:
        """Let a janitor come whenever something is due, until there is nothing left to do."""
        for sweep in range(_SWEEPS):
            if not self.rows:
                break
            due = min(row.due for row in self.rows)
            # At first every time, and later once a day.
            pause = timedelta(days=1) if sweep > _SWEEPS / 2 else timedelta()
            self._now = max(self._now, due + timedelta(seconds=1)) + pause
            self.answer(Verb("Janitor", ""))

    def left_open(self, known: list[Grant] | None) -> bool:
        """Return whether storage has parts, of the `known` grants or of any."""
        keys = None if known is None else {grant.key for grant in known}
        return any(keys is None or multipart.key in keys for multipart in self.storage.open)

    def left_after_the_sweep(self) -> bool:
        """Return whether a session record or parts remain after all deadlines and a sweep."""
        self._now = max(self._now, self._search.moments[-1] + _LONG_AFTER)
        if self.storage.open:
            self.answer(Verb("Sweeper", ""))
        return bool(self.rows or self.storage.open)
