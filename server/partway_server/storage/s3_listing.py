"""List parts and unfinished uploads of an S3 store, page by page.

Stores differ most in pagination: which markers they return, which they accept, and whether they say
that there is more.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.grant import Grant
from partway_server.storage.base import MultipartNotFound, StoredPart, UnfinishedUpload
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.s3_calls import ListedPart, PageOfParts, S3Calls, S3Refusal
from partway_server.storage.s3_client import translate_errors
from partway_server.storage.s3_errors import is_absent, translate_refusal
from partway_server.storage.s3_requests import is_newer, stored_part

_PAGE = 1000

logger = logging.getLogger(__name__)


class S3Listing:
    """Reads lists: of uploads through the SDK's `client`, of parts through `calls`."""

    def __init__(self, *, client: Any, calls: S3Calls, capabilities: Capabilities) -> None:
        self._client = client
        self._calls = calls
        self._capabilities = capabilities

    async def multiparts(self, grant: Grant) -> Sequence[str]:
        """Return the IDs of the unfinished uploads at exactly the grant's key."""
        found: list[str] = []
        marker: dict[str, str] = {}
        while True:
            with translate_errors("ListMultipartUploads"):
                page = _checked(
                    await self._client.list_multipart_uploads(
                        Bucket=grant.bucket, Prefix=grant.key, **marker
                    )
                )
            uploads = page.get("Uploads", [])
            found += (upload["UploadId"] for upload in uploads if upload["Key"] == grant.key)
            if not uploads or not page.get("IsTruncated"):
                return found
            # Not every store returns both markers: SeaweedFS omits the key.
            last = uploads[-1]
            marker = {"KeyMarker": last["Key"], "UploadIdMarker": last["UploadId"]}

    async def unfinished(self, bucket: str, prefix: str) -> AsyncIterator[UnfinishedUpload]:
        """Yield the unfinished uploads at keys that begin with `prefix`, as they are read."""
        if self._capabilities.exact_key_listing_only:
            return
        marker: dict[str, str] = {}
        page = await self._page_of_unfinished(bucket, prefix, marker)
        while True:
            following = _next_page(page) if page.get("IsTruncated") else {}
            # A store that ignores the marker would return the same page forever.
            more = bool(following) and following != marker
            # The next page is read before this one is yielded: LocalStack refuses the marker of an
            # upload that the caller has aborted by then.
            ahead = await self._page_after(bucket, prefix, page, following) if more else {}
            for each in page.get("Uploads", []):
                yield UnfinishedUpload(each["UploadId"], each["Key"], each.get("Initiated"))
            if not more:
                return
            page, marker = ahead, following

    async def _page_after(
        self, bucket: str, prefix: str, page: Mapping[str, Any], marker: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """Return the page after `page`, by key alone if storage refuses its own `marker`.

        versitygw 1.8 does, and LocalStack if that upload is gone by now. By its key alone, more
        uploads at that key would be skipped, so they are listed by the whole key.
        """
        try:
            return await self._page_of_unfinished(bucket, prefix, marker)
        except StorageRefused as refusal:
            key = marker.get("KeyMarker", "")
            if refusal.storage_code not in _MARKER_REFUSALS or not key:
                raise
        known = {each["UploadId"] for each in page.get("Uploads", [])}
        at_key = await self._page_of_unfinished(bucket, key, {})
        if at_key.get("IsTruncated") and at_key["Uploads"][-1]["Key"] == key:
            logger.warning(
                "bucket %s: one key has more than a thousand unfinished uploads, of which storage"
                " lists no more; they show once these are aborted",
                bucket,
            )
        found = await self._page_of_unfinished(bucket, prefix, {"KeyMarker": key})
        skipped = (u for u in at_key.get("Uploads", []) if u["Key"] == key)
        missed = [each for each in skipped if each["UploadId"] not in known]
        return {**found, "Uploads": [*missed, *found.get("Uploads", [])]}

    async def _page_of_unfinished(
        self, bucket: str, prefix: str, marker: Mapping[str, str]
    ) -> Mapping[str, Any]:
        # Without a limit, which S3Proxy refuses with 501: it is a thousand anyway.
        with translate_errors("ListMultipartUploads"):
            return _checked(
                await self._client.list_multipart_uploads(Bucket=bucket, Prefix=prefix, **marker)
            )

    async def parts(self, grant: Grant, after: int, limit: int | None) -> Sequence[StoredPart]:
        """Return the parts of a multipart upload. Raises MultipartNotFound."""
        # Where each re-send is listed, pages overlap by one part: its entries may be on both.
        overlap = 1 if self._capabilities.listed_resends else 0
        first = after + 1
        newest: dict[int, ListedPart] = {}
        more = True
        while more and (limit is None or len(newest) < limit):
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(newest) + overlap)
            page = await self._page_of_parts(grant, after, wanted)
            found = page.parts
            for part in found:
                # rclone begins at the marker, not after it.
                if part.number < first:
                    continue
                known = newest.get(part.number)
                if known is None or is_newer(part, known):
                    newest[part.number] = part
            # rclone omits IsTruncated, and MinIO has returned a marker of 0: neither is trusted.
            says_more = len(found) == wanted if page.truncated is None else page.truncated
            more = bool(found) and says_more
            after = max(after + 1, max(newest, default=0) - overlap)
        return await self._stored(grant, [newest[number] for number in sorted(newest)[:limit]])

    async def _stored(self, grant: Grant, listed: Sequence[ListedPart]) -> Sequence[StoredPart]:
        stored: list[StoredPart] = []
        for at in range(0, len(listed), _PAGE):
            if at:
                await asyncio.sleep(0)  # Others get their turn after each thousand.
            stored += (
                stored_part(grant, part, self._capabilities) for part in listed[at : at + _PAGE]
            )
        return stored

    async def _page_of_parts(self, grant: Grant, after: int, wanted: int) -> PageOfParts:
        with translate_refusal("ListParts"):
            try:
                try:
                    return await self._calls.list_parts(*_at(grant), after=after, limit=wanted)
                except S3Refusal as exc:
                    if exc.status != _NOT_IMPLEMENTED or (after, wanted) == (0, _PAGE):
                        raise
                return await self._all_parts(grant, after)
            except S3Refusal as exc:
                if is_absent(exc.status, exc.code):
                    raise MultipartNotFound from exc
                raise

    async def _all_parts(self, grant: Grant, after: int) -> PageOfParts:
        """Return the parts after a number, of a store that takes no marker and no limit.

        S3Proxy 2.6 is one: it lists all parts of an upload at once.
        """
        page = await self._calls.list_parts(*_at(grant), after=0, limit=_PAGE)
        if page.truncated:
            raise StorageUnavailable
        return PageOfParts([part for part in page.parts if part.number > after], truncated=False)


