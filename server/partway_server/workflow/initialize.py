"""How an Upload begins: from what a caller wants to an open multipart upload in storage.

The row is written before the multipart upload is created, and the key is derived from the sid, so
that an upload whose id was never handed out can still be found by listing exactly that key. The key
also carries a mark, by which it can be told for ours without the row.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import Enum

import msgpack

from partway_server.domain import errors
from partway_server.domain.checksum import BEST_FIRST, Checksum
from partway_server.domain.clock import Clock
from partway_server.domain.errors import FieldViolation, InvalidRequest
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.key_marks import KeyMarks
from partway_server.domain.part_plan import Plan, make_composed_plan, make_plan
from partway_server.domain.policy import Policy
from partway_server.domain.requests import UploadParams
from partway_server.domain.upload import State, Upload, epoch_at
from partway_server.sessions.base import SessionStore
from partway_server.storage.base import Storage
from partway_server.storage.capabilities import Capabilities

OPENING_LEASES = 4
"""How many leases after its Initialize an Upload that was never opened is left to its caller, who
may come back for it with the same request_id."""


COMPOSITION_BYTES = 16
"""How much of the digest of a Compose its id holds."""


class Turn(Enum):
    """What a call to Initialize is to do about the Upload it met."""

    OPEN = "open it"
    REOPEN = "open it, as an earlier call began to"
    LEAVE = "nothing: it is open, or over"


class Opener:
    """Opens Uploads."""

    def __init__(
        self,
        *,
        policies: Mapping[str, Policy],
        marks: KeyMarks,
        sessions: SessionStore,
        storage: Storage,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        lease: timedelta,
    ) -> None:
        self._policies = policies
        self._key_marks = marks
        self._sessions = sessions
        self._storage = storage
        self._clock = clock
        self._random_bytes = random_bytes
        self._lease = lease

    def policy(self, caller: Caller, name: str) -> Policy:
        """The policy of that name. Raises InvalidRequest if the caller may use none."""
        policy = self._policies.get(name)
        # Of a policy that is not theirs, other tenants are not told that there is one.
        if policy is None or not policy.admits(caller):
            raise InvalidRequest([FieldViolation("policy", "there is no such policy")])
        return policy

    async def claim(self, caller: Caller, wanted: UploadParams) -> tuple[Upload, Turn]:
        """The Upload for this request, claimed INITIATING if `open` is to follow.

        Raises InvalidRequest, RequestIdReused, UploadBusy.
        """
        try:
            upload = self._new_upload(caller, wanted)
        except InvalidRequest:
            # A repeat is answered as the first was, though the rules may be others by now.
            row = await self.known(caller, wanted.request_id)
            if row is None or not row.grant.opened or row.request_digest != wanted.digest():
                raise
            return row, Turn.LEAVE
        due = self._clock.now() + OPENING_LEASES * self._lease
        if upload.state is State.ACTIVE:
            due = upload.grant.expire_time
        row, ours = await self._sessions.insert(upload, due, self._lease)
        if ours and row.state is State.INITIATING:
            return row, Turn.OPEN
        if not _same_request(row, upload):
            raise errors.RequestIdReused(wanted.request_id)
        if row.state is not State.INITIATING:
            if not row.grant.opened:
                # The janitor is removing it; after that the request is a new one.
                raise errors.UploadBusy(row.sid)
            return row, Turn.LEAVE
        claimed, granted = await self._sessions.claim(
            row.sid, State.INITIATING, self._lease, seen=row
        )
        if claimed is None or not granted:
            raise errors.UploadBusy(row.sid)
        return claimed, Turn.REOPEN

    async def known(self, caller: Caller, request_id: str) -> Upload | None:
        """The Upload that a request with this request_id made before, if any is remembered."""
        return await self._sessions.get(self._sid(caller, request_id)) if request_id else None

    async def open(self, upload: Upload, turn: Turn, metadata: Mapping[str, str]) -> Upload:
        """Take a claimed INITIATING Upload to ACTIVE. Raises UploadBusy, TryAgain."""
        try:
            multipart_id = await self._multipart(upload, turn, metadata)
        except (errors.StorageUnavailable, errors.StorageRefused):
            await self._sessions.renew(upload.sid, upload.epoch, timedelta())
            raise
        active = upload.activated(multipart_id)
        due = active.look_again(self._clock.now(), self._lease)
        if not await self._sessions.finish(active, due):
            raise errors.UploadBusy(upload.sid)
        return active

    async def _multipart(self, upload: Upload, turn: Turn, metadata: Mapping[str, str]) -> str:
        """S3's id of the upload. An attempt before this one may have created it: it is reused."""
        grant = upload.grant
        if turn is Turn.REOPEN:
            found = await self._storage.list_multiparts(grant)
            for stray in found[1:]:
                await self._storage.abort(grant.with_multipart(stray))
            if found:
                return found[0]
            head = await self._storage.head(grant)
            if head is not None and head.write_token == grant.write_token:
                # It was completed, and the row is an old copy. Parts at the key of the object would
                # stay for ever; so the row goes, and the repeat begins a new Upload.
                await self._sessions.remove(upload.sid, upload.epoch)
                raise errors.UploadBusy(upload.sid)
            # Past its lease the row may be gone, and nobody would know of what is created.
            if not await self._sessions.renew(upload.sid, upload.epoch, self._lease):
                raise errors.UploadBusy(upload.sid)
        return await self._storage.create(grant, metadata)

    def _new_upload(self, caller: Caller, wanted: UploadParams) -> Upload:
        policy = self.policy(caller, wanted.policy)
        allowed = _algorithms(policy, self._storage.capabilities_of(policy.backend))
        plan = self._check_wanted(policy, wanted, allowed)
        now = self._clock.now().replace(microsecond=0)
        sid, write_token = self._sid(caller, wanted.request_id), self._random_bytes(16).hex()
        capabilities = self._storage.capabilities_of(policy.backend)
        most = min(policy.single_put_max_bytes, capabilities.limits.max_part_bytes)
        # An empty part is not portable, so an empty file is one PUT everywhere. Otherwise a PUT
        # that storage would let be replayed over the finished object, or make it public, is not
        # handed out: parts are neither.
        small = wanted.size_bytes <= min(most, wanted.part_size_bytes or most)
        # Storage copies into parts only.
        single = not wanted.sources and (
            wanted.size_bytes == 0 or (capabilities.safe_puts and small)
        )
        if single:
            plan = Plan(wanted.size_bytes, max(plan.part_size_bytes, wanted.size_bytes))
        expire_time = now + timedelta(seconds=policy.upload_seconds)
        marked = self._key_marks.marked(
            sid,
            write_token=write_token,
            expire_time=expire_time,
            bucket=policy.bucket,
            key=policy.key(caller, sid, wanted.file_name, now, wanted.metadata),
        )
        checksum = _chosen(wanted, allowed)
        grant = Grant(
            sid=sid,
            caller=caller,
            policy=policy.name,
            backend=policy.backend,
            bucket=policy.bucket,
            # If Redis forgets the Upload, its sid may come again. Its key may not.
            key=policy.key(caller, marked, wanted.file_name, now, wanted.metadata),
            single=single,
            plan=plan,
            content_type=wanted.content_type,
            checksum=checksum,
            write_token=write_token,
            create_time=now,
            expire_time=expire_time,
            metadata=wanted.metadata if single else {},
            whole_checksum=wanted.whole_checksum if checksum is Checksum.CRC64NVME else b"",
            headers=policy.headers,
            composition=wanted.composition[:COMPOSITION_BYTES],
        )
        return Upload(
            grant,
            # A single PUT needs nothing opened in storage.
            State.ACTIVE if single else State.INITIATING,
            epoch=epoch_at(now),
            fingerprint=wanted.fingerprint,
            request_digest=wanted.digest(),
            metadata=None if single else wanted.metadata,
            sources=wanted.sources,
            delete_sources=wanted.delete_sources,
        )

    def _check_wanted(
        self, policy: Policy, wanted: UploadParams, allowed: Sequence[Checksum]
    ) -> Plan:
        """The plan. Raises InvalidRequest naming every field that the policy does not allow.

        And SourcesNotJoinable.
        """
        wrong = list(
            policy.violations(
                wanted.file_name, wanted.size_bytes, wanted.content_type, wanted.metadata
            )
        )
        if wanted.sources:
            return self._check_composed(policy, wanted, wrong)
        checksum = _chosen(wanted, allowed)
        if checksum not in allowed and (checksum is not Checksum.NONE or policy.checksums):
            able = ", ".join(allowed) or "none"
            what = "the policy allows" if policy.checksums else "storage can verify"
            wrong.append(FieldViolation("checksum_algorithm", f"{what} {able}"))
        if not wrong:
            size = wanted.part_size_bytes or policy.part_size_bytes
            limits = self._storage.capabilities_of(policy.backend).limits
            try:
                return make_plan(wanted.size_bytes, size, policy.part_limits(limits))
            except ValueError as too_large:
                wrong.append(FieldViolation("size_bytes", str(too_large)))
        raise InvalidRequest(wrong)

    def _check_composed(
        self, policy: Policy, wanted: UploadParams, wrong: Sequence[FieldViolation]
    ) -> Plan:
        # Its size is that of its sources, and nobody sends a part that could carry a checksum.
        named = {"size_bytes": "sources"}
        if wrong:
            raise InvalidRequest([replace(v, field=named.get(v.field, v.field)) for v in wrong])
        capabilities = self._storage.capabilities_of(policy.backend)
        return make_composed_plan(
            [source.size_bytes for source in wanted.sources],
            capabilities.limits,
            part_minimum=capabilities.part_minimum,
            equal_parts=capabilities.equal_parts,
        )

    def _sid(self, caller: Caller, request_id: str) -> str:
        """The same for a repeated request, so that the repeat meets the first one's row."""
        if not request_id:
            return self._random_bytes(16).hex()
        named = msgpack.packb((caller.tenant, caller.subject, request_id.lower()))
        return hashlib.sha256(b"partway sid\0" + named).digest()[:16].hex()


