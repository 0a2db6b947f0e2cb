"""Probes of what storage does with requests: signatures, conditions, checksums, multipart.

Bodies are a few bytes, except for the parts of one multipart upload: 5 MiB is the least that a part
other than the last can have.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from partway_server.doctor.probes.results import (
    BrowserFacts,
    ChecksumFacts,
    Checksums,
    ConditionFacts,
    MultipartFacts,
    ProbeResponse,
    SignatureFacts,
)
from partway_server.doctor.probes.storage_connection import ProbeConnection, UrlSigner
from partway_server.doctor.probes.storage_objects import ProbeObjects
from partway_server.domain.checksum import Checksum
from partway_server.domain.clock import Clock
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.part_plan import MIB
from partway_server.storage.presigner import WRITE_TOKEN, checksum_header
from partway_server.storage.sigv4 import Signer

_LIFETIME = 300
_LONG_AGO = timedelta(hours=1)
_OTHER_ETAG = '"00000000000000000000000000000000"'
_UNEQUAL = (5 * MIB, 5 * MIB + 1, 1)
_EQUAL = (5 * MIB, 5 * MIB, 1)

_BODY = b"123456789"
_CHECKSUMS: Mapping[Checksum, bytes] = {
    # The check values of the CRC catalogue, https://reveng.sourceforge.io/crc-catalogue/all.htm
    Checksum.CRC32C: bytes.fromhex("e3069283"),
    Checksum.CRC64NVME: bytes.fromhex("ae8b14860a799888"),
    Checksum.SHA256: hashlib.sha256(_BODY).digest(),
    Checksum.MD5: hashlib.md5(_BODY, usedforsecurity=False).digest(),
}


class BehaviourProbes:
    """Probes of one bucket. Everything they make is recorded in `objects`."""

    def __init__(self, connection: ProbeConnection, objects: ProbeObjects, clock: Clock) -> None:
        self._connection = connection
        self._objects = objects
        self._clock = clock
        self._url_signer = connection.own

    async def public_put(self) -> ProbeResponse:
        """PUT once by the public endpoint; if that works, all that follows uses it too."""
        answer = await self._put("public", url_signer=self._connection.public)
        if answer.ok:
            self._url_signer = self._connection.public
        return answer

    async def refusals(self) -> SignatureFacts:
        """PUT once as signed, and in five ways that are not, each at a key of its own."""
        return SignatureFacts(
            as_signed=await self._put("signed"),
            wrong_signature=await self._put("wrong-signature", spoil=True),
            expired=await self._put("expired", ago=_LONG_AGO),
            other_length=await self._put("other-length", body=_BODY + b"0", size=len(_BODY)),
            other_key=await self._put("other-key", sent_to="another-key"),
            more_headers=await self._put("more-headers", unsigned={"x-amz-meta-more": "x"}),
            through="own" if self._url_signer is self._connection.own else "public",
        )

    async def conditions(self) -> ConditionFacts:
        """Try If-None-Match on a PUT and on Complete, and If-Match on a delete."""
        once = {"if-none-match": "*"}
        put = await self._put("put-once", once), await self._put("put-once", once)
        complete = (
            await self._small("complete-once", 1, IfNoneMatch="*"),
            await self._small("complete-once", 1, IfNoneMatch="*"),
        )
        place = self._objects.place("keep")
        kept = await self._connection.call("put_object", **place, Body=b"")
        delete = await self._connection.call("delete_object", **place, IfMatch=_OTHER_ETAG)
        head = await self._connection.call("head_object", **place)
        survived = head.ok if kept.ok and head.status in (200, 404) else None
        return ConditionFacts(put, complete, delete, survived)

    async def checksums(self) -> Checksums:
        """Try each algorithm with a right and a wrong value, on a part and on a PUT of an object.

        Callers of the service send both, and S3Mock verifies Content-MD5 on one of them only.
        """
        found: dict[Checksum | str, ChecksumFacts] = {}
        for algorithm, value in _CHECKSUMS.items():
            # S3 has no field for MD5 in Create.
            named = algorithm is not Checksum.MD5
            of_part = await self._checksum(algorithm, value, named=named)
            if named and not of_part.right.ok:
                # Some stores verify a part's checksum, but do not support one for the upload.
                of_part = await self._checksum(algorithm, value, named=False)
            found[algorithm] = of_part.limited_by(await self._single_checksum(algorithm, value))
        return found

    async def multipart(self) -> MultipartFacts:
        """Take one multipart upload from beginning to end."""
        token = self._objects.prefix.split("/")[1]
        metadata = {WRITE_TOKEN: token}
        opened, upload = await self._objects.open_multipart("multipart", Metadata=metadata)
        if not opened.ok:
            return MultipartFacts(unequal=opened, small=opened)
        by_key, by_prefix = await self._listed(upload)
        unequal, again = await self._joined(upload, _UNEQUAL)
        equal = None
        if unequal.refused:
            # A new upload: some stores lose an upload whose Complete they refuse.
            _, upload = await self._objects.open_multipart("multipart", Metadata=metadata)
            equal, again = await self._joined(upload, _EQUAL)
        resending, resent = await self._resent()
        return MultipartFacts(
            unequal=unequal,
            equal=equal,
            again=again,
            small=await self._small("small", 2),
            token_kept=await self._kept("multipart", token) if again else None,
            single_token_kept=await self._single_kept(token),
            resending=resending,
            resent=resent,
            listed_by_key=by_key,
            listed_by_prefix=by_prefix,
        )

    async def browser(self, origin: str, headers: list[str]) -> BrowserFacts:
        """Send what a page at `origin` sends to PUT with `headers`."""
        location = self._url_signer.endpoint.locate(
            self._objects.bucket, self._objects.key("browser")
        )
        asked = {
            "origin": origin,
            "access-control-request-method": "PUT",
            "access-control-request-headers": ",".join(headers),
        }
        preflight = await self._connection.send("OPTIONS", location.url, asked)
        put = await self._put("browser", unsigned={"origin": origin})
        return BrowserFacts(origin, headers, preflight, put)

    async def _put(
        self,
        name: str,
        headers: Mapping[str, str] | None = None,
        *,
        url_signer: UrlSigner | None = None,
        body: bytes = _BODY,
        size: int | None = None,
        ago: timedelta = timedelta(0),
        spoil: bool = False,
        sent_to: str = "",
        unsigned: Mapping[str, str] | None = None,
    ) -> ProbeResponse:
        """Send a presigned PUT of a whole object, signed for `size` bytes and sent to `sent_to`."""
        url_signer = url_signer or self._url_signer
        signer = await _signer(url_signer)
        if signer is None:
            return ProbeResponse(0, "credentials")
        length = {"content-length": str(len(body) if size is None else size)}
        signed = {**length, **(headers or {})}
        url = signer.presign_put(
            self._objects.bucket,
            self._objects.key(name),
            headers=signed,
            lifetime_seconds=_LIFETIME,
            now=self._clock.now() - ago,
        )
        if sent_to:
            there = url_signer.endpoint.locate(self._objects.bucket, self._objects.key(sent_to))
            url = f"{there.url}?{url.partition('?')[2]}"
        if spoil:
            url = url[:-1] + ("0" if url[-1] != "0" else "1")
        sent = {**signed, "content-length": str(len(body)), **(unsigned or {})}
        return await self._connection.send("PUT", url, sent, body)

    async def _part(
        self,
        upload: Mapping[str, str],
        number: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> ProbeResponse:
        signer = await _signer(self._url_signer)
        if signer is None:
            return ProbeResponse(0, "credentials")
        signed = {"content-length": str(len(body)), **(headers or {})}
        parts = signer.for_parts(
            upload["Bucket"],
            upload["Key"],
            upload["UploadId"],
            lifetime_seconds=_LIFETIME,
            now=self._clock.now(),
        )
        return await self._connection.send("PUT", parts.url(number, signed), signed, body)

    async def _complete(
        self, upload: Mapping[str, str], etags: list[str], **condition: str
    ) -> ProbeResponse:
        parts = [{"PartNumber": n, "ETag": f'"{etag}"'} for n, etag in enumerate(etags, 1)]
        return await self._connection.call(
            "complete_multipart_upload", **upload, MultipartUpload={"Parts": parts}, **condition
        )

    async def _joined(
        self, upload: Mapping[str, str], sizes: Sequence[int]
    ) -> tuple[ProbeResponse, ProbeResponse | None]:
        """Complete parts of those sizes and, if that works, complete them again."""
        sent = [await self._part(upload, n, bytes(size)) for n, size in enumerate(sizes, 1)]
        if failed := [answer for answer in sent if not answer.ok]:
            return failed[0], None
        etags = [_etag(answer) for answer in sent]
        done = await self._complete(upload, etags)
        return done, await self._complete(upload, etags) if done.ok else None

    async def _resent(self) -> tuple[ProbeResponse, Sequence[str]]:
        """Send a part twice with different bytes, and return what ListParts reports, as ETags."""
        opened, upload = await self._objects.open_multipart("resent")
        if not opened.ok:
            return opened, ()
        await self._part(upload, 1, b"1")
        again = await self._part(upload, 1, b"2")
        listed = await self._list_parts(upload)
        return again, [part["ETag"].strip('"') for part in listed.reply.get("Parts", [])]

    async def _small(self, name: str, count: int, **condition: str) -> ProbeResponse:
        """Complete an upload of `count` parts of a few bytes."""
        opened, upload = await self._objects.open_multipart(name)
        if not opened.ok:
            return opened
        numbers = range(1, count + 1)
        etags = [_etag(await self._part(upload, number, _BODY)) for number in numbers]
        return await self._complete(upload, etags, **condition)

    async def _listed(self, upload: Mapping[str, str]) -> tuple[bool | None, bool | None]:
        """Return whether the upload is listed by its key, and by the prefix of the key."""
        found: list[bool | None] = []
        for prefix in (upload["Key"], self._objects.prefix):
            answer = await self._connection.call(
                "list_multipart_uploads", Bucket=upload["Bucket"], Prefix=prefix
            )
            ids = [each["UploadId"] for each in answer.reply.get("Uploads", [])]
            found.append(upload["UploadId"] in ids if answer.ok else None)
        return found[0], found[1]

    async def _kept(self, name: str, token: str) -> bool | None:
        head = await self._connection.call("head_object", **self._objects.place(name))
        return head.reply["Metadata"].get(WRITE_TOKEN) == token if head.ok else None

    async def _single_kept(self, token: str) -> bool | None:
        put = await self._put("single", {f"x-amz-meta-{WRITE_TOKEN}": token})
        return await self._kept("single", token) if put.ok else None

    async def _list_parts(self, upload: Mapping[str, str]) -> ProbeResponse:
        # As the service does: some stores refuse a limit or a marker.
        as_listed = {**upload, "PartNumberMarker": 0, "MaxParts": 1000}
        return await self._connection.call("list_parts", **as_listed)

    async def _checksum(self, algorithm: Checksum, value: bytes, *, named: bool) -> ChecksumFacts:
        arguments: dict[str, Any] = {"ChecksumAlgorithm": algorithm.upper()} if named else {}
        opened, upload = await self._objects.open_multipart(f"checksum-{algorithm}", **arguments)
        if not opened.ok:
            return ChecksumFacts(opened, opened)
        header = checksum_header(algorithm)
        wrong = await self._part(upload, 1, _BODY, {header: _base64(value[::-1])})
        right = await self._part(upload, 2, _BODY, {header: _base64(value)})
        listed = await self._list_parts(upload)
        # By its number: the wrong one may be listed too.
        parts = [part for part in listed.reply.get("Parts", []) if part["PartNumber"] == 2]
        listed_checksum = any(f"Checksum{algorithm.upper()}" in part for part in parts)
        return ChecksumFacts(right, wrong, listed=listed_checksum)

    async def _single_checksum(self, algorithm: Checksum, value: bytes) -> ChecksumFacts:
        header, name = checksum_header(algorithm), f"single-{algorithm}"
        wrong = await self._put(f"{name}-wrong", {header: _base64(value[::-1])})
        right = await self._put(name, {header: _base64(value)})
        return ChecksumFacts(right, wrong)


async def _signer(url_signer: UrlSigner) -> Signer | None:
    try:
        signer, _ = await url_signer.signer.get()
    except (StorageRefused, StorageUnavailable):
        return None
    return signer


def _etag(answer: ProbeResponse) -> str:
    return answer.headers.get("etag", "").strip('"')


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")
