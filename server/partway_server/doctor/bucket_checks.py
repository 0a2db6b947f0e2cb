"""Runs the probes of one bucket in order, and has their results judged.

The order follows the needs: nothing is made in a bucket before it is known that it can be removed.
A check whose need is missing is skipped, and a check that fails is a finding: in every case the
others go on, and what was made is removed.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from partway_server.config.backends import AUTO
from partway_server.config.settings import Settings
from partway_server.doctor import access_checks, behaviour_checks, bucket_rules, capability_check
from partway_server.doctor.capability_check import ObservedCapabilities
from partway_server.doctor.finding import Finding, bad, skipped
from partway_server.doctor.probes import storage_access as ask
from partway_server.doctor.probes.results import BucketFacts, ProbeResponse
from partway_server.doctor.probes.storage_behaviour import BehaviourProbes
from partway_server.doctor.probes.storage_connection import ProbeConnection
from partway_server.doctor.probes.storage_objects import ProbeObjects
from partway_server.doctor.probes.storage_rules import set_cors, set_lifecycle
from partway_server.doctor.settings_checks import in_plain_text
from partway_server.domain.clock import Clock
from partway_server.storage.capabilities import KNOWN, Capabilities
from partway_server.storage.obstacles import OWN

Progress = Callable[[str], None]

_T = TypeVar("_T")

_REMOVAL = ("DeleteObject", "AbortMultipartUpload")
_VERSION_REMOVAL = ("DeleteObjectVersion", "ListBucketVersions")


class BucketExamination:
    """All checks of one bucket, called `where` in the findings.

    The settings describe its backend, and `record` is the name of its capability record with that.
    `observed` is what the bucket was found to do, once it is known. `longest` is the longest life
    of an upload in it, and `headers` are those that policies add to a PUT. `signing` is the
    connection of the principal that signs URLs, if it is another. Each finding is passed to
    `report`.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        record: tuple[str, Capabilities],
        bucket: str,
        where: str,
        longest: timedelta,
        headers: Sequence[str],
        connection: ProbeConnection,
        signing: ProbeConnection | None,
        token: str,
        clock: Clock,
        cors_origin: str,
        fix: bool,
        progress: Progress,
        report: Callable[[Finding], None],
    ) -> None:
        self.observed: ObservedCapabilities | None = None
        self._settings = settings
        self._record = record
        self._bucket = bucket
        self._where = where
        self._longest = longest
        self._headers = tuple(headers)
        self._connection = connection
        self._signing = signing
        self._objects = ProbeObjects(connection, bucket, token)
        self._behaviour = BehaviourProbes(connection, self._objects, clock)
        self._clock = clock
        self._origin = cors_origin
        self._fix = fix
        self._progress = progress
        self._report = report

    async def run(self) -> None:
        """Run every check. The last finding, cancelled or not, is what remains in the bucket."""
        try:
            await self._look()
        finally:
            self._progress("removing what was made")
            left = await self._objects.tidy()
            self._report_all([access_checks.cleanliness(left, self._objects.prefix, self._bucket)])

    def _report_all(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._report(replace(finding, bucket=self._where))

    async def _try(self, what: str, probe: Awaitable[_T]) -> _T | None:
        """Run a probe; if it fails, report that and return None, so that the others go on."""
        self._progress(what)
        try:
            return await probe
        except Exception as exc:
            # The text of the error may contain a URL.
            found = f"the check failed: {type(exc).__name__}"
            self._report_all(
                [bad(f"storage.{what}", found, "This is a bug in the doctor; please report it.")]
            )
            return None

    async def _look(self) -> None:
        reached = await self._try(
            "reachable", ask.reach(self._connection, self._objects, self._clock)
        )
        if reached is None:
            return
        region, addressing = self._settings.s3_region, self._settings.s3_addressing
        backend = OWN if self._where == self._bucket else self._where.partition("/")[0]
        self._report_all(access_checks.reach(reached, self._bucket, region, addressing, backend))
        if not access_checks.usable(reached.answer):
            self._report_all(skipped(_after_first_contact(), "a bucket that answers"))
            return
        facts = await self._try("bucket", ask.bucket_facts(self._connection, self._bucket))
        if facts is None:
            return
        needs = await self._permissions(reached.answer, facts)
        found = await self._behave(needs)
        facts = await self._rules(facts)
        if needs:
            self._report_all(skipped((behaviour_checks.PREFLIGHT,), needs))
        else:
            await self._browser(facts)
        observed = capability_check.observed_capabilities(found, facts)
        self.observed = replace(observed, server=_named(reached.answer))
        self._report_all(self._record_findings(self.observed))
        taken = await self._try("latency", ask.latency(self._connection, self._objects))
        self._report_all(
            [
                access_checks.latency(
                    taken or (), access_checks.LATENCY, "HEAD", access_checks.SLOW_SECONDS
                )
            ]
        )

    def _record_findings(self, observed: ObservedCapabilities) -> Iterator[Finding]:
        name, record = self._record
        if name == AUTO:
            yield capability_check.as_found(observed)
            return
        is_aws = not self._settings.s3_endpoint
        yield from capability_check.agreement(
            name, {**KNOWN, name: record}, observed, is_aws=is_aws
        )

    async def _permissions(self, listing: ProbeResponse, facts: BucketFacts) -> str:
        """Report what is allowed, and return what is lacking to make anything, "" if nothing is."""
        asked = await self._try(
            "permissions", ask.harmless_permissions(self._connection, self._objects, listing)
        )
        if asked is None:
            return "the list of permissions"
        removal: tuple[str, ...] = _REMOVAL
        if facts.versions:
            asked |= await ask.version_permissions(self._connection, self._objects)
            removal = (*_REMOVAL, *_VERSION_REMOVAL)
        asked |= {
            "GetBucketCORS": facts.cors,
            "GetLifecycleConfiguration": facts.lifecycle,
            "GetBucketVersioning": facts.versioning,
        }
        self._report_all(access_checks.permissions(asked, self._bucket))
        needs = access_checks.lacking(asked, removal)
        if not needs and await ask.retention(self._connection, self._bucket):
            needs = "a bucket without default retention"
        if needs:
            needs += ", to remove what it would create"
            self._report_all(
                skipped((f"storage.permission.{a}" for a in access_checks.WRITING), needs)
            )
            return needs
        writing = await self._try(
            "writing", ask.writing_permissions(self._connection, self._objects)
        )
        self._report_all(access_checks.permissions(writing or {}, self._bucket))
        await self._signer()
        return access_checks.lacking(writing or {}, ["PutObject"])

    async def _signer(self) -> None:
        """Report whether the principal that signs URLs may do more than write."""
        if self._signing is None:
            return
        asked = await self._try(
            "signer", ask.signer_permissions(self._connection, self._signing, self._objects)
        )
        self._report_all([access_checks.signer(asked)] if asked else ())

    async def _behave(self, needs: str) -> capability_check.BehaviourFacts:
        if needs:
            self._report_all(skipped((behaviour_checks.PUBLIC, *behaviour_checks.NAMES), needs))
            return capability_check.BehaviourFacts()
        public = await self._try("public", self._behaviour.public_put())
        if public is not None:
            url, own = self._settings.s3_public_endpoint, self._settings.s3_endpoint
            plain = in_plain_text(url or own)
            self._report_all([behaviour_checks.public(public, is_own=not url, plain=plain)])
        refusals = await self._try("signatures", self._behaviour.refusals())
        self._report_all(behaviour_checks.refusals(refusals) if refusals else ())
        conditions = await self._try("conditions", self._behaviour.conditions())
        self._report_all(behaviour_checks.conditions(conditions) if conditions else ())
        checksums = await self._try("checksums", self._behaviour.checksums())
        self._report_all(behaviour_checks.checksums(checksums) if checksums else ())
        multipart = await self._try("multipart", self._behaviour.multipart())
        self._report_all(behaviour_checks.multipart(multipart) if multipart else ())
        return capability_check.BehaviourFacts(conditions, checksums, multipart, refusals)

    @property
    def _own_expiry(self) -> timedelta:
        """Return when storage ends multipart uploads by itself, 0 if it does not."""
        return timedelta(seconds=self._record[1].multipart_seconds)

    async def _rules(self, facts: BucketFacts) -> BucketFacts:
        if self._fix:
            facts = await self._try("fix", self._fix_rules(facts)) or facts
        own = self._where == self._bucket
        endpoint = bucket_rules.endpoint_word(self._settings.s3_endpoint, own=own)
        self._report_all(
            [
                bucket_rules.cors(
                    facts, self._bucket, self._origin, endpoint=endpoint, also=self._headers
                ),
                bucket_rules.lifecycle(
                    facts, self._bucket, self._longest, endpoint=endpoint, own=self._own_expiry
                ),
                bucket_rules.versioning(facts),
            ]
        )
        return facts

    async def _fix_rules(self, facts: BucketFacts) -> BucketFacts:
        """Set the rules that can be set, and read them again: a store may agree and do nothing."""
        cors, lifecycle = facts.cors_rules, facts.lifecycle_rules
        if cors is not None and bucket_rules.cors_problem(cors, self._origin, self._headers):
            wanted = bucket_rules.with_cors(cors, self._origin)
            answer = await set_cors(self._connection, self._bucket, wanted)
            self._report_all([bucket_rules.fixed("cors", "PutBucketCORS", answer, self._bucket)])
        if lifecycle is not None and not self._own_expiry:
            wanted = bucket_rules.with_lifecycle(lifecycle, bucket_rules.enough_days(self._longest))
            if wanted != list(lifecycle):
                answer = await set_lifecycle(
                    self._connection, self._bucket, wanted, facts.lifecycle
                )
                action = "PutLifecycleConfiguration"
                self._report_all([bucket_rules.fixed("lifecycle", action, answer, self._bucket)])
        return await ask.bucket_facts(self._connection, self._bucket)

    async def _browser(self, facts: BucketFacts) -> None:
        origin = bucket_rules.page_origin(facts.cors_rules or (), self._origin)
        headers = [*bucket_rules.BROWSER_HEADERS, *self._headers]
        browser = await self._try("preflight", self._behaviour.browser(origin, headers))
        self._report_all([behaviour_checks.preflight(browser)] if browser else ())


def _after_first_contact() -> tuple[str, ...]:
    """Return the names of all checks that need a bucket."""
    actions = (*access_checks.HARMLESS, *access_checks.WRITING)
    return (
        *(f"storage.permission.{action}" for action in actions),
        behaviour_checks.PUBLIC,
        *behaviour_checks.NAMES,
        *bucket_rules.NAMES,
        behaviour_checks.PREFLIGHT,
        capability_check.RECORD,
        access_checks.LATENCY,
    )


def _named(answer: ProbeResponse) -> str:
    """Return how the store names itself in its answers, as text for a file; "" if it does not."""
    return "".join(c for c in answer.headers.get("server", "") if c.isalnum() or c in " ./-_()")
