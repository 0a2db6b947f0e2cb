"""Whether an object is an Upload's: by its write token and its size, never by its key alone.

A reply that does not come says nothing about what storage did, and "an object exists at the key"
does not either. So whatever was asked of storage ends with this one question, and only its answer
is recorded and told.
"""

from partway_server.domain.grant import CopySource, Grant
from partway_server.domain.upload import StoredObject
from partway_server.storage.base import Head, Storage


def proof(grant: Grant, head: Head | None) -> StoredObject | None:
    """The object, if it is surely this Upload's and whole.

    What a Complete says of its checksum is no part of it: storage was handed that when it joined
    the parts, and an object that was acknowledged once is not to be doubted by a later caller.
    """
    if head is None or head.write_token != grant.write_token:
        return None
    if head.size_bytes != grant.plan.size_bytes:
        return None
    if head.checksum and grant.whole_checksum not in (b"", head.checksum):
        return None
    return StoredObject(head.size_bytes, head.etag, head.version_id, head.checksum, head.metadata)


def is_source(source: CopySource, head: Head) -> bool:
    """Whether the object at the key of a source is still that very one."""
    return (head.etag, head.write_token) == (source.etag, source.write_token)


async def proven(storage: Storage, grant: Grant) -> StoredObject | None:
    """The object, if storage has it and it is surely this Upload's."""
    return proof(grant, await storage.head(grant))
