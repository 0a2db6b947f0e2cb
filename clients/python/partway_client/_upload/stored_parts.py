"""Finds out which parts storage holds already, and which must be sent."""

from collections.abc import Collection, Sequence

from partway_client._upload.checksums import PartChecksums
from partway_client._upload.context import UploadContext
from partway_client._upload.part_verifier import PartVerifier
from partway_client.errors import PermissionDenied
from partway_client.models import PartInfo, UploadInfo


class StoredParts:
    """The parts of one Upload in storage. What is found there is counted in the meter."""

    def __init__(
        self, context: UploadContext, *, upload: UploadInfo, checksums: PartChecksums
    ) -> None:
        self._context = context
        self._upload = upload
        self._checksums = checksums

    async def from_before(self) -> list[PartInfo]:
        """Return the parts sent before this run that have the bytes of the file.

        A part with nothing to compare is relied on only if no other client began the Upload.
        """
        meter, adopted = self._context.meter, self._context.entry.adopted
        # A single part of another client's Upload is sent in any case.
        listed = [] if adopted and self._upload.part_count == 1 else await self._as_planned()
        verifier = PartVerifier(checksums=self._checksums, meter=meter)
        same = await verifier.same(listed, trusting=not adopted)
        meter.stored(sum(part.size_bytes for part in same), len(same), resumed=True)
        return same

    async def missing(self, again: Collection[int]) -> Sequence[int]:
        """Return the parts that storage lacks, or has with another size; and those in `again`."""
        stored = {
            part.part_number: part.size_bytes
            for part in await self._as_planned()
            if part.part_number not in again
        }
        self._context.meter.stored(sum(stored.values()), len(stored), resumed=False)
        return [n for n in range(1, self._upload.part_count + 1) if n not in stored]

    async def _as_planned(self) -> list[PartInfo]:
        """Return the parts that storage holds with the size in the plan."""
        upload = self._upload
        try:
            listed = await self._context.rpc.list_parts(upload.upload_id)
        except PermissionDenied:
            # The upload token does not allow it: all parts are sent, whatever storage holds.
            return []
        return [part for part in listed if part.size_bytes == upload.part_size(part.part_number)]
