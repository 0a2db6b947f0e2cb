"""Judges what storage does with requests: facts to findings, with no I/O."""

from collections.abc import Iterator, Mapping

from partway_server.doctor.finding import Finding, bad, ok, unclear, warn
from partway_server.doctor.probes.results import (
    BrowserFacts,
    Checksums,
    ConditionFacts,
    MultipartFacts,
    ProbeResponse,
    SignatureFacts,
)

PUBLIC, SIGNED = "storage.public", "storage.signature.as_signed"
REFUSALS = {
    "wrong_signature": "a URL with a wrong signature",
    "expired": "a URL past its end",
    "other_length": "more bytes than were signed",
    "other_key": "another key than was signed",
}
_MEANING = {
    "wrong_signature": "anybody can write anything into the bucket",
    "expired": "a URL that leaks works for ever",
    "other_length": "who holds a URL can store any amount",
    "other_key": "who holds a URL can overwrite any object",
}
SIGNATURES = (SIGNED, *(f"storage.signature.{name}" for name in REFUSALS))
CONDITIONS = ("storage.conditional_put", "storage.conditional_complete")
CONDITIONAL_DELETE = "storage.conditional_delete"
CHECKSUMS = tuple(f"storage.checksum.{each}" for each in ("crc32c", "crc64nvme", "sha256", "md5"))
MULTIPART = (
    "storage.multipart",
    "storage.equal_parts",
    "storage.small_parts",
    "storage.metadata.multipart",
    "storage.metadata.put",
    "storage.idempotent_complete",
    "storage.resent_part",
    "storage.multipart_listing",
)
PREFLIGHT = "storage.cors.preflight"
NAMES = (*SIGNATURES, *CONDITIONS, CONDITIONAL_DELETE, *CHECKSUMS, *MULTIPART)


def public(answer: ProbeResponse, *, is_own: bool, plain: bool) -> Finding:
    """Whether callers can send by presigned URLs. `plain`: over HTTP, and not on this machine."""
    which = "the service's own endpoint" if is_own else "the public endpoint"
    variable = "PARTWAY_S3_ENDPOINT" if is_own else "PARTWAY_S3_PUBLIC_ENDPOINT"
    if answer.code == "SignatureDoesNotMatch":
        remedy = (
            f"What stands before storage must pass on the Host header and the path as they come; or"
            f" check the host, the port and the scheme of {variable}."
        )
        return bad(PUBLIC, f"{which} does not take a presigned PUT: {answer}", remedy)
    if not answer.ok:
        remedy = (
            f"Check {variable}: callers send to it, and it must lead to the same bucket."
            " It was tried from this machine; if only callers reach it, try it from theirs."
        )
        return bad(PUBLIC, f"{which} does not take a presigned PUT: {answer}", remedy)
    if plain:
        remedy = f"Give {variable} an https:// address: who reads a URL on the way can use it."
        return warn(PUBLIC, f"{which} takes a presigned PUT, in plain text", remedy)
    return ok(PUBLIC, f"{which} takes a presigned PUT")


def refusals(facts: SignatureFacts) -> Iterator[Finding]:
    """Storage is what holds callers to what was signed: one that does not is bad."""
    answer = facts.as_signed
    if answer.ok:
        yield ok(SIGNED, f"a PUT as it was signed is taken ({facts.through} endpoint)")
    else:
        remedy = "Nothing can be uploaded: see the clock, the region and the permissions above."
        yield bad(SIGNED, f"a PUT as it was signed is refused: {answer}", remedy)
    for name, words in REFUSALS.items():
        yield _refusal(name, words, getattr(facts, name), as_signed=answer)


def _refusal(name: str, words: str, answer: ProbeResponse, *, as_signed: ProbeResponse) -> Finding:
    finding = f"storage.signature.{name}"
    if answer.ok:
        remedy = "Do not use this storage, or what stands before it, with Partway in earnest."
        return bad(finding, f"{words}: taken, so that {_MEANING[name]}", remedy)
    # Where nothing is taken at all, a refusal proves nothing.
    if not as_signed.ok or not answer.refused:
        return unclear(finding, answer)
    return ok(finding, f"{words}: refused, {answer}")


def conditions(facts: ConditionFacts) -> Iterator[Finding]:
    """Two ways not to overwrite, and one not to remove what is not ours."""
    yield _none_match(CONDITIONS[0], facts.put_honoured, *facts.put)
    yield _none_match(CONDITIONS[1], facts.complete_honoured, *facts.complete)
    yield _match(facts)


def _none_match(
    name: str, honoured: bool | None, free: ProbeResponse, taken: ProbeResponse
) -> Finding:
    if honoured is None:
        return unclear(name, taken if free.ok else free)
    if honoured:
        return ok(name, f"If-None-Match is honoured: {taken}")
    how = "ignored" if taken.ok else f"not known ({taken if free.ok else free})"
    remedy = "Nothing to mend on this storage: of two writes to one key the last wins."
    return warn(name, f"If-None-Match is {how}", remedy)


def _match(facts: ConditionFacts) -> Finding:
    name = CONDITIONAL_DELETE
    if facts.delete_honoured is None:
        return unclear(name, facts.delete)
    if facts.delete_honoured:
        return ok(name, f"If-Match is honoured: {facts.delete}")
    how = f"not known ({facts.delete})" if facts.survived else "ignored"
    remedy = "Nothing to mend on this storage: a delete may take an object that just came."
    return warn(name, f"If-Match on a delete is {how}", remedy)


