"""Judges what storage does with requests: facts to findings, with no I/O."""

from collections.abc import Iterator, Mapping

from partway_server.doctor.finding import Finding, bad, ok, unclear, warn
from partway_server.doctor.probes.results import (
    BrowserFacts,
    ChecksumFacts,
    Checksums,
    ConditionFacts,
    MultipartFacts,
    ProbeResponse,
    SignatureFacts,
)

PUBLIC, SIGNED = "storage.public", "storage.signature.as_signed"
REFUSALS = {
    "wrong_signature": "a URL with a wrong signature",
    "expired": "an expired URL",
    "other_length": "more bytes than were signed",
    "other_key": "another key than was signed",
}
_MEANING = {
    "wrong_signature": "anyone can write anything into the bucket",
    "expired": "a leaked URL works for ever",
    "other_length": "anyone with a URL can store any amount",
    "other_key": "anyone with a URL can overwrite any object",
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
    "storage.ended_upload",
    "storage.whole_checksum",
)
PREFLIGHT = "storage.cors.preflight"
NAMES = (*SIGNATURES, *CONDITIONS, CONDITIONAL_DELETE, *CHECKSUMS, *MULTIPART)


def public(answer: ProbeResponse, *, is_own: bool, plain: bool) -> Finding:
    """Judge whether callers can upload with presigned URLs. `plain`: over HTTP from elsewhere."""
    which = "the service's own endpoint" if is_own else "the public endpoint"
    variable = "PARTWAY_S3_ENDPOINT" if is_own else "PARTWAY_S3_PUBLIC_ENDPOINT"
    if answer.code == "SignatureDoesNotMatch":
        remedy = (
            "A proxy in front of storage must pass the Host header and the path on unchanged."
            f" Otherwise check the host, the port and the scheme of {variable}."
        )
        return bad(PUBLIC, f"{which} refuses a presigned PUT: {answer}", remedy)
    if not answer.ok:
        remedy = (
            f"Check {variable}: callers send to it, and it must lead to the same bucket."
            " This was tested from here; if only callers reach it, test from their machines."
        )
        return bad(PUBLIC, f"{which} refuses a presigned PUT: {answer}", remedy)
    if plain:
        remedy = (
            f"Give {variable} an https:// address: anyone who sees a URL in transit can use it."
        )
        return warn(PUBLIC, f"{which} accepts a presigned PUT, in plain text", remedy)
    return ok(PUBLIC, f"{which} accepts a presigned PUT")


def refusals(facts: SignatureFacts) -> Iterator[Finding]:
    """Judge whether storage enforces what was signed. It is the only one that does."""
    answer = facts.as_signed
    if answer.ok:
        yield ok(SIGNED, f"a PUT as signed is accepted ({facts.through} endpoint)")
    else:
        remedy = "Nothing can be uploaded: check the clock, the region and the permissions above."
        yield bad(SIGNED, f"a PUT as signed is refused: {answer}", remedy)
    for name, words in REFUSALS.items():
        yield _refusal(name, words, getattr(facts, name), as_signed=answer)


def _refusal(name: str, words: str, answer: ProbeResponse, *, as_signed: ProbeResponse) -> Finding:
    finding = f"storage.signature.{name}"
    if answer.ok:
        remedy = "Do not use this storage, or the proxy in front of it, in production."
        return bad(finding, f"{words}: accepted, so that {_MEANING[name]}", remedy)
    # Where nothing is accepted at all, a refusal proves nothing.
    if not as_signed.ok or not answer.refused:
        return unclear(finding, answer)
    return ok(finding, f"{words}: refused, {answer}")


def conditions(facts: ConditionFacts) -> Iterator[Finding]:
    """Judge the two conditions that prevent overwriting, and the one that protects a delete."""
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
    how = "ignored" if taken.ok else f"not supported ({taken if free.ok else free})"
    remedy = "This storage has no fix: of two writes to one key the last one wins."
    return warn(name, f"If-None-Match is {how}", remedy)


def _match(facts: ConditionFacts) -> Finding:
    name = CONDITIONAL_DELETE
    if facts.delete_honoured is None:
        return unclear(name, facts.delete)
    if facts.delete_honoured:
        return ok(name, f"If-Match is honoured: {facts.delete}")
    how = f"not supported ({facts.delete})" if facts.survived else "ignored"
    remedy = "This storage has no fix: a delete may remove an object that was just written."
    return warn(name, f"If-Match on a delete is {how}", remedy)


def checksums(found: Checksums) -> Iterator[Finding]:
    """Judge each algorithm. Verified: the right value is accepted and a wrong one is not."""
    verified = [str(each) for each in found if found[each].verified]
    for algorithm, facts in found.items():
        name = f"storage.checksum.{algorithm}"
        if facts.verified is None:
            yield unclear(name, facts.wrong if facts.right.ok else facts.right)
        elif facts.verified:
            listed = ", and ListParts reports it" if facts.listed else ""
            yield ok(name, f"a wrong value is refused: {facts.wrong}{listed}")
        else:
            wrong = "a wrong value is accepted" if facts.wrong.ok else f"unsupported: {facts.right}"
            choice = " or ".join(verified) or "none: only TLS protects the bytes"
            yield warn(name, wrong, f"Callers who want parts verified can use {choice}.")


def multipart(facts: MultipartFacts) -> Iterator[Finding]:
    """Judge one multipart upload, from its creation to its end."""
    done = facts.unequal if facts.equal is None else facts.equal
    if done.ok:
        yield ok("storage.multipart", "three parts of at least 5 MiB are joined")
    elif done.refused:
        remedy = "No upload of more than one part can be completed: check the permissions above."
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
    yield _ended(facts.ended)
    yield _whole(facts.whole)


