"""ExtendUpload: a later deadline, and with it another ID.

The deadline is in the ID, and every ID that was handed out goes on to work: the sid and the write
token, which never change, say which upload it is. While there is a session record, its deadline
counts, whichever ID is presented. If Redis loses the record, it is rebuilt with the deadline of the
ID that is presented, and `resolver` moves that as soon as an ID with a later one is presented.
"""

from datetime import datetime, timedelta

from partway_server.domain import errors
from partway_server.domain.errors import FieldViolation, InvalidRequest
from partway_server.domain.grant import Caller, Grant
from partway_server.domain.upload import Upload
from partway_server.workflow.deps import Deps
from partway_server.workflow.resolver import Resolver

_ATTEMPTS = 4
"""Each fails only if another call changed the upload since it was looked at."""


class ExtendUpload:
    """Gives uploads later deadlines."""

    def __init__(self, deps: Deps, resolver: Resolver) -> None:
        self._deps = deps
        self._resolver = resolver

    async def __call__(self, caller: Caller, upload_id: str, expire_time: datetime) -> Upload:
        """Return the ACTIVE upload with this deadline, or with its own if that is later.

        Raises InvalidRequest, UploadNotFound, UploadNotActive, UploadBusy.
        """
        resolver, grant = self._resolver, self._resolver.grant(caller, upload_id)
        for _ in range(_ATTEMPTS):
            # A record that is stale may be that of an upload which has ended.
            upload = resolver.active(await resolver.current(await resolver.active_row(grant)))
            if expire_time <= upload.grant.expire_time:
                return upload
            self._check(upload.grant, expire_time)
            row, extended = await resolver.extend(upload, expire_time)
            if row is not None and extended:
                return row
        raise errors.UploadBusy(grant.sid)

    def _check(self, grant: Grant, expire_time: datetime) -> None:
        """Refuse a deadline past what the policy allows, now and when the upload began.

        The key has what it allowed then. A sweep of storage relies on that. Raises InvalidRequest.
        """
        latest = grant.expire_time
        if policy := self._deps.policies.get(grant.policy):
            latest = grant.create_time + timedelta(seconds=policy.max_upload_seconds)
        # Without a mark, its sealing key is gone, and no sweep takes the upload for an orphan.
        if mark := self._deps.key_marks.read(grant.bucket, grant.key):
            latest = min(latest, mark.expire_time)
        if expire_time > latest:
            words = f"the policy allows at most {max(latest, grant.expire_time):%Y-%m-%dT%H:%M:%SZ}"
            raise InvalidRequest([FieldViolation("expire_time", words)])
