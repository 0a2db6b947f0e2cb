"""Which requests wait for storage."""

from typing import Any

from partway.v1 import upload_service_pb2 as pb

STORAGE_RPCS = frozenset(
    {
        *("Initialize", "BatchInitialize", "Complete", "BatchComplete"),
        *("Abort", "ListParts", "Compose"),
    }
)
"""The RPCs that ask storage whatever their request. `StorageTurns` are the further turns of a
batch."""

PART_RPCS = frozenset({"UploadPart", "PutPart"})
"""The RPCs whose parts pass through the service."""

UNQUEUED_RPCS = frozenset({"Watch", *PART_RPCS})
"""RPCs that last long and do little at a time. They have limits of their own."""


def needs_storage(request: Any) -> bool:
    """Return whether a request of one of the other RPCs is answered from storage."""
    if isinstance(request, pb.StatusRequest):
        return request.view == pb.STATUS_VIEW_PROGRESS
    if isinstance(request, pb.PresignPartsRequest | pb.BatchPresignPartsRequest):
        # No ranges are the parts that storage lacks.
        return not request.ranges
    return False
