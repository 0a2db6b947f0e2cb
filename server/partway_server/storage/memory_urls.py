"""Create the URLs of storage in memory, and check the requests that are sent to them.

They begin with `memory://` and state in plain text what they allow: they are not signed, and never
expire.
"""

import base64
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Grant
from partway_server.storage.base import PresignedPart
from partway_server.storage.memory_checksums import CHECKSUMS
from partway_server.storage.presigner import (
    added_headers,
    checksum_header,
    part_headers,
    put_headers,
)


class PutRefused(Exception):
    """Storage refuses a PUT, with an HTTP status and an S3 code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


class MemoryPresigner:
    """Creates the URLs of one upload's parts."""

    def __init__(self, grant: Grant, expire_time: datetime, *, conditional: bool) -> None:
        self.expire_time = expire_time
        self._grant = grant
        self._conditional = conditional

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        grant = self._grant
        place = f"memory://{grant.bucket}/{quote(grant.key)}"
        for number in numbers:
            checksum = checksums.get(number)
            if grant.single:
                headers = put_headers(grant, checksum, conditional=self._conditional)
                query = {"partNumber": str(number), **headers}
            else:
                headers = part_headers(grant, number, checksum)
                query = {"partNumber": str(number), "uploadId": grant.multipart_id, **headers}
            yield PresignedPart(number, f"{place}?{urlencode(query)}", added_headers(headers))


@dataclass(frozen=True, slots=True)
class MemoryPut:
    """A PUT to such a URL: its target and the headers that were signed."""

    bucket: str
    key: str
    number: int
    multipart_id: str
    signed: Mapping[str, str]

    @classmethod
    def parse(cls, url: str, size: int, headers: Mapping[str, str]) -> Self:
        """Parse the URL. Raises PutRefused if `size` or `headers` differ from what was signed."""
        target = urlsplit(url)
        query = parse_qs(target.query, keep_blank_values=True, strict_parsing=True)
        signed = {name: values[0] for name, values in query.items()}
        number, multipart_id = int(signed.pop("partNumber")), signed.pop("uploadId", "")
        sent = {name.lower(): value for name, value in headers.items()}
        if str(size) != signed["content-length"] or any(
            sent.get(name) != value for name, value in signed.items() if name != "content-length"
        ):
            raise PutRefused(403, "SignatureDoesNotMatch")
        return cls(target.netloc, unquote(target.path[1:]), number, multipart_id, signed)

    def checksum(self, body: bytes | int, verified: Collection[Checksum]) -> bytes:
        """Return the checksum of the bytes, by the signed algorithm; b"" for MD5 or none.

        For a size alone, it is the one that was signed. Raises PutRefused if it differs from the
        signed one and the algorithm is among those `verified`.
        """
        for algorithm, compute in CHECKSUMS.items():
            if (encoded := self.signed.get(checksum_header(algorithm))) is None:
                continue
            checksum = compute(body) if isinstance(body, bytes) else base64.b64decode(encoded)
            if checksum != base64.b64decode(encoded) and algorithm in verified:
                raise PutRefused(400, "BadDigest")
            return b"" if algorithm is Checksum.MD5 else checksum
        return b""