def _at(grant: Grant) -> tuple[str, str, str]:
    return grant.bucket, grant.key, grant.multipart_id


_NOT_IMPLEMENTED = 501

_MARKER_REFUSALS = frozenset({"400", "InvalidArgument", "InvalidRequest", "NoSuchUpload"})

_OF_A_PAGE = frozenset({"Bucket", "KeyMarker", "MaxUploads", "UploadIdMarker", "Uploads"})


def _checked(page: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a page of uploads. Raises StorageUnavailable for what is not one.

    The SDK does not check what the root is called, and makes an empty page of an empty answer.
    """
    uploads = page.get("Uploads", [])
    if not _OF_A_PAGE & page.keys() or not all("Key" in u and "UploadId" in u for u in uploads):
        raise StorageUnavailable
    return page


def _next_page(page: Mapping[str, Any]) -> dict[str, str]:
    """Return the markers of the next page, as the store returned them.

    SeaweedFS uses the ID alone and omits the key: with a key it would list that key only. If
    neither is returned, continue after the last upload, as S3 defines the markers
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html).
    """
    names = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
    markers = {marker: page[name] for marker, name in names.items() if page.get(name)}
    if markers or not page.get("Uploads"):
        return markers
    last = page["Uploads"][-1]
    return {"KeyMarker": last["Key"], "UploadIdMarker": last["UploadId"]}
