"""Compares answers of the gateway with what the OpenAPI document says of them."""

import json
from collections.abc import Mapping
from typing import Any

import jsonschema

_EVENTS = "text/event-stream"


class AnswerShapes:
    """What each call may answer, by the method and the path of the document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._validators: dict[tuple[str, str, str], jsonschema.Draft202012Validator] = {}

    def wrong_with(self, verb: str, path: str, status: int, kind: str, text: str) -> str:
        """Return how an answer differs from the document, "" if it does not."""
        kind = kind.partition(";")[0].strip()
        if kind == _EVENTS:
            return ""
        if kind != "application/json":
            return f"{status} with content-type {kind!r}"
        validator = self._validator(verb.lower(), path, str(status))
        # A stream is one JSON object a line; every other answer is the only line. Not by
        # `splitlines`, which also parts at what JSON lets stand within text, such as U+0085.
        for line in text.rstrip("\n").split("\n"):
            try:
                answer = json.loads(line)
            except ValueError:
                return f"{status} with a line that is not JSON: {line[:100]!r}"
            for error in validator.iter_errors(answer):
                return f"{status} with {error.json_path}: {error.message[:200]}"
        return ""

    def _validator(self, verb: str, path: str, status: str) -> jsonschema.Draft202012Validator:
        key = (verb, path, status)
        if key not in self._validators:
            responses = self._document["paths"][path][verb]["responses"]
            answer = responses.get(status, responses["default"])
            if "$ref" in answer:
                name = answer["$ref"].rpartition("/")[2]
                answer = self._document["components"]["responses"][name]
            schema = answer["content"]["application/json"]["schema"]
            whole = {**schema, "components": self._document["components"]}
            self._validators[key] = jsonschema.Draft202012Validator(whole)
        return self._validators[key]
