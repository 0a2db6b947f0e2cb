"""Judges a bucket's rules, CORS and lifecycle, and says what they should be. No I/O.

Rules are spelled as S3 does (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CORSRule.html and
API_LifecycleRule.html).
"""

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from partway_server.doctor.finding import Finding, bad, ok, skipped, warn
from partway_server.doctor.probes.results import BucketFacts, ProbeResponse
from partway_server.storage.obstacles import statement
from partway_server.storage.presigner import WRITE_TOKEN

CORS, LIFECYCLE, VERSIONING = "storage.cors", "storage.lifecycle", "storage.versioning"
NAMES = (CORS, LIFECYCLE, VERSIONING)

ANY = "*"
SAMPLE_ORIGIN = "https://app.example"
"""Stands for any origin where all are allowed."""

BROWSER_HEADERS = (
    "content-disposition",
    "content-type",
    "if-none-match",
    "x-amz-checksum-crc32c",
    "x-amz-checksum-crc64nvme",
    "x-amz-checksum-sha256",
    f"x-amz-meta-{WRITE_TOKEN}",
)
"""The headers a page sends with a part. A page cannot set content-length."""

_ID = "partway"
_OPEN = "any web site may use a URL it is given; name yours with --cors-origin"

Rule = Mapping[str, Any]
Rules = Sequence[Rule]


def cors_problem(rules: Rules, origin: str, also: Sequence[str] = ()) -> str:
    """Return why a page at `origin` cannot upload, "" if it can.

    `also` are the headers that policies add to those of every upload. `*` stands for no origin in
    particular: one must be allowed. S3 applies the first rule that matches.
    """
    for rule in rules:
        if "PUT" not in rule.get("AllowedMethods", ()) or not _allows_origin(rule, origin):
            continue
        allowed = [each.lower() for each in rule.get("AllowedHeaders", ())]
        for header in (*BROWSER_HEADERS, *also):
            if not any(fnmatchcase(header, each) for each in allowed):
                return f"the header {header} is not allowed"
        if "etag" not in (each.lower() for each in rule.get("ExposeHeaders", ())):
            return "ETag is not exposed"
        return ""
    return "no rule allows PUT" + ("" if origin == ANY else f" from {origin}")


def _allows_origin(rule: Rule, origin: str) -> bool:
    origins = rule.get("AllowedOrigins", ())
    return origin == ANY or any(fnmatchcase(origin, each) for each in origins)


def page_origin(rules: Rules, origin: str) -> str:
    """Return the origin to send requests as, if none was named."""
    if origin != ANY:
        return origin
    put = [r for r in rules if "PUT" in r.get("AllowedMethods", ())]
    origins = [each for rule in put for each in rule.get("AllowedOrigins", ())]
    return next((each for each in origins if ANY not in each), SAMPLE_ORIGIN)


def with_cors(rules: Rules, origin: str) -> list[Rule]:
    """Return the rules with ours first, where it matches first; what they expose stays exposed."""
    others = [rule for rule in rules if rule.get("ID") != _ID]
    exposed = {
        header
        for rule in rules
        if "PUT" in rule.get("AllowedMethods", ())
        for header in rule.get("ExposeHeaders", ())
    }
    ours = {
        "ID": _ID,
        "AllowedOrigins": [origin],
        "AllowedMethods": ["PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", *sorted(h for h in exposed if h.lower() != "etag")],
        "MaxAgeSeconds": 3600,
    }
    return [ours, *others]


def cors(
    facts: BucketFacts, bucket: str, origin: str, *, endpoint: str, also: Sequence[str] = ()
) -> Finding:
    """Judge the CORS rules. `endpoint` is where storage is, quoted for the shell; empty for AWS."""
    rules = facts.cors_rules
    if facts.cors.forbidden:
        return next(skipped((CORS,), "s3:GetBucketCORS"))
    if rules is None:
        remedy = (
            "Set them in the way of this storage; storage.cors.preflight shows whether it worked."
        )
        return warn(CORS, f"the rules cannot be read: {facts.cors}", remedy)
    if problem := cors_problem(rules, origin, also):
        wanted = json.dumps({"CORSRules": with_cors(rules, origin)})
        command = _command("put-bucket-cors", bucket, "cors-configuration", wanted, endpoint)
        open_to_all = f" (then {_OPEN})" if origin == ANY else ""
        remedy = f"partway-server doctor --fix{open_to_all}, or:\n{command}"
        return warn(CORS, f"no web page can upload: {problem}", remedy)
    put = [r for r in rules if "PUT" in r.get("AllowedMethods", ())]
    origins = sorted({each for rule in put for each in rule.get("AllowedOrigins", ())})
    also = f": {_OPEN}" if ANY in origins else ""
    return ok(CORS, f"web pages at {', '.join(origins)} may upload and read ETag{also}")


def enough_days(longest: timedelta) -> int:
    """Return how many days to keep an incomplete upload: its lifetime, and one for the rounding."""
    return math.ceil(longest / timedelta(days=1)) + 1


def with_lifecycle(rules: Rules, days: int) -> list[Rule]:
    """Return the rules changed so that incomplete uploads end after `days`, and none sooner.

    S3 applies the shortest matching rule, so one that is too short is raised.
    """
    changed = [_raised(rule, days) for rule in rules]
    if any(_whole_bucket(rule) and _abort_days(rule) for rule in changed):
        return changed
    # AWS accepts the old spelling and the new, but not both in one configuration.
    old = any("Filter" not in rule for rule in rules)
    where = {"Prefix": ""} if old else {"Filter": {"Prefix": ""}}
    ours = {
        "ID": _ID,
        "Status": "Enabled",
        **where,
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }
    return [*(rule for rule in changed if rule.get("ID") != _ID), ours]


