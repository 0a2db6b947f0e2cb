"""What a run finds, and how it is found again."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.messages import Call


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken promise. `again` says how to break it again, as JSON."""

    lane: str
    words: str
    again: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2), "utf-8")

    @classmethod
    def load(cls, path: Path) -> "Finding":
        return cls(**json.loads(path.read_text("utf-8")))


def recorded(call: Call) -> dict[str, Any]:
    """Return a call in a form that JSON can hold."""
    pairs = [[k, v.hex() if isinstance(v, bytes) else v] for k, v in call.metadata]
    return {
        "method": call.method,
        "messages": [message.hex() for message in call.messages],
        "metadata": pairs,
    }


def recalled(record: dict[str, Any]) -> Call:
    """Return the call that `recorded` recorded."""
    pairs = tuple(
        (key, bytes.fromhex(value) if key.endswith("-bin") else value)
        for key, value in record["metadata"]
    )
    return Call(record["method"], tuple(map(bytes.fromhex, record["messages"])), pairs)