def same_composition(row: Upload, composition: bytes) -> bool:
    """Whether the Compose with this digest made `row`, so far as the row tells."""
    if row.request_digest:
        return row.request_digest == composition
    return row.grant.composition == composition[:COMPOSITION_BYTES]


def _algorithms(policy: Policy, can: Capabilities) -> Sequence[Checksum]:
    """What a caller may choose from, the best first: what the policy allows and storage verifies.

    Of what is encrypted an entity tag may be no MD5
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html), and the probe that would
    tell is not encrypted as the policy wants it: so there MD5 is not offered.
    """
    allowed = policy.checksums or BEST_FIRST
    if policy.encryption:
        allowed = tuple(each for each in allowed if each is not Checksum.MD5)
    return [each for each in BEST_FIRST if each in allowed and can.finds_changes(each)]


def _chosen(wanted: UploadParams, allowed: Sequence[Checksum]) -> Checksum:
    if wanted.checksum is not None:
        return wanted.checksum
    return next(iter(allowed), Checksum.NONE)


def _same_request(row: Upload, upload: Upload) -> bool:
    """Whether `upload` is asked for by a repeat of the request that made `row`.

    A row that was rebuilt has no digest: then it is held against what the id tells of the request.
    """
    if row.request_digest:
        return row.request_digest == upload.request_digest
    return _told(row.grant) == _told(upload.grant)


def _told(grant: Grant) -> tuple[object, ...]:
    cut = grant.plan, grant.single, grant.composition
    return grant.policy, *cut, grant.content_type, grant.checksum
