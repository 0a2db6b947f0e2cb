"""Tests that docs/events.md describes the events that are sent."""

import json
import re
import runpy
from pathlib import Path

from partway_server.domain.events import TYPES, EventComposer
from partway_server.domain.upload import State, StoredObject
from partway_server.sessions.redis_keys import EVENT_FIELDS, SHARDS, events_key

from tests.support.clock import START
from tests.support.uploads import an_upload

TEXT = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
WORKER = Path(__file__).parents[2] / "examples" / "worker.py"


def test_it_has_every_type() -> None:
    assert re.findall(r"^\| `(upload\.[a-z]+)` \|", TEXT, re.M) == list(TYPES)


def test_its_example_has_every_field() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", TEXT, re.S)
    upload = an_upload(State.COMPLETED, object=StoredObject(1, "etag"))
    event = EventComposer().finished(upload, START)
    assert event is not None
    shown, sent = json.loads(block), json.loads(event.text)
    assert list(shown) == list(sent)
    assert list(shown["data"]) == list(sent["data"])


def test_it_names_the_streams_and_their_fields() -> None:
    assert f"There are {SHARDS} streams, `{events_key(0)}` to `{events_key(SHARDS - 1)}`" in TEXT
    assert "the fields `{}`, `{}`, `{}` (its sid) and `{}`".format(*EVENT_FIELDS) in TEXT


def test_the_example_worker_reads_those_streams() -> None:
    streams = runpy.run_path(str(WORKER))["STREAMS"]
    assert streams == [events_key(shard) for shard in range(SHARDS)]
