"""What a run puts into a bucket, and its removal.

A key is recorded before the request that may make something there, so that a lost reply loses
nothing: everything a run makes is at keys of its own, and is found by them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from partway_server.doctor.probes.results import Leftovers, ProbeResponse
from partway_server.doctor.probes.storage_connection import ProbeConnection, uninterrupted
from partway_server.storage.s3_startup_check import PROBE_PREFIX

_TIDY_SECONDS = 60


class ProbeObjects:
    """The keys of one run in `bucket`, all below `prefix`. `token` is random."""

    def __init__(self, connection: ProbeConnection, bucket: str, token: str) -> None:
        self.bucket = bucket
        self.prefix = f"{PROBE_PREFIX}{token}/"
        self._connection = connection
        self._keys: dict[str, None] = {}
        self._multiparts: dict[tuple[str, str], None] = {}

    def key(self, name: str) -> str:
        """Return the key of that name, and remember to remove it."""
        key = self.prefix + name
        self._keys[key] = None
        return key

    def place(self, name: str) -> dict[str, str]:
        """Return the same as arguments of a call."""
        return {"Bucket": self.bucket, "Key": self.key(name)}

    async def open_multipart(
        self, name: str, **arguments: Any
    ) -> tuple[ProbeResponse, dict[str, str]]:
        """Create a multipart upload; return the answer, and the arguments of calls about the
        upload.
        """
        place = self.place(name)

        async def made() -> tuple[ProbeResponse, str]:
            answer = await self._connection.call("create_multipart_upload", **place, **arguments)
            multipart_id = str(answer.reply.get("UploadId", "")) if answer.ok else ""
            if multipart_id:
                self._multiparts[place["Key"], multipart_id] = None
            return answer, multipart_id

        # To its end: the id must be recorded even if we are cancelled.
        answer, multipart_id = await uninterrupted(made())
        return answer, {**place, "UploadId": multipart_id}

    async def tidy(self) -> Leftovers:
        """Remove everything, look again, and return what remains. Runs to its end if cancelled."""
        return await uninterrupted(self._tidy())

    async def _tidy(self) -> Leftovers:
        if not self._keys:
            return Leftovers(0, 0)
        try:
            async with asyncio.timeout(_TIDY_SECONDS):
                await self._abort_all()
                await self._delete_all()
                return await self._left()
        except TimeoutError:
            return Leftovers(None, None)

    async def _abort_all(self) -> None:
        known = {*self._multiparts, *await self._listed_multiparts()}
        await self._each(
            "abort_multipart_upload", [{"Key": key, "UploadId": each} for key, each in known]
        )

    async def _delete_all(self) -> None:
        await self._each("delete_object", [{"Key": key} for key in self._keys])
        # After those: in a bucket with versions each of them left a delete marker.
        await self._each("delete_object", await self._versions())

    async def _left(self) -> Leftovers:
        [objects, multiparts] = await asyncio.gather(
            self._listing("list_objects_v2", self.prefix),
            self._listing("list_multipart_uploads", self.prefix),
        )
        kept = max(len(objects.reply.get("Contents", [])), len(await self._versions()))
        return Leftovers(
            kept if objects.ok else None,
            len(await self._listed_multiparts()) if multiparts.ok else None,
        )

    async def _listed_multiparts(self) -> set[tuple[str, str]]:
        # By each key too: some stores list only for a whole key.
        pages = await asyncio.gather(
            *(self._listing("list_multipart_uploads", each) for each in (self.prefix, *self._keys))
        )
        return {
            (upload["Key"], upload["UploadId"])
            for page in pages
            for upload in page.reply.get("Uploads", [])
            if upload["Key"].startswith(self.prefix)
        }

    async def _versions(self) -> list[dict[str, str]]:
        """Return what a plain delete leaves. Stores without versions list objects as version
        `null`.
        """
        page = await self._listing("list_object_versions", self.prefix)
        return [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in (*page.reply.get("Versions", []), *page.reply.get("DeleteMarkers", []))
            if version["Key"].startswith(self.prefix)
        ]

    async def _listing(self, operation: str, prefix: str) -> ProbeResponse:
        return await self._connection.call(operation, Bucket=self.bucket, Prefix=prefix)

    async def _each(self, operation: str, each: Sequence[Mapping[str, str]]) -> None:
        calls = (self._connection.call(operation, Bucket=self.bucket, **place) for place in each)
        await asyncio.gather(*calls)
