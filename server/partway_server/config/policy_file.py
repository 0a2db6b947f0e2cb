"""The policy file: TOML, with a table `[policy.NAME]` or `[backend.NAME]` for each of them.

Reading it tells all that is wrong at once, each with its line, and needs nothing but the file.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from partway_server.config import policy_values as values
from partway_server.config.backends import DEFAULT, Backend, BackendError
from partway_server.config.toml_positions import Path, line_of, lines_of
from partway_server.domain.policy import Policy, PolicyError, Problem
from partway_server.storage.capabilities import KEPT, Capabilities

RULES: Mapping[str, values.Read] = {
    "backend": values.text,
    "bucket": values.text,
    "key_template": values.text,
    "key_metadata": values.texts,
    "min_size_bytes": values.size,
    "max_size_bytes": values.size,
    "part_size_bytes": values.size,
    "min_part_size_bytes": values.size,
    "max_part_size_bytes": values.size,
    "single_put_max_bytes": values.size,
    "content_types": values.texts,
    "extensions": values.extensions,
    "required_metadata": values.texts,
    "checksum": values.checksums,
    "upload_seconds": values.whole,
    "url_seconds": values.whole,
    "max_url_seconds": values.whole,
    "content_disposition": values.text,
    "cache_control": values.text,
    "storage_class": values.text,
    "encryption": values.text,
    "kms_key_id": values.text,
    "tags": values.table,
    "tenants": values.texts,
    "via_service": values.truth,
}
"""The rules of a policy by their names in a file, and how each is read."""

_FIELDS = {"checksum": "checksums"}
"""Rules that a Policy has under another name."""

OF_BACKEND: Mapping[str, values.Read] = {
    f.name: values.text for f in fields(Backend) if f.name != "name"
}
_BACKEND_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SYNTAX_LINE = re.compile(r" \(at line (\d+), column \d+\)$")

T = TypeVar("T", Policy, Backend)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force: policies and backends by name. There is always the backend `default`."""

    policies: Mapping[str, Policy]
    backends: Mapping[str, Backend]


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong with a file: `what` it is about, such as `policy.videos.bucket`.

    `line` is from 1; 0 if it is about none.
    """

    line: int
    what: str
    words: str


class PolicyFileError(Exception):
    """A policy file cannot be used. `problems` are in the order of their lines."""

    def __init__(self, file: str, problems: Collection[FileProblem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda p: p.line))
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """Each problem on a line of its own: FILE:LINE: what: words."""
        return [
            ": ".join(filter(None, (f"{self.file}:{p.line}".removesuffix(":0"), p.what, p.words)))
            for p in self.problems
        ]


def read_rules(file: str, content: bytes, *, bucket: str, default: Backend) -> Rules:
    """The rules in the `content` of `file`. Raises PolicyFileError.

    `bucket` stands in where a policy of the `default` backend names none.
    """
    try:
        # Some editors begin a file with a byte order mark.
        text = content.decode("utf-8-sig")
        tables = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PolicyFileError(file, [FileProblem(line, "", "is not UTF-8; save it so")]) from error
    except tomllib.TOMLDecodeError as error:
        raise PolicyFileError(file, [_syntax(error, content)]) from error
    except (ValueError, RecursionError) as error:
        # Of Python, which reads no number of thousands of digits, and does not nest for ever.
        words = "has a number that is too long, or brackets that are too deep"
        raise PolicyFileError(file, [FileProblem(0, "", words)]) from error
    return _Reading(file, text, tables).rules(bucket, default)


def _syntax(error: tomllib.TOMLDecodeError, content: bytes) -> FileProblem:
    found = _SYNTAX_LINE.search(str(error))
    line = int(found[1]) if found else content.count(b"\n") + 1
    return FileProblem(line, "", f"is no TOML: {_SYNTAX_LINE.sub('', str(error))}")


class _Reading:
    """One look through a file. Problems are gathered on the way."""

    def __init__(self, file: str, text: str, tables: Mapping[str, Any]) -> None:
        self._file = file
        self._lines = lines_of(text)
        self._tables = tables
        self._problems: list[FileProblem] = []

    def rules(self, bucket: str, default: Backend) -> Rules:
        self._top_level()
        backends = {DEFAULT: default}
        for name, rules in self._named("backend"):
            if (backend := self._backend(name, rules)) is not None:
                backends[name] = backend
        policies: dict[str, Policy] = {}
        for name, rules in self._named("policy"):
            own = rules.get("backend", DEFAULT) == DEFAULT
            policy = self._policy(name, {"bucket": bucket, **rules} if own else rules)
            if policy is not None:
                policies[name] = policy
                self._fits(policy, backends)
        if not policies and not self._problems:
            self._add((), "has no policy in it; begin one with [policy.default]")
        if self._problems:
            raise PolicyFileError(self._file, self._problems)
        return Rules(policies, backends)

    def _top_level(self) -> None:
        for name, value in self._tables.items():
            if name in ("policy", "backend"):
                continue
            words = "stands in no table; move it below a [policy.NAME]"
            if isinstance(value, dict):
                words = f"is not read: name it [policy.{name}], if it is a policy"
            self._add((name,), words)

    def _named(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The tables of a kind, by name."""
        tables = self._tables.get(kind, {})
        if not isinstance(tables, dict):
            self._add((kind,), f"is no table of tables; begin one with [{kind}.NAME]")
            return
        for name, rules in tables.items():
            if isinstance(rules, dict):
                yield name, rules
            else:
                self._add((kind, name), f"is no table; begin one with [{kind}.NAME]")

    def _backend(self, name: str, rules: Mapping[str, Any]) -> Backend | None:
        path = ("backend", name)
        if name == DEFAULT:
            self._add(path, "is what the PARTWAY_S3_ settings describe; take another name")
            return None
        if not _BACKEND_NAME.fullmatch(name):
            self._add(path, "is no name of a backend: 1 to 64 of a-z, 0-9, _, -")
        found, bad = self._values(path, rules, OF_BACKEND)
        return self._made(path, lambda: Backend(name=name, **found), bad)

    def _policy(self, name: str, rules: Mapping[str, Any]) -> Policy | None:
        path = ("policy", name)
        found, bad = self._values(path, rules, RULES)
        if "bucket" not in found and "bucket" not in bad:
            bad.add("bucket")
            words = "is not set, and PARTWAY_BUCKET is of the backend default; name one"
            self._add((*path, "bucket"), words)
        found.setdefault("bucket", "?")
        named = {_FIELDS.get(rule, rule): value for rule, value in found.items()}
        return self._made(path, lambda: Policy(name=name, **named), bad)

    def _values(
        self, path: Path, rules: Mapping[str, Any], known: Mapping[str, values.Read]
    ) -> tuple[dict[str, Any], set[str]]:
        """The values of the rules that can be read, and the names of those that cannot."""
        found: dict[str, Any] = {}
        bad: set[str] = set()
        for rule, value in rules.items():
            if rule not in known:
                near = difflib.get_close_matches(rule, known, 1)
                words = "there is no such rule" + (f"; is {near[0]} meant?" if near else "")
                self._add((*path, rule), words)
                continue
            try:
                found[rule] = known[rule](value)
            except ValueError as error:
                self._add((*path, rule), str(error))
                bad.add(rule)
        return found, bad

    def _made(self, path: Path, make: Callable[[], T], bad: Collection[str]) -> T | None:
        """What the rules make, if they hold together. What was said of `bad` is not said again."""
        try:
            return make()
        except (PolicyError, BackendError) as error:
            for rule, words in error.problems:
                if rule not in bad:
                    self._add(path if rule == "name" else (*path, rule), words)
            return None

    def _fits(self, policy: Policy, backends: Mapping[str, Backend]) -> None:
        path = ("policy", policy.name)
        if (backend := backends.get(policy.backend)) is None:
            # Of one with a fault, the fault has been told.
            if policy.backend not in dict(self._named("backend")):
                known = ", ".join(sorted(backends))
                words = f"there is no [backend.{policy.backend}]; there are {known}"
                self._add((*path, "backend"), words)
            return
        for rule, words in unfit(policy, backend.capabilities):
            kind = f"the backend {backend.name!r} ({backend.known_as})"
            self._add((*path, rule), f"{kind} {words}")

    def _add(self, path: Path, words: str) -> None:
        # A name in quotes may hold anything: here it is on one line, and harmless to a terminal.
        what = ".".join(
            name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=not name.isprintable())
            for name in path
        )
        self._problems.append(FileProblem(line_of(self._lines, path), what, words))


def unfit(policy: Policy, can: Capabilities) -> Iterator[Problem]:
    """What of a policy its storage cannot do, in words that follow the storage's name."""
    for rule in sorted(KEPT - can.keeps):
        if getattr(policy, rule):
            yield rule, "is not known to keep it; leave the rule out, or take another backend"
    if policy.checksums and not any(can.finds_changes(each) for each in policy.checksums):
        yield "checksum", "can verify none of these; allow another"
    if policy.max_part_size_bytes < can.limits.min_part_bytes:
        yield "max_part_size_bytes", f"takes no part below {can.limits.min_part_bytes}; raise it"
    if policy.min_part_size_bytes > can.limits.max_part_bytes:
        yield "min_part_size_bytes", f"takes no part above {can.limits.max_part_bytes}; lower it"
