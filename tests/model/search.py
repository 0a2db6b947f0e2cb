"""Explores every order of the actors' steps, with everything that may go wrong in between.

A state is a tuple of numbers; `Search.steps` yields all that may happen next. There is no step for
kill -9: a killed worker is one that takes no further step, and the search stops every actor at
every point while the others go on. What must hold once no one is at work is therefore checked in
every state, as if all actors were killed there (`promises.at_rest`).
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from partway_server.domain.errors import SessionsUnavailable, StorageUnavailable
from partway_server.storage.base import CompleteUnknown
from partway_server.storage.capabilities import Capabilities

from tests.model import promises
from tests.model.numbering import Numbered
from tests.model.programs import (
    FAILED,
    LONG_PAUSE,
    Answer,
    Call,
    Programs,
    Verb,
    grant_of,
)
from tests.model.stores import OTHER, Kind, Object, Rows, Storage, ask_sessions, lease_over, leased
from tests.support.clock import START

IDLE, GONE = -1, -2
CHECKED = {
    ("complete", "renew"),
    # Only of a worker that is quick: any other renews its lease in between.
    ("complete", "list_parts"),
    ("create", "renew"),
    ("create", "insert"),
    ("delete", "renew"),
}
CLAIMED = {("list_parts", "claim"), ("list_parts", "claim_active")}
ABOUT_AN_UPLOAD = ("Complete", "Abort", "ListParts", "Status", "ExtendUpload")
HANDED_OUT = ("opened", "extended")
"""The answers that have an upload_id which a caller may use from then on."""

LOOKING = ("get", "look", "is_current", "head", "list_parts", "list_multiparts", "unfinished")

Reported = frozenset[Answer]
"""What callers were answered so far, each with the upload_id that it is about."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The actors, their store, and what may go wrong.

    `faults` is how many replies may be lost: the request is then in flight, and is carried out at
    any later moment or never. `losses` is how often Redis may lose everything, or be set back to a
    copy made at any moment. `times` are the moments to which time may advance. `prompt`: a request
    sent right after its lease was checked or taken is carried out before that lease ends, a worker
    delayed at that point for longer is dead, and a request whose reply was lost is carried out
    within minutes or never. `quick`: workers send a Complete so soon after their claim that they
    need not renew it; one that is delayed before it would renew, as in a scenario that is not
    quick, and here it is dead. `single`: the upload is one PUT, which arrives at any time. `other`:
    another writer's object is at the key from the beginning.
    """

    name: str
    actors: tuple[str, ...]
    kind: Kind = field(default_factory=Kind)
    faults: int = 0
    losses: int = 0
    times: tuple[timedelta, ...] = ()
    prompt: bool = False
    quick: bool = False
    single: bool = False
    other: bool = False


class State(NamedTuple):
    """One moment of the whole system. All but the first three are numbers of values.

    `copy` is what Redis may be set back to; `wire` are requests in flight whose replies are lost;
    `actors` are IDLE, GONE, or twice the number of a node, plus one while a sloppy store is at work
    on the actor's Complete.
    """

    moment: int
    losses: int
    faults: int
    rows: int
    copy: int
    storage: int
    wire: int
    reported: int
    actors: tuple[int, ...]


class Step(NamedTuple):
    """A transition between two states; `words` describes it."""

    actor: int
    what: str
    call: int = -1
    reply: int = -1


@dataclass(slots=True)
class Outcome:
    """The result of a search: the number of states, and a shortest trace to each broken promise."""

    states: int
    broken: dict[str, list[str]]


class Search:
    """A breadth-first search of all states of a scenario."""

    def __init__(self, scenario: Scenario, loop: asyncio.AbstractEventLoop) -> None:
        self.scenario = scenario
        kind = scenario.kind
        capabilities = Capabilities(
            source="the model",
            conditional_put=True,
            conditional_complete=kind.conditional,
            conditional_delete=True,
            idempotent_complete=kind.idempotent,
        )
        self.programs = Programs(loop, capabilities, single=scenario.single, quick=scenario.quick)
        self.rows: Numbered[Rows] = Numbered()
        self.storages: Numbered[Storage] = Numbered()
        self.reported: Numbered[tuple[Answer, ...]] = Numbered()
        self.wires: Numbered[tuple[int, ...]] = Numbered()
        self.moments = [START, *(START + passed for passed in scenario.times)]
        numbers = iter(range(1, 10))
        self._verbs = [
            Verb(name, next(numbers) if name == "Initialize" else "") for name in scenario.actors
        ]
        self._performed: dict[tuple[int, int, int, int, int], tuple[int, int, int]] = {}
        errors: tuple[type[Exception], ...] = (
            SessionsUnavailable,
            StorageUnavailable,
            CompleteUnknown,
        )
        self._errors = {error: self.programs.replies.number(error()) for error in errors}
        self._nothing = self.programs.replies.number(None)
        self._rest: dict[tuple[int, ...], tuple[str, ...]] = {}

    def run(self, most: int = 1_000_000, until: str = "") -> Outcome:
        """Visit all states; or stop once the promise `until`, such as "P1", is broken.

        Raises AssertionError if there are more states than `most`.
        """
        first = self._first()
        came_from: dict[State, State | None] = {first: None}
        broken: dict[str, list[str]] = {}
        waiting = [first]
        while waiting:
            found: list[State] = []
            for state in waiting:
                for name in self._broken(state):
                    if name not in broken:
                        broken[name] = self._trace(state, came_from)
                        if until and name.startswith(f"{until} "):
                            return Outcome(len(came_from), broken)
                for _, after in self.steps(state):
                    if after not in came_from:
                        came_from[after] = state
                        found.append(after)
            assert len(came_from) <= most, f"{self.scenario.name}: more than {most} states"
            waiting = found
        return Outcome(len(came_from), broken)

    def steps(self, state: State) -> Iterator[tuple[Step, State]]:
        """Yield every possible next step and state."""
        for actor in range(len(state.actors)):
            yield from self._actor(state, actor)
        yield from self._late(state)
        yield from self._world(state)
        yield from self._redis(state)

    def _first(self) -> State:
        storage = Storage(self.scenario.kind)
        if self.scenario.other:
            opening = self.programs.nodes[self.programs.begin(self._verbs[0], START)].call
            assert opening is not None
            theirs = Object(opening.arguments[0].grant.key, OTHER, "")
            storage = Storage(self.scenario.kind, objects=(theirs,))
        rows = self.rows.number(())
        return State(
            moment=0,
            losses=0,
            faults=0,
            rows=rows,
            copy=rows,
            storage=self.storages.number(storage),
            wire=self.wires.number(()),
            reported=self.reported.number(()),
            actors=(IDLE,) * len(self._verbs),
        )

    # What actors do.

    def _actor(self, state: State, actor: int) -> Iterator[tuple[Step, State]]:
        slot = state.actors[actor]
        if slot == GONE:
            return
        if slot == IDLE:
            for verb in self._may_begin(state, actor):
                node = self.programs.begin(verb, self.moments[state.moment])
                yield from self._call(state, actor, node)
        elif slot % 2:
            yield from self._joining(state, actor, slot // 2)
        else:
            yield from self._call(state, actor, slot // 2)

    def _may_begin(self, state: State, actor: int) -> Iterator[Verb]:
        verb = self._verbs[actor]
        follows = actor and self.scenario.actors[actor - 1] == verb.name
        if follows and state.actors[actor - 1] == IDLE:
            # Actors with the same verb are interchangeable: they begin in order.
            return
        if verb.name in ABOUT_AN_UPLOAD:
            for answer in self.reported[state.reported]:
                if answer.word in HANDED_OUT:
                    yield Verb(verb.name, answer.upload_id)
        elif verb.name == "Sweeper":
            if self.storages[state.storage].open:
                yield verb
        elif verb.name != "Janitor" or self._due(state):
            yield verb

    def _due(self, state: State) -> bool:
        return any(row.due <= self.moments[state.moment] for row in self.rows[state.rows])

    def _call(self, state: State, actor: int, node: int) -> Iterator[tuple[Step, State]]:
        number = self.programs.call_of[node]
        call = self.programs.calls[number]
        if call.seam == "sleep":
            yield from self._sleep(state, actor, node, call)
            return
        rows, storage, reply = self.performed(state, number)
        done = state._replace(rows=rows, storage=storage)
        if self.storages[storage].joining and call.verb == "complete" and reply == self._nothing:
            yield Step(actor, "begun", number), _moved(done, actor, 2 * node + 1)
        else:
            yield Step(actor, "", number, reply), self._answered(done, actor, node, reply)
        if state.faults < self.scenario.faults:
            error = self._errors[_error_of(call)]
            lost = state._replace(faults=state.faults + 1)
            if call.verb not in LOOKING:
                wire = tuple(sorted((*self.wires[state.wire], number)))
                lost = lost._replace(wire=self.wires.number(wire))
            yield Step(actor, "lost", number, error), self._answered(lost, actor, node, error)

    def _joining(self, state: State, actor: int, node: int) -> Iterator[tuple[Step, State]]:
        """Yield a sloppy store's reply to Complete: once the object exists, or lost."""
        number = self.programs.call_of[node]
        grant = self.programs.calls[number].arguments[0]
        if all(m.id != grant.multipart_id for m in self.storages[state.storage].joining):
            reply = self._nothing
            yield Step(actor, "", number, reply), self._answered(state, actor, node, reply)
        if state.faults < self.scenario.faults:
            error = self._errors[CompleteUnknown]
            lost = state._replace(faults=state.faults + 1)
            yield Step(actor, "lost", number, error), self._answered(lost, actor, node, error)

    def _sleep(
        self, state: State, actor: int, node: int, call: Call
    ) -> Iterator[tuple[Step, State]]:
        if call.arguments[0] >= LONG_PAUSE:
            # Half a minute: by then a request to storage has been carried out, or never will be.
            if self.storages[state.storage].joining:
                return
            state = self._without_requests(state, "complete")
        after = self._answered(state, actor, node, self._nothing)
        yield Step(actor, "", self.programs.call_of[node], self._nothing), after

    def _answered(self, state: State, actor: int, node: int, reply: int) -> State:
        after = self.programs.after(node, reply, self.moments[state.moment])
        answer = self.programs.nodes[after].answer
        if answer is None:
            return _moved(state, actor, 2 * after)
        return _moved(
            self._record_answer(state, self.programs.nodes[after].verb, answer), actor, GONE
        )

    def _record_answer(self, state: State, verb: Verb, answer: Answer) -> State:
        if verb.name in ABOUT_AN_UPLOAD and answer.word not in HANDED_OUT:
            answer = Answer(answer.word, verb.argument)
        kept = answer.word in (*HANDED_OUT, "COMPLETED", "ABORTED")
        kept = kept or answer.word.startswith(FAILED)
        reported = self.reported[state.reported]
        if not kept or answer in reported:
            return state
        storage = state.storage
        if answer.word == "opened":
            sent = self.storages[storage].send(grant_of(answer.upload_id).multipart_id)
            storage = self.storages.number(sent)
        reported = tuple(sorted((*reported, answer)))
        return state._replace(reported=self.reported.number(reported), storage=storage)

    def performed(self, state: State, number: int) -> tuple[int, int, int]:
        """Return Redis, storage and the reply after a call."""
        key = state.rows, state.storage, number, state.moment, state.losses
        found = self._performed.get(key)
        if found is None:
            rows, storage = self.rows[state.rows], self.storages[state.storage]
            call = self.programs.calls[number]
            if call.seam == "sessions":
                now = self.moments[state.moment]
                rows, value = ask_sessions(rows, call, now, state.losses)
            else:
                storage, value = storage.ask(call)
            found = self._performed[key] = (
                self.rows.number(rows),
                self.storages.number(storage),
                self.programs.replies.number(value),
            )
        return found

    # What happens besides.

    def _late(self, state: State) -> Iterator[tuple[Step, State]]:
        """Carry out a request whose reply was lost."""
        wire = self.wires[state.wire]
        for place, number in enumerate(wire):
            rows, storage, reply = self.performed(state, number)
            left = self.wires.number(wire[:place] + wire[place + 1 :])
            yield (
                Step(-1, "late", number, reply),
                state._replace(rows=rows, storage=storage, wire=left),
            )

    def _world(self, state: State) -> Iterator[tuple[Step, State]]:
        if state.moment + 1 < len(self.moments):
            later = state._replace(moment=state.moment + 1)
            if self.scenario.prompt:
                later = self._without_senders(self._without_requests(later))
            yield Step(-1, f"it is {self.moments[later.moment]:%d %b %H:%M} now"), later
        storage = self.storages[state.storage]
        for multipart in storage.joining:
            after = self.storages.number(storage.joined(multipart))
            yield Step(-1, f"storage joined {multipart.id}"), state._replace(storage=after)
        if self.scenario.single:
            for answer in self.reported[state.reported]:
                if answer.word == "opened":
                    grant = grant_of(answer.upload_id)
                    after = self.storages.number(storage.put(grant.key, grant.write_token))
                    yield Step(-1, "the client's PUT arrives"), state._replace(storage=after)

    def _redis(self, state: State) -> Iterator[tuple[Step, State]]:
        rows, now = self.rows[state.rows], self.moments[state.moment]
        for sid in leased(rows):
            if not (self.scenario.prompt and self.storages[state.storage].joining):
                after = state._replace(rows=self.rows.number(lease_over(rows, sid, now)))
                if self.scenario.prompt:
                    after = self._without_senders(self._without_requests(after))
                yield Step(-1, f"the lease of {sid[:4]} runs out"), after
        if state.losses < self.scenario.losses:
            empty = self.rows.number(())
            if state.copy == empty and state.rows != empty:
                yield Step(-1, "a copy of Redis is made"), state._replace(copy=state.rows)
            if state.rows != state.copy:
                again = state.losses + 1 < self.scenario.losses
                yield (
                    Step(-1, "Redis is put back"),
                    state._replace(
                        rows=state.copy,
                        copy=state.copy if again else empty,
                        losses=state.losses + 1,
                    ),
                )

    def _without_requests(self, state: State, *verbs: str) -> State:
        """Drop such requests in flight, by default all that were sent under a lease."""
        wire = self.wires[state.wire]
        over = verbs or ("complete", "create", "delete")
        left = tuple(n for n in wire if self.programs.calls[n].verb not in over)
        return state if left == wire else state._replace(wire=self.wires.number(left))

    def _without_senders(self, state: State) -> State:
        """Kill the actors about to send under a lease that they have just checked or taken."""
        for actor, slot in enumerate(state.actors):
            if slot >= 0 and not slot % 2:
                node = self.programs.nodes[slot // 2]
                assert node.call is not None and node.last is not None
                pair = node.call.verb, node.last.verb
                if pair in CHECKED or (self.scenario.quick and pair in CLAIMED):
                    state = _moved(state, actor, GONE)
        return state

    # What must hold.

    def _broken(self, state: State) -> tuple[str, ...]:
        key = (state.moment, state.losses, state.rows, state.storage, state.reported)
        found = self._rest.get(key)
        if found is None:
            found = self._rest[key] = (
                *promises.in_any_state(self, state),
                *promises.at_rest(self, state),
            )
        return found

    # Traces.

    def _trace(self, state: State, came_from: dict[State, State | None]) -> list[str]:
        words: list[str] = []
        before = came_from[state]
        while before is not None:
            step = next(step for step, after in self.steps(before) if after == state)
            words.append(self._words(step))
            state, before = before, came_from[before]
        return words[::-1]

    def _words(self, step: Step) -> str:
        who = self._who(step.actor)
        if step.call < 0:
            return f"{who}{step.what}"
        call = self.programs.calls[step.call]
        said = f"{who}{call.verb}({', '.join(filter(None, map(brief, call.arguments)))})"
        match step.what:
            case "begun":
                return f"{said}: storage begins to join the parts"
            case "lost":
                return f"{said}: the reply is lost ({brief(self.programs.replies[step.reply])})"
            case "late":
                return f"{said} is carried out now, for no one"
        return f"{said} -> {brief(self.programs.replies[step.reply])}"

    def _who(self, actor: int) -> str:
        if actor < 0:
            return ""
        return f"{actor + 1} {self.scenario.actors[actor]}: "


def brief(value: Any) -> str:
    """Return a value in a word or two, for traces."""
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return "(" + ", ".join(map(brief, value)) + ")"
    if hasattr(value, "epoch"):
        held = ", leased" if value.lease_until else ""
        return f"{value.state.name} {value.epoch % 100_000}{held}"
    if hasattr(value, "write_token"):
        return f"token {value.write_token[:2]}"
    if isinstance(value, Exception):
        return type(value).__name__
    if isinstance(value, str):
        return value[:8]
    return str(value) if isinstance(value, bool | int | None) else ""


def _error_of(call: Call) -> type[Exception]:
    if call.seam == "sessions":
        return SessionsUnavailable
    return CompleteUnknown if call.verb == "complete" else StorageUnavailable


def _moved(state: State, actor: int, slot: int) -> State:
    actors = state.actors
    return state._replace(actors=(*actors[:actor], slot, *actors[actor + 1 :]))
