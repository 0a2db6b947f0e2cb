"""Judges whether the capability record of the backend agrees with what was observed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from partway_server.doctor.finding import Finding, bad, ok, warn
from partway_server.doctor.probes.results import (
    BucketFacts,
    ChecksumFacts,
    Checksums,
    ConditionFacts,
    MultipartFacts,
    ProbeResponse,
    SignatureFacts,
)
from partway_server.domain.checksum import Checksum
from partway_server.storage.capabilities import Capabilities

RECORD = "storage.record"

_GIFTS = {
    "conditional_put": "honours If-None-Match on a PUT",
    "conditional_complete": "honours If-None-Match on Complete",
    "conditional_delete": "honours If-Match on a delete",
    "idempotent_complete": "lets Complete be repeated",
    "listed_checksums": "reports checksums in ListParts",
    "whole_checksum": "verifies the CRC64NVME of a whole object",
    "lifecycle": "supports the calls for lifecycle rules",
    "cors_api": "supports the calls for CORS rules",
}
_BURDENS = {
    "equal_parts": "requires parts of one size",
    "exact_key_listing_only": "lists incomplete uploads by a whole key only",
    "listed_resends": "lists a part once for each time it was sent",
    "unsigned_headers": "accepts headers of storage that were not signed",
}
"""Fields that are true of a store that needs more care."""

_NO_RECORD = "No record fits; `partway-server doctor --write-record FILE` writes one that does."

TRIED = (*_GIFTS, *_BURDENS)
"""The fields of the record that the doctor tries; the test suites of this project cover the others.
"""

_UNREAD = {"equal_parts", "idempotent_complete", "lifecycle", "cors_api"}
"""Fields that only document: the service behaves the same either way."""


@dataclass(frozen=True, slots=True)
class BehaviourFacts:
    """What was probed; None if it was not."""

    conditions: ConditionFacts | None = None
    checksums: Checksums | None = None
    multipart: MultipartFacts | None = None
    signatures: SignatureFacts | None = None


@dataclass(frozen=True, slots=True)
class ObservedCapabilities:
    """What a store was observed to do, in the terms of the record; None, or absent, if unknown.

    `checksums`: whether each algorithm is verified. `server` is how the store names itself.
    """

    fields: Mapping[str, bool | None]
    checksums: Mapping[Checksum, bool | None]
    server: str = ""


def observed_capabilities(facts: BehaviourFacts, bucket: BucketFacts) -> ObservedCapabilities:
    """Return the facts in the terms of the record."""
    conditions, checksums = facts.conditions, facts.checksums
    fields: dict[str, bool | None] = {
        "lifecycle": _call_works(bucket.lifecycle, bucket.lifecycle_rules),
        "cors_api": _call_works(bucket.cors, bucket.cors_rules),
    }
    if conditions is not None:
        fields["conditional_put"] = conditions.put_honoured
        fields["conditional_complete"] = conditions.complete_honoured
        fields["conditional_delete"] = conditions.delete_honoured
    if facts.multipart is not None:
        fields |= _of_multipart(facts.multipart)
    if facts.signatures is not None:
        fields["unsigned_headers"] = facts.signatures.takes_unsigned_headers
    verified: dict[Checksum, bool | None] = {}
    if checksums is not None:
        verified = {Checksum(each): f.verified for each, f in checksums.items()}
        # An MD5 shows in the entity tag.
        listed = [each for each in verified if verified[each] and each is not Checksum.MD5]
        reported = [checksums[each].listed for each in listed]
        fields["listed_checksums"] = all(reported) if reported else None
    return ObservedCapabilities(fields, verified)


def _call_works(answer: ProbeResponse, rules: object) -> bool | None:
    """Return whether storage supports the call. A 403 says nothing about that."""
    if rules is not None:
        return True
    return False if answer.status in (400, 405, 501) else None


def _of_multipart(facts: MultipartFacts) -> dict[str, bool | None]:
    equal = facts.equal is not None and facts.equal.ok
    again = facts.again
    by_key, by_prefix = facts.listed_by_key, facts.listed_by_prefix
    return {
        "equal_parts": False if facts.unequal.ok else True if equal else None,
        "idempotent_complete": again.ok if again and (again.ok or again.refused) else None,
        "exact_key_listing_only": not by_prefix if by_key and by_prefix is not None else None,
        "listed_resends": len(facts.resent) > 1 if facts.resent else None,
        "whole_checksum": _of_whole(facts.whole),
    }


def _of_whole(facts: ChecksumFacts | None) -> bool | None:
    if facts is None or facts.verified is None:
        return None
    return facts.verified and facts.listed


def agreement(
    kind: str, known: Mapping[str, Capabilities], found: ObservedCapabilities, *, is_aws: bool
) -> Iterator[Finding]:
    """Yield a finding for each disagreement, or one that says there is no disagreement.

    `is_aws`: no other endpoint is set. Elsewhere the record of AWS is never suggested.
    """
    record = known[kind]
    more, less = _claims(record, found)
    better = _better(kind, known, found, is_aws=is_aws)
    change = f"PARTWAY_BACKEND={better} fits what was found." if better else ""
    for name in more:
        found_is = _found_is(name)
        if name in _UNREAD:
            meaning = "the service does not rely on it"
            judge = warn
        else:
            meaning, judge = "the service relies on that", bad
        words = f"storage {found_is}, but the record of {kind!r} says otherwise: {meaning}"
        yield judge(
            f"{RECORD}.{name}",
            words,
            change or _NO_RECORD,
        )
    for name in less:
        words = (
            f"storage {_found_is(name, better=True)}, which the record of {kind!r} leaves unused"
        )
        remedy = change or "Nothing breaks; `partway-server doctor --write-record FILE` uses it."
        yield warn(f"{RECORD}.{name}", words, remedy)
    if not more and not less:
        yield ok(RECORD, f"the record of {kind!r} agrees with what was found")


def measured(found: Sequence[ObservedCapabilities]) -> dict[str, bool | frozenset[Checksum]]:
    """Return what holds in all buckets of a backend. What is doubtful counts against it."""
    record: dict[str, bool | frozenset[Checksum]] = {
        name: all(each.fields.get(name) for each in found) for name in _GIFTS
    }
    for name in _BURDENS:
        record[name] = not all(each.fields.get(name) is False for each in found)
    algorithms = {algorithm for each in found for algorithm in each.checksums}
    record["checksums"] = frozenset(
        each for each in algorithms if all(one.checksums.get(each) for one in found)
    )
    return record


def doubtful(found: Sequence[ObservedCapabilities]) -> tuple[str, ...]:
    """Return what the service would use and could not be found out, of any bucket of a backend."""
    names = [
        name
        for name in TRIED
        if name not in _UNREAD and any(_is_open(each, name) for each in found)
    ]
    algorithms = {a for each in found for a, verified in each.checksums.items() if verified is None}
    return (*names, *sorted(f"checksums.{algorithm}" for algorithm in algorithms))


def _is_open(found: ObservedCapabilities, name: str) -> bool:
    if found.fields.get(name) is not None:
        return False
    # Storage that verifies no checksum has none to list.
    return name != "listed_checksums" or not found.checksums


def source_of(found: Sequence[ObservedCapabilities], now: datetime) -> str:
    """Return the source of a record that was measured."""
    server = next((each.server for each in found if each.server), "")
    store = f" of a store that calls itself {server}" if server else ""
    return f"measured on {now:%Y-%m-%d}{store}"


def as_found(found: ObservedCapabilities) -> Finding:
    """Report what a backend of the kind `auto` is used for."""
    record = measured([found])
    gifts = [words for name, words in _GIFTS.items() if record[name] and name not in _UNREAD]
    burdens = [words for name, words in _BURDENS.items() if record[name]]
    algorithms = sorted(str(a) for a in found.checksums if found.checksums[a])
    gifts += [f"verifies {', '.join(algorithms)}"] if algorithms else []
    return ok(RECORD, f"a start uses it as found: storage {'; '.join([*gifts, *burdens])}")


def _claims(record: Capabilities, found: ObservedCapabilities) -> tuple[list[str], list[str]]:
    """Return where a record claims more than was observed, and where less."""
    more: list[str] = []
    less: list[str] = []
    for name in TRIED:
        truth = found.fields.get(name)
        claimed = getattr(record, name)
        if truth is None or truth == claimed:
            continue
        (more if claimed == (name in _GIFTS) else less).append(name)
    for algorithm, verified in found.checksums.items():
        if verified is not None and verified != (algorithm in record.checksums):
            (less if verified else more).append(f"checksums.{algorithm}")
    return more, less


def _better(
    kind: str, known: Mapping[str, Capabilities], found: ObservedCapabilities, *, is_aws: bool
) -> str:
    """Return a record that is what was found, if it is not `kind`, or "".

    What only documents does not count. A record that fits in part is that of another store, whose
    name would mislead: to measure one is as easy.
    """
    fits: list[tuple[int, bool, bool, str]] = []
    for name, record in known.items():
        more, less = _claims(record, found)
        if {*more, *less} <= _UNREAD and (is_aws or name != "aws"):
            # Among equals prefer one with a name of its own: its limits are those of that store.
            fits.append((len(more) + len(less), name != kind, name == "generic", name))
    best = min(fits)[-1] if fits else kind
    return "" if best == kind else best


def _found_is(name: str, *, better: bool = False) -> str:
    """Describe what storage was observed to do: better than the record says, or worse."""
    algorithm = name.removeprefix("checksums.")
    if algorithm != name:
        return f"verifies {algorithm}" if better else f"does not verify {algorithm}"
    words = _GIFTS.get(name) or _BURDENS[name]
    if better == (name in _GIFTS):
        return words
    verb, _, rest = words.partition(" ")
    return f"is not one that {verb} {rest}"
