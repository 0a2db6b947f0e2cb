"""The lists of an S3 store, a page at a time: parts and unfinished uploads.

Stores differ most in how a list goes on: which markers they tell, which they take, and whether they
say that there is more.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from partway_server.domain.grant import Grant
from partway_server.storage.base import MultipartNotFound, StoredPart, UnfinishedUpload
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.s3_client import says_absent, translate_errors
from partway_server.storage.s3_requests import stored_part

_PAGE = 1000


class S3Listing:
    """Reads what the SDK's `client` lists."""

    def __init__(self, *, client: Any, capabilities: Capabilities) -> None:
        self._client = client
        self._capabilities = capabilities

    async def multiparts(self, grant: Grant) -> Sequence[str]:
        """The ids of the unfinished uploads at exactly the grant's key."""
        found: list[str] = []
        marker: dict[str, str] = {}
        while True:
            with translate_errors("ListMultipartUploads"):
                page = await self._client.list_multipart_uploads(
                    Bucket=grant.bucket, Prefix=grant.key, **marker
                )
            uploads = page.get("Uploads", [])
            found += (upload["UploadId"] for upload in uploads if upload["Key"] == grant.key)
            if not uploads or not page.get("IsTruncated"):
                return found
            # Not every store tells the markers: SeaweedFS leaves the key out.
            last = uploads[-1]
            marker = {"KeyMarker": last["Key"], "UploadIdMarker": last["UploadId"]}

    async def unfinished(self, bucket: str, prefix: str) -> AsyncIterator[UnfinishedUpload]:
        """The unfinished uploads at keys that begin with `prefix`, as they are read."""
        if self._capabilities.exact_key_listing_only:
            return
        marker: dict[str, str] = {}
        page = await self._page_of_unfinished(bucket, prefix, marker)
        while True:
            following = _next_page(page) if page.get("IsTruncated") else {}
            # A store that does not go on from a marker would answer with one page for ever.
            more = bool(following) and following != marker
            # The next page is read before this one is told: LocalStack refuses the marker of an
            # upload that the reader has aborted by then.
            ahead = await self._page_of_unfinished(bucket, prefix, following) if more else {}
            for each in page.get("Uploads", []):
                yield UnfinishedUpload(each["UploadId"], each["Key"], each.get("Initiated"))
            if not more:
                return
            page, marker = ahead, following

    async def _page_of_unfinished(
        self, bucket: str, prefix: str, marker: Mapping[str, str]
    ) -> Mapping[str, Any]:
        with translate_errors("ListMultipartUploads"):
            page: Mapping[str, Any] = await self._client.list_multipart_uploads(
                Bucket=bucket, Prefix=prefix, MaxUploads=_PAGE, **marker
            )
        return page

    async def parts(self, grant: Grant, after: int, limit: int | None) -> Sequence[StoredPart]:
        """The parts of a multipart upload. Raises MultipartNotFound."""
        # Where every sending is listed, pages overlap by a part: its sendings may be on both.
        overlap = 1 if self._capabilities.listed_resends else 0
        first = after + 1
        newest: dict[int, Any] = {}
        more = True
        while more and (limit is None or len(newest) < limit):
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(newest) + overlap)
            page = await self._page_of_parts(grant, after, wanted)
            found = page.get("Parts", [])
            for part in found:
                # rclone begins with the marker, not after it.
                if part["PartNumber"] < first:
                    continue
                known = newest.setdefault(part["PartNumber"], part)
                if known["LastModified"] <= part["LastModified"]:
                    newest[part["PartNumber"]] = part
            # rclone tells no IsTruncated, and MinIO has told a marker of 0: so neither is trusted.
            more = bool(found) and page.get("IsTruncated", len(found) == wanted)
            after = max(after + 1, max(newest, default=0) - overlap)
        return [
            stored_part(grant, newest[number], self._capabilities)
            for number in sorted(newest)[:limit]
        ]

    async def _page_of_parts(self, grant: Grant, after: int, wanted: int) -> Any:
        with translate_errors("ListParts"):
            try:
                return await self._client.list_parts(
                    Bucket=grant.bucket,
                    Key=grant.key,
                    UploadId=grant.multipart_id,
                    PartNumberMarker=after,
                    MaxParts=wanted,
                )
            except ClientError as exc:
                if says_absent(exc):
                    raise MultipartNotFound from exc
                raise


def _next_page(page: Mapping[str, Any]) -> dict[str, str]:
    """The markers of the page after this one, as the store tells them.

    SeaweedFS goes by the id alone and leaves the key out: with a key it would list that key only.
    Where neither is told, the last upload is where to go on, as S3 defines the markers
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html).
    """
    names = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
    told = {marker: page[name] for marker, name in names.items() if page.get(name)}
    if told or not page.get("Uploads"):
        return told
    last = page["Uploads"][-1]
    return {"KeyMarker": last["Key"], "UploadIdMarker": last["UploadId"]}