def _equal_parts(facts: MultipartFacts) -> Finding:
    name = "storage.equal_parts"
    if facts.unequal.ok:
        return ok(name, "parts may differ in size")
    if facts.equal is not None and facts.equal.ok:
        return ok(name, "all parts but the last must have one size, as those of Partway do")
    return unclear(name, facts.unequal)


def _small_parts(answer: ProbeResponse) -> Finding:
    name = "storage.small_parts"
    if answer.ok:
        return ok(name, "parts below 5 MiB are joined too; Partway never plans them")
    return (
        ok(name, f"parts below 5 MiB are refused: {answer}")
        if answer.refused
        else unclear(name, answer)
    )


def _metadata(name: str, what: str, kept: bool | None) -> Finding:
    if kept is None:
        return unclear(name, "no object was created")
    if kept:
        return ok(name, f"the metadata of {what} are kept")
    remedy = "Choose another storage: metadata prove outcomes; the service needs them to start."
    return bad(name, f"the metadata of {what} are lost", remedy)


def _again(answer: ProbeResponse | None) -> Finding:
    name = "storage.idempotent_complete"
    if answer is None or not (answer.ok or answer.refused):
        return unclear(name, answer or "nothing was completed before")
    if answer.ok:
        return ok(name, "a repeated Complete succeeds")
    return ok(name, f"a repeated Complete is refused ({answer}); the service uses HEAD instead")


def _resent(facts: MultipartFacts) -> Finding:
    name = "storage.resent_part"
    answer = facts.resending
    remedy = "Do not use this storage: a part whose first transfer broke off would be lost."
    if answer is not None and answer.refused:
        return bad(name, f"a part cannot be sent again: {answer}", remedy)
    if answer is None or not answer.ok or not facts.resent:
        return unclear(name, "the part is not listed" if answer is None or answer.ok else answer)
    if len(facts.resent) > 1:
        return ok(name, f"ListParts lists a part {len(facts.resent)} times after it was sent again")
    if facts.resent[0] == answer.headers.get("etag", "").strip('"'):
        return ok(name, "a part that is sent again replaces the first")
    return bad(name, "a part that is sent again does not replace the first", remedy)


def _listing(facts: MultipartFacts) -> Finding:
    name = "storage.multipart_listing"
    if facts.listed_by_key is None or facts.listed_by_prefix is None:
        return unclear(name, "storage does not list them")
    if not facts.listed_by_key:
        remedy = "Rely on a lifecycle rule: after a crash the service cannot find its own uploads."
        return warn(name, "incomplete uploads are not listed by their key", remedy)
    if not facts.listed_by_prefix:
        return ok(name, "incomplete uploads are listed only by a whole key, which is enough")
    return ok(name, "incomplete uploads are listed, by key and by prefix")


def _ended(answer: ProbeResponse | None) -> Finding:
    name = "storage.ended_upload"
    if answer is not None and answer.ok:
        remedy = (
            "Keep Redis from losing data: the service cannot find out from this storage that an"
            " upload has ended, and takes it for one that is still in progress."
        )
        return warn(
            name, "the parts of an upload that is over are listed as if it were not", remedy
        )
    if answer is None or answer.status != 404:
        return unclear(name, answer or "no upload was ended")
    return ok(name, f"an upload that is over is not found: {answer}")


def _whole(facts: ChecksumFacts | None) -> Finding:
    name = "storage.whole_checksum"
    if facts is None or facts.verified is None:
        return unclear(name, facts.wrong if facts else "nothing was completed before")
    if facts.verified and facts.listed:
        return ok(name, f"a wrong CRC64NVME of the whole is refused at Complete: {facts.wrong}")
    found = "is not returned" if facts.verified else "is not verified at Complete"
    return ok(name, f"the CRC64NVME of the whole {found}; the service computes it from the parts")


def preflight(facts: BrowserFacts) -> Finding:
    """Judge what a browser would do with these responses
    (https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CORS).
    """
    if problem := _browser_problem(facts):
        remedy = (
            "Fix storage.cors; if that is ok, the proxy in front of storage must pass OPTIONS and"
            " the access-control headers on."
        )
        return warn(PREFLIGHT, f"a browser at {facts.origin} {problem}", remedy)
    return ok(PREFLIGHT, f"a browser at {facts.origin} may send parts and read ETag")


def _browser_problem(facts: BrowserFacts) -> str:
    got = facts.preflight.headers
    if not facts.preflight.ok:
        return f"would not send: the preflight is answered {facts.preflight}"
    if got.get("access-control-allow-origin", "") not in ("*", facts.origin):
        return "would not send: the origin is not allowed"
    if not {"PUT", "*"} & {each.upper() for each in _words(got, "access-control-allow-methods")}:
        return "would not send: PUT is not allowed"
    allowed = _words(got, "access-control-allow-headers")
    if "*" not in allowed and (missing := set(facts.asked_headers) - allowed):
        return f"would not send: these headers are not allowed: {', '.join(sorted(missing))}"
    if not {"etag", "*"} & _words(facts.put.headers, "access-control-expose-headers"):
        return "may send, but not read ETag, by which a resumed upload identifies parts"
    return ""


def _words(headers: Mapping[str, str], name: str) -> set[str]:
    return {each.strip().lower() for each in headers.get(name, "").split(",") if each.strip()}
