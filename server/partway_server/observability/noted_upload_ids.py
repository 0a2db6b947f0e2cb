"""Note for the log which upload a call is about: a decorator over the cipher of upload IDs."""

from partway_server.domain.grant import Grant
from partway_server.domain.upload_ids import UploadIdCipher
from partway_server.observability.call_context import note_policy_of, note_upload


class NotedUploadIds(UploadIdCipher):
    """Notes each upload that a caller names, whether or not it is the caller's."""

    def encrypt(self, grant: Grant) -> str:
        note_policy_of(grant)
        return super().encrypt(grant)

    def decrypt(self, upload_id: str) -> Grant:
        grant = super().decrypt(upload_id)
        note_upload(grant)
        return grant
