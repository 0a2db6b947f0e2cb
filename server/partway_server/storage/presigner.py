"""Presign parts: the headers that a client must send, and the URLs that require them."""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from partway_server.domain.checksum import Checksum
from partway_server.domain.grant import Grant
from partway_server.domain.policy import DISPOSITION
from partway_server.storage.base import PresignedPart
from partway_server.storage.sigv4 import PartSigner, Signer

WRITE_TOKEN = "partway-token"
"""The metadata key of the write token."""


def object_headers(grant: Grant) -> dict[str, str]:
    """Return the headers that describe the object, except its metadata."""
    return {
        "content-type": grant.content_type,
        "content-disposition": DISPOSITION,
        **grant.headers,
    }


def part_headers(grant: Grant, number: int, checksum: bytes | None) -> dict[str, str]:
    """Return the headers to sign of one part of a multipart upload."""
    headers = {"content-length": str(grant.plan.size(number))}
    if checksum is not None:
        headers[checksum_header(grant.checksum)] = base64.b64encode(checksum).decode("ascii")
    return headers


def checksum_header(algorithm: Checksum) -> str:
    """Return the name of S3's header for a checksum; for MD5 it is HTTP's own (RFC 1864)."""
    return "content-md5" if algorithm is Checksum.MD5 else f"x-amz-checksum-{algorithm}"


def put_headers(grant: Grant, checksum: bytes | None, *, conditional: bool) -> dict[str, str]:
    """Return the headers to sign of a single PUT, with those of CreateMultipartUpload."""
    headers = part_headers(grant, 1, checksum)
    headers |= object_headers(grant)
    headers |= {f"x-amz-meta-{name}": value for name, value in grant.metadata.items()}
    headers[f"x-amz-meta-{WRITE_TOKEN}"] = grant.write_token
    if conditional:
        headers["if-none-match"] = "*"
    return headers


def added_headers(signed: Mapping[str, str]) -> dict[str, str]:
    """Return the signed headers that a caller must add to a request.

    Every HTTP client sends the content-length by itself, and a page in a browser may not set it.
    """
    return {name: value for name, value in signed.items() if name != "content-length"}


class PartPresigner:
    """Presigns the parts of a multipart upload."""

    def __init__(self, grant: Grant, parts: PartSigner, expire_time: datetime) -> None:
        self.expire_time = expire_time
        self._grant = grant
        self._parts = parts

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        return self._sign_each(numbers, checksums) if checksums else self._sign_plain(numbers)

    def _sign_plain(self, numbers: Iterable[int]) -> Iterator[PresignedPart]:
        """Yield parts that differ only in their number. Those of one size share their headers."""
        plan, count = self._grant.plan, self._grant.plan.part_count
        headers: dict[str, str] = {}
        last_headers: dict[str, str] = {}
        url = self._parts.of_size(plan.size(1))
        last_url = self._parts.of_size(plan.last_part_size_bytes)
        for number in numbers:
            if number < count:
                yield PresignedPart(number, url(number), headers)
            else:
                yield PresignedPart(number, last_url(number), last_headers)

    def _sign_each(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        """Yield parts with a checksum each, or without one."""
        plan, count = self._grant.plan, self._grant.plan.part_count
        name = checksum_header(self._grant.checksum)
        url = self._parts.of_checksum(plan.size(1), name)
        last_url = self._parts.of_checksum(plan.last_part_size_bytes, name)
        for number in numbers:
            checksum = checksums.get(number)
            if checksum is None:
                yield from self._sign_plain([number])
                continue
            encoded = binascii.b2a_base64(checksum, newline=False).decode("ascii")
            signed = url(number, encoded) if number < count else last_url(number, encoded)
            yield PresignedPart(number, signed, {name: encoded})


class SinglePresigner:
    """Presigns the single PUT of a whole object, for `seconds` from `signed_at` by storage's clock.

    `expire_time` is the end of that by this machine's.
    """

    def __init__(
        self,
        grant: Grant,
        signer: Signer,
        signed_at: datetime,
        seconds: int,
        expire_time: datetime,
        conditional: bool,
    ) -> None:
        self.expire_time = expire_time
        self._grant = grant
        self._signer = signer
        self._signed_at = signed_at
        self._seconds = seconds
        self._conditional = conditional

    def sign(
        self, numbers: Iterable[int], checksums: Mapping[int, bytes]
    ) -> Iterator[PresignedPart]:
        for number in numbers:
            checksum = checksums.get(number)
            headers = put_headers(self._grant, checksum, conditional=self._conditional)
            url = self._signer.presign_put(
                self._grant.bucket,
                self._grant.key,
                headers=headers,
                lifetime_seconds=self._seconds,
                now=self._signed_at,
            )
            yield PresignedPart(number, url, added_headers(headers))