def _raised(rule: Rule, days: int) -> Rule:
    found = _abort_days(rule)
    if not found or found >= days or not _whole_bucket(rule):
        return rule
    return {**rule, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days}}


def _abort_days(rule: Rule) -> int:
    """Return after how many days the rule aborts, 0 if it does not."""
    if rule.get("Status") != "Enabled":
        return 0
    return int(rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation", 0))


def _prefix(rule: Rule) -> str:
    inner = rule.get("Filter", {})
    places: tuple[Rule, ...] = (inner, inner.get("And", {}), rule)
    return next((str(each["Prefix"]) for each in places if each.get("Prefix")), "")


def _whole_bucket(rule: Rule) -> bool:
    # Such a rule cannot be limited by tags or sizes, only by a prefix.
    return not _prefix(rule)


def lifecycle(
    facts: BucketFacts,
    bucket: str,
    longest: timedelta,
    *,
    endpoint: str,
    own: timedelta = timedelta(0),
) -> Finding:
    """Judge the lifecycle rules. `longest` is the longest life that a policy gives an upload.

    `own` is when storage ends incomplete uploads without a rule, 0 if it does not.
    """
    rules, days = facts.lifecycle_rules, enough_days(longest)
    if own and not (rules and _ending(rules)):
        return _without_rules(own, longest)
    if facts.lifecycle.forbidden:
        return next(skipped((LIFECYCLE,), "s3:GetLifecycleConfiguration"))
    if rules is None:
        remedy = (
            f"Have this storage remove incomplete uploads after {days} days or more, if it can:"
            " after a loss of Redis and of the caller nothing else does."
        )
        return warn(LIFECYCLE, f"the rules cannot be read: {facts.lifecycle}", remedy)
    wanted = json.dumps({"Rules": with_lifecycle(rules, days)})
    option = "lifecycle-configuration"
    command = _command(f"put-bucket-{option}", bucket, option, wanted, endpoint)
    remedy = f"partway-server doctor --fix, or:\n{command}"
    ending = _ending(rules)
    shortest = min(ending, key=lambda prefix: ending[prefix], default="")
    if not ending:
        return warn(LIFECYCLE, "no rule ends incomplete uploads: they may be kept for ever", remedy)
    if timedelta(days=ending[shortest]) < longest:
        found = f"incomplete uploads{_below(shortest)} end after {_days(ending[shortest])}, and a"
        found += f" policy lets uploads take {longest / timedelta(days=1):g}"
        if shortest:
            remedy = f"Raise the days of that rule to {days}, if keys of Partway begin so."
            return warn(LIFECYCLE, found, remedy)
        return bad(LIFECYCLE, found, remedy)
    if "" not in ending:
        return warn(LIFECYCLE, "no rule for the whole bucket ends incomplete uploads", remedy)
    if ending[""] < days:
        found = f"incomplete uploads end after {_days(ending[''])}, which is just enough"
        return warn(LIFECYCLE, found, remedy)
    return ok(LIFECYCLE, f"incomplete uploads end after {_days(ending[''])}; {days} are enough")


def _without_rules(own: timedelta, longest: timedelta) -> Finding:
    found = f"storage itself ends incomplete uploads {own / timedelta(hours=1):g} hours after they"
    found += " began"
    if own > longest:
        return ok(LIFECYCLE, f"{found}; no rule is needed")
    remedy = "Lower upload_seconds and max_upload_seconds of the policies, or have storage wait."
    return bad(LIFECYCLE, f"{found}, and a policy lets uploads take longer", remedy)


def _ending(rules: Rules) -> dict[str, int]:
    """Return after how many days incomplete uploads end, by the prefix of the rule."""
    ending: dict[str, int] = {}
    for rule in rules:
        if days := _abort_days(rule):
            ending[_prefix(rule)] = min(days, ending.get(_prefix(rule), days))
    return ending


def _below(prefix: str) -> str:
    return f" below {prefix!r}" if prefix else ""


def _days(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"


def versioning(facts: BucketFacts) -> Finding:
    """Report whether the bucket keeps versions. Either is good."""
    if facts.versioning.forbidden:
        return next(skipped((VERSIONING,), "s3:GetBucketVersioning"))
    if not facts.versioning.ok:
        return ok(VERSIONING, f"not reported: {facts.versioning}")
    if facts.versions == "Enabled":
        return ok(
            VERSIONING, "kept: what is replaced or removed stays, and is billed, as a version"
        )
    return ok(VERSIONING, "suspended" if facts.versions else "not kept")


def endpoint_word(endpoint: str, *, own: bool) -> str:
    """Return `endpoint` as a word for the shell; `own`: it is that of PARTWAY_S3_ENDPOINT."""
    if not endpoint:
        return ""
    # The variable, so that the line can be pasted where the service is configured.
    return '"$PARTWAY_S3_ENDPOINT"' if own else shlex.quote(endpoint)


def _command(call: str, bucket: str, option: str, value: str, endpoint: str) -> str:
    where = f" --endpoint-url {endpoint}" if endpoint else ""
    return f"aws s3api {call} --bucket {bucket}{where} --{option} {shlex.quote(value)}"


def fixed(what: str, action: str, answer: ProbeResponse, bucket: str) -> Finding:
    """Report the result of setting `what`."""
    name = f"storage.fix.{what}"
    if answer.ok:
        return ok(name, "set")
    if answer.forbidden:
        remedy = f"Add to the policy of the credentials:\n{statement(action, bucket)}"
        return bad(name, f"not set: s3:{action} is refused", remedy)
    return bad(name, f"not set: {answer}", "Set it in the way of this storage.")
