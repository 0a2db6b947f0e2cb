"""The calls of S3 that uploads consist of, in terms of HTTP: headers in, headers or XML out.

Two clients implement them: `s3_lean_calls`, which signs and parses by itself, and `s3_sdk_calls`,
which uses the AWS SDK. What an answer means is decided above, in `s3`, and is the same for both.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

Client = Literal["lean", "sdk"]


Retried = Callable[[str, Exception], None]
"""Is called before a request is repeated, with the operation and what failed before."""


class S3Refusal(Exception):
    """An error response. `code` is S3's, or the status where the response has none.

    An error in the body of a 200 has the status 500.
    """

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status, self.code = status, code


class ListedPart(NamedTuple):
    """A part in a page of ListParts. `fields` are all its elements by their names in the XML.

    `last_modified` is as the store wrote it, "" if it did not.
    """

    number: int
    size_bytes: int
    etag: str
    last_modified: str
    fields: Mapping[str, Any]


class PageOfParts(NamedTuple):
    """A page of ListParts. `truncated` is None if the store does not say whether there is more."""

    parts: Sequence[ListedPart]
    truncated: bool | None


class NamedPart(NamedTuple):
    """A part in CompleteMultipartUpload. `checksum_field` is "" if its checksum is not sent."""

    number: int
    etag: str
    checksum_field: str = ""
    checksum: str = ""


class S3Calls(Protocol):
    """The calls to one endpoint.

    Each raises S3Refusal for an error response, StorageUnavailable if there is no complete answer,
    and StorageRefused if there are no credentials. ListParts, HeadObject and AbortMultipartUpload
    are repeated where that may help; all others are sent once.
    """

    async def create(self, bucket: str, key: str, headers: Mapping[str, str]) -> str:
        """Create a multipart upload, and return its ID."""
        ...

    async def list_parts(
        self, bucket: str, key: str, multipart_id: str, *, after: int, limit: int
    ) -> PageOfParts:
        """Return at most `limit` parts with numbers above `after`."""
        ...

    async def copy_part(
        self, bucket: str, key: str, multipart_id: str, number: int, headers: Mapping[str, str]
    ) -> None:
        """Copy a part from the object that the `headers` name."""
        ...

    async def complete(
        self,
        bucket: str,
        key: str,
        multipart_id: str,
        parts: Sequence[NamedPart],
        headers: Mapping[str, str],
    ) -> None:
        """Join the parts. A normal return means that the answer is a whole result."""
        ...

    async def abort(self, bucket: str, key: str, multipart_id: str) -> None:
        """Discard the multipart upload."""
        ...

    async def head(self, bucket: str, key: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers of an object, with names in lower case."""
        ...

    async def delete(
        self, bucket: str, key: str, version_id: str, headers: Mapping[str, str]
    ) -> None:
        """Delete the object, or one version of it if `version_id` is not empty."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
