"""Probes of what storage does with requests: signatures, conditions, checksums, multipart.

Bodies are a few bytes, except for the parts of one multipart upload: 5 MiB is the least that a part
other than the last can have.
"""

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
from partway_server.doctor.probes.storage_requests import BODY, ProbeRequests, etag_of, in_base64
from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import MIB
from partway_server.storage.presigner import WRITE_TOKEN, checksum_header

_LONG_AGO = timedelta(hours=1)
_OTHER_ETAG = '"00000000000000000000000000000000"'
_UNEQUAL = (5 * MIB, 5 * MIB + 1, 1)
_EQUAL = (5 * MIB, 5 * MIB, 1)

_CHECKSUMS: Mapping[Checksum, bytes] = {
    # The check values of the CRC catalogue, https://reveng.sourceforge.io/crc-catalogue/all.htm
    Checksum.CRC32C: bytes.fromhex("e3069283"),
    Checksum.CRC64NVME: bytes.fromhex("ae8b14860a799888"),
    Checksum.SHA256: hashlib.sha256(BODY).digest(),
    Checksum.MD5: hashlib.md5(BODY, usedforsecurity=False).digest(),
}


class BehaviourProbes(ProbeRequests):
    """Probes of one bucket. Everything they make is recorded in `objects`."""

    async def public_put(self) -> ProbeResponse:
        """PUT once by the public endpoint; if that works, all that follows uses it too."""
        answer = await self.put("public", url_signer=self.connection.public)
        if answer.ok:
            self.url_signer = self.connection.public
        return answer

    async def refusals(self) -> SignatureFacts:
        """PUT once as signed, and in five ways that are not, each at a key of its own."""
        return SignatureFacts(
            as_signed=await self.put("signed"),
            wrong_signature=await self.put("wrong-signature", spoil=True),
            expired=await self.put("expired", ago=_LONG_AGO),
            other_length=await self.put("other-length", body=BODY + b"0", size=len(BODY)),
            other_key=await self.put("other-key", sent_to="another-key"),
            more_headers=await self.put("more-headers", unsigned={"x-amz-meta-more": "x"}),
            through="own" if self.url_signer is self.connection.own else "public",
        )

    async def conditions(self) -> ConditionFacts:
        """Try If-None-Match on a PUT and on Complete, and If-Match on a delete."""
        once = {"if-none-match": "*"}
        put = await self.put("put-once", once), await self.put("put-once", once)
        complete = (
            await self.small("complete-once", 1, IfNoneMatch="*"),
            await self.small("complete-once", 1, IfNoneMatch="*"),
        )
        place = self.objects.place("keep")
        kept = await self.connection.call("put_object", **place, Body=b"")
        delete = await self.connection.call("delete_object", **place, IfMatch=_OTHER_ETAG)
        head = await self.connection.call("head_object", **place)
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
        token = self.objects.prefix.split("/")[1]
        metadata = {WRITE_TOKEN: token}
        opened, upload = await self.objects.open_multipart("multipart", Metadata=metadata)
        if not opened.ok:
            return MultipartFacts(unequal=opened, small=opened)
        by_key, by_prefix = await self._listed(upload)
        unequal, again = await self._joined(upload, _UNEQUAL)
        equal = None
        if unequal.refused:
            # A new upload: some stores lose an upload whose Complete they refuse.
            _, upload = await self.objects.open_multipart("multipart", Metadata=metadata)
            equal, again = await self._joined(upload, _EQUAL)
        resending, resent = await self._resent()
        return MultipartFacts(
            unequal=unequal,
            equal=equal,
            again=again,
            small=await self.small("small", 2),
            token_kept=await self.kept("multipart", token) if again else None,
            single_token_kept=await self._single_kept(token),
            resending=resending,
            resent=resent,
            listed_by_key=by_key,
            listed_by_prefix=by_prefix,
            ended=await self._ended(),
            whole=await self._whole(),
        )

    async def browser(self, origin: str, headers: list[str]) -> BrowserFacts:
        """Send what a page at `origin` sends to PUT with `headers`."""
        location = self.url_signer.endpoint.locate(self.objects.bucket, self.objects.key("browser"))
        asked = {
            "origin": origin,
            "access-control-request-method": "PUT",
            "access-control-request-headers": ",".join(headers),
        }
        preflight = await self.connection.send("OPTIONS", location.url, asked)
        put = await self.put("browser", unsigned={"origin": origin})
        return BrowserFacts(origin, headers, preflight, put)

    async def _joined(
        self, upload: Mapping[str, str], sizes: Sequence[int]
    ) -> tuple[ProbeResponse, ProbeResponse | None]:
        """Complete parts of those sizes and, if that works, complete them again."""
        sent = [await self.part(upload, n, bytes(size)) for n, size in enumerate(sizes, 1)]
        if failed := [answer for answer in sent if not answer.ok]:
            return failed[0], None
        etags = [etag_of(answer) for answer in sent]
        done = await self.complete(upload, etags)
        return done, await self.complete(upload, etags) if done.ok else None

    async def _resent(self) -> tuple[ProbeResponse, Sequence[str]]:
        """Send a part twice with different bytes, and return what ListParts reports, as ETags."""
        opened, upload = await self.objects.open_multipart("resent")
        if not opened.ok:
            return opened, ()
        await self.part(upload, 1, b"1")
        again = await self.part(upload, 1, b"2")
        listed = await self.list_parts(upload)
        return again, [part["ETag"].strip('"') for part in listed.reply.get("Parts", [])]

    async def _ended(self) -> ProbeResponse:
        """List the parts of an upload that was aborted."""
        opened, upload = await self.objects.open_multipart("ended")
        if not opened.ok:
            return opened
        aborted = await self.connection.call("abort_multipart_upload", **upload)
        return await self.list_parts(upload) if aborted.ok else aborted

    async def _whole(self) -> ChecksumFacts:
        """Complete with a wrong and with the right CRC64NVME of the whole object."""
        value = _CHECKSUMS[Checksum.CRC64NVME]
        named = {"ChecksumAlgorithm": "CRC64NVME"}
        opened, upload = await self.objects.open_multipart("whole", **named)
        if not opened.ok:
            return ChecksumFacts(opened, opened)
        header = {checksum_header(Checksum.CRC64NVME): in_base64(value)}
        await self.part(upload, 1, BODY, header)
        listed = await self.list_parts(upload)
        # As the service does: MinIO and versitygw demand the checksums of parts too.
        names = ("PartNumber", "ETag", "ChecksumCRC64NVME")
        parts = [{n: e[n] for n in names if n in e} for e in listed.reply.get("Parts", [])]
        wrong, right = [
            await self.connection.call(
                "complete_multipart_upload",
                **upload,
                MultipartUpload={"Parts": parts},
                ChecksumType="FULL_OBJECT",
                ChecksumCRC64NVME=in_base64(each),
            )
            for each in (value[::-1], value)
        ]
        head = await self.connection.call(
            "head_object", **self.objects.place("whole"), ChecksumMode="ENABLED"
        )
        shown = head.reply.get("ChecksumCRC64NVME") == in_base64(value)
        return ChecksumFacts(right, wrong, shown)

    async def _listed(self, upload: Mapping[str, str]) -> tuple[bool | None, bool | None]:
        """Return whether the upload is listed by its key, and by the prefix of the key."""
        found: list[bool | None] = []
        for prefix in (upload["Key"], self.objects.prefix):
            answer = await self.connection.call(
                "list_multipart_uploads", Bucket=upload["Bucket"], Prefix=prefix
            )
            ids = [each["UploadId"] for each in answer.reply.get("Uploads", [])]
            found.append(upload["UploadId"] in ids if answer.ok else None)
        return found[0], found[1]

    async def _single_kept(self, token: str) -> bool | None:
        put = await self.put("single", {f"x-amz-meta-{WRITE_TOKEN}": token})
        return await self.kept("single", token) if put.ok else None

    async def _checksum(self, algorithm: Checksum, value: bytes, *, named: bool) -> ChecksumFacts:
        arguments: dict[str, Any] = {"ChecksumAlgorithm": algorithm.upper()} if named else {}
        opened, upload = await self.objects.open_multipart(f"checksum-{algorithm}", **arguments)
        if not opened.ok:
            return ChecksumFacts(opened, opened)
        header = checksum_header(algorithm)
        wrong = await self.part(upload, 1, BODY, {header: in_base64(value[::-1])})
        right = await self.part(upload, 2, BODY, {header: in_base64(value)})
        listed = await self.list_parts(upload)
        # By its number: the wrong one may be listed too.
        parts = [part for part in listed.reply.get("Parts", []) if part["PartNumber"] == 2]
        listed_checksum = any(f"Checksum{algorithm.upper()}" in part for part in parts)
        return ChecksumFacts(right, wrong, listed=listed_checksum)

    async def _single_checksum(self, algorithm: Checksum, value: bytes) -> ChecksumFacts:
        header, name = checksum_header(algorithm), f"single-{algorithm}"
        wrong = await self.put(f"{name}-wrong", {header: in_base64(value[::-1])})
        right = await self.put(name, {header: in_base64(value)})
        return ChecksumFacts(right, wrong)
