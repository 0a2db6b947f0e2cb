"""Whether an object is an upload's: by its write token and its size, never by its key alone.

A reply that does not arrive says nothing about what storage did, and "an object exists at the key"
does not either. So every request that changes storage ends with this one question, and only its
answer is recorded and returned.
"""

from partway_server.domain.upload import Grant, Source, StoredObject
from partway_server.storage.base import Head, Storage


def verify_object(grant: Grant, head: Head | None) -> StoredObject | None:
    """Return the object if it is certainly this upload's and whole, else None.

    The checksum that a Complete names is not compared: storage was given it when it joined the
    parts, and an object that was acknowledged once must not be doubted by a later caller.
    """
    if head is None or head.write_token != grant.write_token:
        return None
    if head.size_bytes != grant.plan.size_bytes:
        return None
    if head.checksum and grant.whole_checksum not in (b"", head.checksum):
        return None
    return StoredObject(head.size_bytes, head.etag, head.version_id, head.checksum, head.metadata)


def is_source(source: Source, head: Head) -> bool:
    """Return whether the object at the key of a source is still that very one."""
    return (head.etag, head.write_token) == (source.etag, source.write_token)


async def find_object(storage: Storage, grant: Grant) -> StoredObject | None:
    """Return the upload's object if storage has it, verified, else None."""
    return verify_object(grant, await storage.head(grant))
