"""Shows an OpenAPI document as a page of Markdown."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = """# The REST API

For authors of clients without gRPC. \
Made by `make openapi` from `proto/partway/v1/`; a test compares. The same, as OpenAPI 3.1, is \
[openapi.json](../openapi.json), for generators of clients and for viewers. \
[callers.md](../callers.md) says how calls follow each other, and [errors.md](errors.md) what \
each reason means.

Names are camelCase, 64-bit integers are strings, and bytes are Base64. An error has a \
`google.rpc.Status` as its body. A call names its caller by one of {schemes}, or not at all \
behind a gateway that does so itself. Beside the errors of each call, any call may answer \
[those of all](#errors-of-any-call).
"""


def render(document: Mapping[str, Any]) -> str:
    """Return the page."""
    schemes = ", ".join(f"`{name}`" for name in document["components"]["securitySchemes"])
    parts = [_HEAD.format(schemes=schemes), "## Calls\n", *_contents(document)]
    for path, verb, operation in _operations(document):
        parts += ["", *_operation(path, verb, operation)]
    parts += ["", "## Errors of any call\n"]
    for status, answer in document["components"]["responses"].items():
        parts += _answer(status, answer)
    parts += ["", "## Messages", ""]
    for name, schema in document["components"]["schemas"].items():
        parts += _schema(name, schema)
    return "\n".join(parts).rstrip() + "\n"


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield path, verb, operation


def _contents(document: Mapping[str, Any]) -> Iterator[str]:
    yield "| call | | |\n|---|---|---|"
    for path, verb, operation in _operations(document):
        name = operation["operationId"]
        yield f"| [{name}](#{name.lower()}) | `{verb.upper()} {path}` | {operation['summary']} |"


def _operation(path: str, verb: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {operation['operationId']}\n\n`{verb.upper()} {path}`\n"
    yield operation["description"] + "\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | |\n|---|---|---|---|"
        for each in parameters:
            about = _about(each["description"], each.get("required", False))
            yield f"| `{each['name']}` | {each['in']} | {_type(each['schema'])} | {about} |"
        yield ""
    if body := operation.get("requestBody"):
        yield from _content("Body", body.get("description", ""), body["content"])
    for status, answer in operation["responses"].items():
        if "$ref" not in answer:
            yield from _answer(status, answer)


def _answer(status: str, answer: Mapping[str, Any]) -> Iterator[str]:
    if status == "200":
        yield from _content("Answer", answer["description"], answer["content"])
    else:
        yield f"**{status}**\n\n{answer['description']}\n"


def _content(title: str, description: str, content: Mapping[str, Any]) -> Iterator[str]:
    for kind, media in content.items():
        schema = media.get("schema", {})
        named = _type(schema) if "$ref" in schema else ""
        yield f"**{title}**, `{kind}`{': ' + named if named else ''}\n"
        if description:
            yield description + "\n"
            description = ""
        if "example" in media:
            shown = media["example"]
            text = shown if isinstance(shown, str) else json.dumps(shown, indent=2)
            yield f"```{'' if isinstance(shown, str) else 'json'}\n{text.rstrip()}\n```\n"


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n{schema['description']}\n"
    required = schema.get("required", [])
    if properties := schema.get("properties"):
        yield "| field | type | |\n|---|---|---|"
        for field, inner in properties.items():
            about = _about(inner.get("description", ""), field in required)
            yield f"| `{field}` | {_type(inner)} | {about} |"
        yield ""


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower().replace('.', '')})"
    if schema.get("type") == "array":
        return f"array of {_type(schema['items'])}"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "additionalProperties" in schema:
        return f"map to {_type(schema['additionalProperties'])}"
    if "const" in schema:
        return f"`{schema['const']}`"
    return str(schema.get("format") or schema.get("contentEncoding") or schema.get("type", "any"))


def _about(description: str, required: bool) -> str:
    text = " ".join(description.split()).replace("|", "\\|")
    return f"**Required.** {text}" if required else text