def checksums(found: Checksums) -> Iterator[Finding]:
    """Verified: the right value is taken and a wrong one is not."""
    verified = [str(each) for each in found if found[each].verified]
    for algorithm, facts in found.items():
        name = f"storage.checksum.{algorithm}"
        if facts.verified is None:
            yield unclear(name, facts.wrong if facts.right.ok else facts.right)
        elif facts.verified:
            told = ", and ListParts tells it" if facts.listed else ""
            yield ok(name, f"a wrong value is refused: {facts.wrong}{told}")
        else:
            wrong = "a wrong value is taken" if facts.wrong.ok else f"not known: {facts.right}"
            choice = " or ".join(verified) or "none: only TLS guards the bytes"
            yield warn(name, wrong, f"Callers who want parts verified choose {choice}.")


def multipart(facts: MultipartFacts) -> Iterator[Finding]:
    """One multipart upload, from its beginning to its end."""
    done = facts.unequal if facts.equal is None else facts.equal
    if done.ok:
        yield ok("storage.multipart", "an upload of three parts, the least of 5 MiB, is joined")
    elif done.refused:
        remedy = "No upload of more than one part can be completed: see the permissions above."
        yield bad("storage.multipart", f"three parts are not joined: {done}", remedy)
    else:
        yield unclear("storage.multipart", done)
    yield _equal_parts(facts)
    yield _small_parts(facts.small)
    yield _metadata("storage.metadata.multipart", "a multipart upload", facts.token_kept)
    yield _metadata("storage.metadata.put", "a PUT", facts.single_token_kept)
    yield _again(facts.again)
    yield _resent(facts)
    yield _listing(facts)


def _equal_parts(facts: MultipartFacts) -> Finding:
    name = "storage.equal_parts"
    if facts.unequal.ok:
        return ok(name, "parts may differ in size")
    if facts.equal is not None and facts.equal.ok:
        return ok(name, "all parts but the last must have one size, as those of Partway have")
    return unclear(name, facts.unequal)


def _small_parts(answer: ProbeResponse) -> Finding:
    name = "storage.small_parts"
    if answer.ok:
        return ok(name, "parts below 5 MiB are joined, too; no plan of Partway has them")
    return (
        ok(name, f"parts below 5 MiB are refused: {answer}")
        if answer.refused
        else unclear(name, answer)
    )


def _metadata(name: str, what: str, kept: bool | None) -> Finding:
    if kept is None:
        return unclear(name, "there was no object to look at")
    if kept:
        return ok(name, f"the metadata of {what} come back")
    remedy = "Choose another storage: metadata prove outcomes, and the service will not start."
    return bad(name, f"the metadata of {what} are lost", remedy)


def _again(answer: ProbeResponse | None) -> Finding:
    name = "storage.idempotent_complete"
    if answer is None or not (answer.ok or answer.refused):
        return unclear(name, answer or "there was nothing to complete again")
    if answer.ok:
        return ok(name, "a repeated Complete succeeds")
    return ok(name, f"a repeated Complete is refused ({answer}); the service looks by HEAD instead")


def _resent(facts: MultipartFacts) -> Finding:
    name = "storage.resent_part"
    answer = facts.resending
    remedy = "Do not use this storage: a part whose first sending failed half way would be lost."
    if answer is not None and answer.refused:
        return bad(name, f"a part cannot be sent again: {answer}", remedy)
    if answer is None or not answer.ok or not facts.resent:
        return unclear(name, "the part is not listed" if answer is None or answer.ok else answer)
    if len(facts.resent) > 1:
        return ok(name, f"ListParts tells {len(facts.resent)} sendings of one part")
    if facts.resent[0] == answer.headers.get("etag", "").strip('"'):
        return ok(name, "a part that is sent again replaces the first")
    return bad(name, "a part that is sent again does not replace the first", remedy)


def _listing(facts: MultipartFacts) -> Finding:
    name = "storage.multipart_listing"
    if facts.listed_by_key is None or facts.listed_by_prefix is None:
        return unclear(name, "storage does not list")
    if not facts.listed_by_key:
        remedy = "Rely on a lifecycle rule: after a crash the service would not find its own."
        return warn(name, "incomplete uploads are not listed by their key", remedy)
    if not facts.listed_by_prefix:
        return ok(name, "incomplete uploads are listed by a whole key only, which is enough")
    return ok(name, "incomplete uploads are listed, by key and by prefix")


def preflight(facts: BrowserFacts) -> Finding:
    """What a browser would do with what it is told
    (https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CORS)."""
    if problem := _browser_problem(facts):
        remedy = (
            "Mend storage.cors; if that is ok, what stands before storage must pass OPTIONS and the"
            " access-control headers on."
        )
        return warn(PREFLIGHT, f"a browser at {facts.origin} {problem}", remedy)
    return ok(PREFLIGHT, f"a browser at {facts.origin} may send parts and read ETag")


def _browser_problem(facts: BrowserFacts) -> str:
    told = facts.preflight.headers
    if not facts.preflight.ok:
        return f"would not send: the preflight is answered {facts.preflight}"
    if told.get("access-control-allow-origin", "") not in ("*", facts.origin):
        return "would not send: the origin is not allowed"
    if not {"PUT", "*"} & {each.upper() for each in _words(told, "access-control-allow-methods")}:
        return "would not send: PUT is not allowed"
    allowed = _words(told, "access-control-allow-headers")
    if "*" not in allowed and (missing := set(facts.asked_headers) - allowed):
        return f"would not send: these headers are not allowed: {', '.join(sorted(missing))}"
    if not {"etag", "*"} & _words(facts.put.headers, "access-control-expose-headers"):
        return "may send, but not read ETag, by which resuming tells parts apart"
    return ""


def _words(headers: Mapping[str, str], name: str) -> set[str]:
    return {each.strip().lower() for each in headers.get(name, "").split(",") if each.strip()}
