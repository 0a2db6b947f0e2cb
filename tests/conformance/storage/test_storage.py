"""Tests what every storage behind the seam does, and then what S3Storage alone does.

Implementations differ by their capability record, or by a category that one of them does not
claim; the reason is stated where it is created.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl
from partway_server.devstack.servers import S3
from partway_server.domain.checksum import Checksum
from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.domain.grant import CopySource, Grant
from partway_server.domain.part_plan import MIB, Plan
from partway_server.storage.base import (
    CompleteRefused,
    CompleteUnknown,
    Head,
    KeyContested,
    KeyTaken,
    MultipartNotFound,
    SourceChanged,
    StoredPart,
)
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.s3 import S3Storage
from partway_server.storage.s3_codes import DAMAGED_CODES
from partway_server.storage.s3_startup_check import PROBE_PREFIX

from tests.support.rclone import start_rclone
from tests.support.storage import (
    FaultyObjects,
    answer,
    canned_s3,
    error_answer,
    failing,
)
from tests.support.stores import (
    BEGINNINGS,
    BODY,
    BYTES,
    CONNECTIONS,
    COPIES,
    COPY_CONDITIONS,
    COPY_OVER,
    DAMAGE,
    ENDED,
    MANY_PARTS,
    RCLONE,
    RESENDS,
    SIGNATURES,
    SIGNED_HEADERS,
    Store,
    half_sent,
    memory_store,
    open_s3,
    s3_store,
)

# An S3 client takes a quarter of a second to make: the tests share a store, and its loop.
pytestmark = pytest.mark.asyncio(loop_scope="module")

SOURCE = CopySource("bucket", "a key", 7, "etag", "token")

CHECK_VALUES = {
    # The check values of the catalogue of CRCs, https://reveng.sourceforge.io/crc-catalogue/all.htm
    Checksum.CRC32C: bytes.fromhex("e3069283"),
    Checksum.CRC64NVME: bytes.fromhex("ae8b14860a799888"),
    Checksum.SHA256: hashlib.sha256(BODY).digest(),
    Checksum.MD5: hashlib.md5(BODY).digest(),
}


def numbers(parts: Sequence[StoredPart]) -> list[int]:
    return [part.number for part in parts]


# Multipart uploads


async def test_parts_become_one_object(store: Store) -> None:
    grant = await store.opened(store.grant())
    first = await store.send(grant, b"a" * 5 * MIB, 1)
    second = await store.send(grant, b"tail", 2)
    parts = await store.storage.list_parts(grant)
    assert [(p.number, p.size_bytes, p.etag) for p in parts] == [
        (1, 5 * MIB, first.etag),
        (2, 4, second.etag),
    ]

    await store.storage.complete(grant, parts)

    head = await store.storage.head(grant)
    assert head is not None
    assert (head.size_bytes, head.write_token) == (5 * MIB + 4, grant.write_token)
    assert head.etag and '"' not in head.etag


async def test_the_object_has_the_bytes_of_the_parts_in_order(store: Store) -> None:
    store.claims(BYTES)
    grant = await store.opened(store.grant())
    await store.send(grant, b"tail", 2)
    await store.send(grant, b"a" * 5 * MIB, 1)
    await store.storage.complete(grant, await store.storage.list_parts(grant))
    assert (await store.read(grant)).body == b"a" * 5 * MIB + b"tail"


async def test_an_object_keeps_type_disposition_and_metadata(store: Store) -> None:
    grant = await store.opened(store.grant(), {"origin": "scanner 4"})
    await store.send(grant)
    await store.storage.complete(grant, await store.storage.list_parts(grant))
    found = await store.read(grant)
    assert (found.content_type, found.disposition) == ("image/png", "attachment")
    assert found.metadata == {"origin": "scanner 4"}


async def test_a_part_sent_again_replaces_the_first(store: Store) -> None:
    store.claims(RESENDS)
    grant = await store.opened(store.grant())
    first = await store.send(grant, b"first")
    again = await store.send(grant, b"second")
    [part] = await store.storage.list_parts(grant)
    if store.can.part_resends:
        assert (part.size_bytes, part.etag) == (6, again.etag)
    else:
        assert again.status >= 400
        assert (part.size_bytes, part.etag) == (5, first.etag)


async def test_a_part_sent_twice_is_listed_once(store: Store) -> None:
    grant = await store.opened(store.grant())
    for number in (1, 2, 2, 3, 1):
        await store.send(grant, b"x", number)
    list_parts = store.storage.list_parts
    assert numbers(await list_parts(grant)) == [1, 2, 3]
    assert numbers(await list_parts(grant, limit=1)) == [1]
    assert numbers(await list_parts(grant, limit=2)) == [1, 2]
    assert numbers(await list_parts(grant, after=1, limit=2)) == [2, 3]


async def test_parts_are_listed_from_a_number_and_up_to_a_limit(store: Store) -> None:
    grant = await store.opened(store.grant())
    for number in (9, 1, 3, 2, 10):
        await store.send(grant, b"x", number)
    list_parts = store.storage.list_parts
    assert numbers(await list_parts(grant)) == [1, 2, 3, 9, 10]
    assert numbers(await list_parts(grant, after=2)) == [3, 9, 10]
    assert numbers(await list_parts(grant, after=2, limit=2)) == [3, 9]
    assert numbers(await list_parts(grant, limit=1)) == [1]
    assert numbers(await list_parts(grant, after=10)) == []


async def test_more_parts_than_one_page_are_all_listed(store: Store) -> None:
    store.claims(MANY_PARTS)
    grant = replace(await store.opened(store.grant()), plan=Plan(1_005, 1))
    signer = await store.storage.presigner(grant, timedelta(minutes=5), datetime.now(UTC))
    for part in signer.sign(range(1, 1_006), {}):
        assert (await store.put(part.url, b"x", part.headers)).status == 200
    assert numbers(await store.storage.list_parts(grant)) == list(range(1, 1_006))
    assert numbers(await store.storage.list_parts(grant, after=2, limit=1_002)) == list(
        range(3, 1_005)
    )


async def test_completing_again_does_as_the_record_says(store: Store) -> None:
    grant = await store.opened(store.grant())
    await store.send(grant)
    parts = await store.storage.list_parts(grant)
    await store.storage.complete(grant, parts)
    first = await store.storage.head(grant)

    try:
        await store.storage.complete(grant, parts)
    except KeyTaken:
        # By its own object.
        assert store.can.conditional_complete
    except CompleteUnknown:
        assert not store.can.idempotent_complete
    else:
        assert store.can.idempotent_complete

    assert first is not None and await store.storage.head(grant) == first


async def test_a_part_with_another_etag_is_refused(store: Store) -> None:
    grant = await store.opened(store.grant())
    await store.send(grant)
    [part] = await store.storage.list_parts(grant)
    with pytest.raises(CompleteRefused) as refused:
        await store.storage.complete(grant, [part._replace(etag="0" * 32)])
    assert refused.value.code == "InvalidPart"
    assert await store.storage.head(grant) is None
    await _is_as_spared_as_the_record_says(store, grant, [part])


async def _is_as_spared_as_the_record_says(
    store: Store, grant: Grant, parts: Sequence[StoredPart]
) -> None:
    """Check what is left after a refused Complete; `parts` are all that storage has."""
    if store.can.refusals_spare:
        assert await store.storage.list_parts(grant) == parts
        await store.storage.complete(grant, parts)
        assert await store.storage.head(grant) is not None
    else:
        with pytest.raises(MultipartNotFound):
            await store.storage.list_parts(grant)


async def test_a_part_that_was_not_sent_is_refused(store: Store) -> None:
    grant = await store.opened(store.grant())
    await store.send(grant)
    [part] = await store.storage.list_parts(grant)
    with pytest.raises(CompleteRefused) as refused:
        await store.storage.complete(grant, [part._replace(number=2)])
    assert refused.value.code == "InvalidPart"
    await _is_as_spared_as_the_record_says(store, grant, [part])


async def test_parts_in_another_order_are_refused_by_the_record(store: Store) -> None:
    grant = await store.opened(store.grant())
    await store.send(grant, b"a" * 5 * MIB, 1)
    await store.send(grant, b"b" * 5 * MIB, 2)
    parts = await store.storage.list_parts(grant)
    if store.can.part_order:
        with pytest.raises(CompleteRefused) as refused:
            await store.storage.complete(grant, parts[::-1])
        assert refused.value.code == "InvalidPartOrder"
        await _is_as_spared_as_the_record_says(store, grant, parts)
    else:
        await store.storage.complete(grant, parts[::-1])
        # moto joins them in the order of the request, Ceph by number. We send them by number.
        head = await store.storage.head(grant)
        assert head is not None and head.size_bytes == 10 * MIB


async def test_numbers_with_a_gap_are_joined_or_refused_by_the_record(store: Store) -> None:
    grant = await store.opened(store.grant())
    await store.send(grant, b"a" * 5 * MIB, 1)
    await store.send(grant, b"tail", 3)
    parts = await store.storage.list_parts(grant)
    if store.can.part_gaps:
        await store.storage.complete(grant, parts)
        assert await store.storage.head(grant) is not None
    else:
        with pytest.raises(CompleteRefused):
            await store.storage.complete(grant, parts)
        assert await store.storage.head(grant) is None


async def test_a_small_part_before_the_last_is_refused_by_the_record(store: Store) -> None:
    grant = await store.opened(store.grant())
    await store.send(grant, b"small", 1)
    await store.send(grant, b"small", 2)
    parts = await store.storage.list_parts(grant)
    if store.can.part_minimum:
        with pytest.raises(CompleteRefused) as refused:
            await store.storage.complete(grant, parts)
        assert refused.value.code == "EntityTooSmall"
        assert await store.storage.list_parts(grant) == parts
    else:
        await store.storage.complete(grant, parts)
        assert await store.storage.head(grant) is not None


@pytest.mark.parametrize(("number", "taken"), [(10_000, True), (10_001, False)])
async def test_there_are_ten_thousand_parts(store: Store, number: int, taken: bool) -> None:
    grant = await store.opened(store.grant())
    reply = await store.send(grant, number=number)
    assert (reply.status == 200) == (taken or not store.can.part_numbers)


async def test_completing_what_was_aborted_says_nothing(store: Store) -> None:
    grant = await store.opened(store.grant())
    await store.send(grant)
    parts = await store.storage.list_parts(grant)
    await store.storage.abort(grant)
    with pytest.raises(CompleteUnknown):
        await store.storage.complete(grant, parts)
    assert await store.storage.head(grant) is None


async def test_a_key_that_another_took_first_is_not_written_over(store: Store) -> None:
    if not store.can.conditional_complete:
        pytest.skip("the record says that Complete takes no condition")
    first = await store.stored(store.grant())
    late = await store.opened(store.grant(key=first.key))
    await store.send(late, b"another")
    with pytest.raises(KeyTaken):
        await store.storage.complete(late, await store.storage.list_parts(late))
    head = await store.storage.head(late)
    assert head is not None and head.write_token == first.write_token


async def test_aborting_twice_is_no_error(store: Store) -> None:
    grant = await store.opened(store.grant())
    await store.send(grant)
    await store.storage.abort(grant)
    await store.storage.abort(grant)
    assert await store.storage.list_multiparts(grant) == []


async def test_aborting_what_was_completed_leaves_the_object(store: Store) -> None:
    grant = await store.stored(store.grant())
    head = await store.storage.head(grant)
    await store.storage.abort(grant)
    assert head is not None and await store.storage.head(grant) == head


async def test_what_is_on_its_way_at_abort_does_not_come_back(store: Store) -> None:
    store.claims(CONNECTIONS)
    store.claims(ENDED)
    body = b"." * MIB
    grant = await store.opened(store.grant(body))
    part = await store.sign(grant)
    async with half_sent(part, body) as rest:
        await store.storage.abort(grant)
        await rest()
    # Storage may take such a part, and then it has to be aborted again
    # (https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html).
    await store.storage.abort(grant)
    with pytest.raises(MultipartNotFound):
        await store.storage.list_parts(grant)
    assert await store.storage.list_multiparts(grant) == []
    # versitygw hangs up in the middle of a body that it refuses.
    with contextlib.suppress(aiohttp.ClientOSError):
        assert (await store.put(part.url, body, part.headers)).status >= 400
    assert await store.storage.head(grant) is None


async def test_an_aborted_upload_has_no_list_of_parts(store: Store) -> None:
    store.claims(ENDED)
    grant = await store.opened(store.grant())
    await store.storage.abort(grant)
    with pytest.raises(MultipartNotFound):
        await store.storage.list_parts(grant)


async def test_a_completed_upload_has_no_list_of_parts(store: Store) -> None:
    store.claims(ENDED)
    grant = await store.stored(store.grant())
    with pytest.raises(MultipartNotFound):
        await store.storage.list_parts(grant)


@pytest.mark.parametrize("end", ["abort", "complete"])
async def test_a_part_that_comes_late_is_refused(store: Store, end: str) -> None:
    store.claims(ENDED)
    grant = await store.opened(store.grant())
    part = await store.sign(grant)
    assert (await store.put(part.url, BODY, part.headers)).status == 200
    if end == "abort":
        await store.storage.abort(grant)
    else:
        await store.storage.complete(grant, await store.storage.list_parts(grant))
    assert (await store.put(part.url, BODY, part.headers)).status >= 400


async def test_unfinished_uploads_are_found_by_exactly_their_key(store: Store) -> None:
    grant = store.grant(name="a")
    opened = {await store.storage.create(grant, {}) for _ in range(2)}
    for longer in ("b", "/b"):
        await store.storage.create(replace(grant, key=grant.key + longer), {})
    assert set(await store.storage.list_multiparts(grant)) == opened


async def unfinished(store: Store, prefix: str) -> dict[str, str]:
    found = [each async for each in store.storage.unfinished("test", store.bucket, prefix)]
    now = datetime.now(UTC)
    # What others have in the bucket may be of any age.
    for each in (each for each in found if each.key.startswith(store.prefix)):
        assert each.initiated is not None
        assert BEGINNINGS in store.lacks or abs(now - each.initiated) < timedelta(minutes=10)
    keys = {each.multipart_id: each.key for each in found}
    assert len(keys) == len(found)
    return keys


async def test_all_unfinished_uploads_below_a_prefix_are_told(store: Store) -> None:
    grant = store.grant()
    opened = {}
    for ending in ("", "", ".bak", "/b", " ü+&<>.bin"):
        other = replace(grant, key=grant.key + ending)
        opened[await store.storage.create(other, {})] = other.key
    aborted = await store.opened(grant)
    await store.storage.abort(aborted)
    completed = await store.stored(store.grant())
    if store.can.exact_key_listing_only:
        assert await unfinished(store, grant.key) == {}
        return
    assert await unfinished(store, grant.key) == opened
    for prefix in (grant.key[:-3], grant.key.rpartition("/")[0]):
        assert await unfinished(store, prefix) == opened
    everything = await unfinished(store, "")
    assert opened.items() <= everything.items()
    assert not {aborted.multipart_id, completed.multipart_id} & set(everything)
    assert await unfinished(store, f"nothing-of-{grant.sid}") == {}


@pytest.mark.timeout(180)  # A thousand creates one after another, on a machine that may be busy.
async def test_more_than_a_page_of_them_is_told_even_if_they_go_on_the_way(store: Store) -> None:
    """Let some go on the way; a page has a thousand."""
    store.claims(MANY_PARTS)
    if store.can.exact_key_listing_only:
        pytest.skip("the record says that it lists uploads by their whole key only")
    grant = store.grant()
    grants = [replace(grant, key=f"{grant.key}/{n % 700}") for n in range(1050)]
    lanes = asyncio.Semaphore(8)

    async def create(each: Grant) -> tuple[str, str]:
        async with lanes:
            return await store.storage.create(each, {}), each.key

    opened = dict(await asyncio.gather(*map(create, grants)))
    seen = {}
    async for found in store.storage.unfinished("test", store.bucket, grant.key):
        seen[found.multipart_id] = found.key
        here = replace(grant, key=found.key, multipart_id=found.multipart_id)
        await store.storage.abort(here)
    assert seen == opened
    assert await unfinished(store, grant.key) == {}


async def test_a_key_without_unfinished_uploads_has_none(store: Store) -> None:
    assert await store.storage.list_multiparts(store.grant()) == []


# Parts that are copied


async def a_source(store: Store, body: bytes) -> CopySource:
    """Return an object to copy from."""
    store.claims(COPIES)
    grant = await store.stored(store.grant(body, name="söurce-1_a.bin"), body)
    head = await store.storage.head(grant)
    assert head is not None
    return CopySource(grant.bucket, grant.key, len(body), head.etag, head.write_token)


async def test_parts_are_copied_from_other_objects(store: Store) -> None:
    large = await a_source(store, bytes(range(256)) * 4096 * 6)
    small = await a_source(store, b"a tail")
    grant = await store.opened(store.grant())
    copy, size = store.storage.copy_part, 5 * MIB + 1
    await copy(grant, 2, large, 3, size)
    await copy(grant, 3, small, 0, 6)
    await copy(grant, 1, large, 0, large.size_bytes)
    parts = await store.storage.list_parts(grant)
    assert [(p.number, p.size_bytes) for p in parts] == [(1, 6 * MIB), (2, size), (3, 6)]

    await store.storage.complete(grant, parts)

    head = await store.storage.head(grant)
    assert head is not None
    assert (head.size_bytes, head.write_token) == (6 * MIB + size + 6, grant.write_token)
    if BYTES not in store.lacks:
        whole = bytes(range(256)) * 4096 * 6
        assert (await store.read(grant)).body == whole + whole[3 : 3 + size] + b"a tail"


async def test_a_part_is_copied_again(store: Store) -> None:
    source = await a_source(store, b"a tail")
    grant = await store.opened(store.grant())
    for _ in range(2):
        await store.storage.copy_part(grant, 1, source, 0, 6)
    assert numbers(await store.storage.list_parts(grant)) == [1]
    await store.storage.complete(grant, await store.storage.list_parts(grant))


async def test_nothing_is_copied_from_what_is_not_there_or_another(store: Store) -> None:
    source = await a_source(store, b"a tail")
    store.claims(COPY_CONDITIONS)
    grant = await store.opened(store.grant())
    with pytest.raises(SourceChanged):
        await store.storage.copy_part(grant, 1, replace(source, key="none"), 0, 6)
    with pytest.raises(SourceChanged):
        await store.storage.copy_part(grant, 1, replace(source, etag="0" * 32), 0, 6)
    assert await store.storage.list_parts(grant) == []


async def test_nothing_is_copied_into_an_upload_that_is_over(store: Store) -> None:
    source = await a_source(store, b"a tail")
    store.claims(COPY_OVER)
    grant = await store.opened(store.grant())
    await store.storage.abort(grant)
    with pytest.raises(MultipartNotFound):
        await store.storage.copy_part(grant, 1, source, 0, 6)


# Single PUTs


async def test_one_put_makes_the_object_with_all_it_should_say(store: Store) -> None:
    grant = store.grant(single=True, metadata={"origin": "scanner 4"})
    assert await store.storage.list_parts(grant) == []

    reply = await store.send(grant)

    assert reply.status == 200
    head = await store.storage.head(grant)
    assert head == Head(len(BODY), reply.etag, grant.write_token)
    assert head.metadata == {"origin": "scanner 4"}
    found = await store.read(grant)
    assert (found.content_type, found.disposition) == ("image/png", "attachment")
    assert found.metadata == {"origin": "scanner 4"}


SHOWN = {
    "storage_class": {"x-amz-storage-class": "STANDARD_IA"},
    "encryption": {"x-amz-server-side-encryption": "AES256"},
    "tags": {"x-amz-tagging": "team=video&place=a%20b"},
}


@pytest.mark.parametrize("single", [True, False])
async def test_what_is_told_of_an_object_is_kept_if_the_record_says_so(
    store: Store, single: bool
) -> None:
    headers = {"cache-control": "private, max-age=60", "content-disposition": "inline"}
    for rule in store.can.keeps:
        headers |= SHOWN[rule]
    grant = store.grant(single=single, headers=headers)
    if single:
        assert (await store.send(grant)).status == 200
    else:
        await store.stored(grant)
    found = await store.read(grant)
    assert found.disposition == "inline"
    shown = dict(found.headers)
    if (tagging := headers.pop("x-amz-tagging", None)) and "x-amz-tagging-count" in shown:
        # How many is all that an answer says of them.
        assert int(shown["x-amz-tagging-count"]) == tagging.count("=")
    del headers["content-disposition"]
    if not store.can.metadata:
        del headers["cache-control"]
    assert headers.items() <= shown.items()


async def test_a_single_put_is_listed_as_part_one(store: Store) -> None:
    grant = store.grant(single=True)
    reply = await store.send(grant)
    assert await store.storage.list_parts(grant) == [StoredPart(1, len(BODY), reply.etag)]
    assert await store.storage.list_parts(grant, after=1) == []


async def test_an_object_of_another_upload_is_no_part(store: Store) -> None:
    first = store.grant(single=True)
    await store.send(first)
    assert await store.storage.list_parts(store.grant(single=True, key=first.key)) == []


async def test_a_single_put_cannot_be_replayed(store: Store) -> None:
    if not store.can.conditional_put:
        pytest.skip("the record says that PutObject takes no condition")
    grant = store.grant(single=True)
    part = await store.sign(grant)
    assert (await store.put(part.url, BODY, part.headers)).status == 200
    assert (await store.put(part.url, BODY, part.headers)).status == 412


async def test_an_empty_file_is_an_object(store: Store) -> None:
    grant = store.grant(b"", single=True)
    assert (await store.send(grant, b"")).status == 200
    [part] = await store.storage.list_parts(grant)
    assert (part.number, part.size_bytes) == (1, 0)


# What a URL allows


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("body", [BODY + b"0", BODY[:-1], b""])
async def test_another_length_than_the_signed_one_is_refused(
    store: Store, single: bool, body: bytes
) -> None:
    store.claims(SIGNED_HEADERS)
    grant = store.grant(single=single)
    part = await store.sign(grant if single else await store.opened(grant))
    assert (await store.put(part.url, body, part.headers)).status == 403


@pytest.mark.parametrize(
    "name", ["content-type", "content-disposition", "x-amz-meta-partway-token", "if-none-match"]
)
async def test_a_single_put_with_another_header_than_signed_is_refused(
    store: Store, name: str
) -> None:
    store.claims(SIGNED_HEADERS)
    part = await store.sign(store.grant(single=True))
    if name == "if-none-match" and not store.can.conditional_put:
        pytest.skip("the record says that PutObject takes no condition")
    assert name in part.headers
    reply = await store.put(part.url, BODY, {**part.headers, name: "other"})
    assert reply.status == 403


async def test_a_url_is_refused_once_it_ended(store: Store) -> None:
    store.claims(SIGNATURES)
    grant = await store.opened(store.grant())
    long_ago = datetime.now(UTC) - timedelta(minutes=10)
    signer = await store.storage.presigner(grant, timedelta(minutes=5), long_ago)
    [part] = signer.sign([1], {})
    # rclone says 400.
    assert (await store.put(part.url, BODY, part.headers)).status in (400, 403)
    assert await store.storage.list_parts(grant) == []


async def test_a_url_for_one_part_is_none_for_another(store: Store) -> None:
    store.claims(SIGNATURES)
    grant, another = await store.opened(store.grant()), await store.opened(store.grant())
    part = await store.sign(grant)
    for own, other in (
        ("partNumber=1", "partNumber=2"),
        (grant.multipart_id, another.multipart_id),
        (grant.key, another.key),
        ("X-Amz-Expires=300", "X-Amz-Expires=301"),
    ):
        changed = part.url.replace(own, other)
        assert changed != part.url
        assert (await store.put(changed, BODY, part.headers)).status == 403
    for untouched in (grant, another):
        assert await store.storage.list_parts(untouched) == []


async def test_a_header_of_storage_that_was_not_signed_counts_by_the_record(store: Store) -> None:
    store.claims(SIGNATURES)
    grant = store.grant(single=True)
    part = await store.sign(grant)
    reply = await store.put(part.url, BODY, {**part.headers, "x-amz-meta-more": "x"})
    if store.can.unsigned_headers:
        assert (await store.read(grant)).metadata == {"more": "x"}
    else:
        assert reply.status in (400, 403)
        assert await store.storage.head(grant) is None


async def test_a_part_cannot_make_its_object_public(store: Store) -> None:
    store.claims(SIGNATURES)
    grant = await store.opened(store.grant())
    part = await store.sign(grant)
    open_to_all = {**part.headers, "x-amz-acl": "public-read"}
    if (await store.put(part.url, BODY, open_to_all)).status != 200:
        return
    await store.storage.complete(grant, await store.storage.list_parts(grant))
    anonymous = yarl.URL(part.url.partition("?")[0], encoded=True)
    async with aiohttp.ClientSession() as http, http.get(anonymous) as reply:
        assert reply.status == 403


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("checksum", sorted(CHECK_VALUES))
async def test_a_signed_checksum_holds_the_bytes_to_it(
    store: Store, checksum: Checksum, single: bool
) -> None:
    if checksum not in store.can.checksums:
        pytest.skip(f"the record says that it does not verify {checksum}")
    grant = store.grant(checksum=checksum, single=single)
    grant = grant if single else await store.opened(grant)
    part = await store.sign(grant, checksum=CHECK_VALUES[checksum])

    refused = await store.put(part.url, BODY[::-1], part.headers)
    assert refused.status == 400
    assert DAMAGE in store.lacks or refused.code in DAMAGED_CODES
    if not store.can.refusals_spare:
        return
    assert (await store.put(part.url, BODY, part.headers)).status == 200

    if not single:
        [stored] = await store.storage.list_parts(grant)
        shown = store.can.md5_etags if checksum is Checksum.MD5 else store.can.listed_checksums
        assert stored.checksum == (CHECK_VALUES[checksum] if shown else b"")
        await store.storage.complete(grant, [stored])
    head = await store.storage.head(grant)
    assert head is not None and head.size_bytes == len(BODY)
    # Of several algorithms, only CRC64NVME makes one of the whole out of those of the parts.
    whole = store.can.whole_checksum and checksum is not Checksum.MD5
    if whole and (single or checksum is Checksum.CRC64NVME):
        assert head.checksum == CHECK_VALUES[checksum]
    elif single:
        # S3Mock shows that of a PUT.
        assert head.checksum in (b"", CHECK_VALUES[checksum])
    else:
        assert head.checksum == b""


async def test_the_checksum_of_the_whole_is_verified_when_parts_are_joined(store: Store) -> None:
    if not store.can.whole_checksum:
        pytest.skip("the record says that Complete does not verify it")
    whole = CHECK_VALUES[Checksum.CRC64NVME]
    grant = await store.opened(store.grant(checksum=Checksum.CRC64NVME))
    part = await store.sign(grant, checksum=whole)
    assert (await store.put(part.url, BODY, part.headers)).status == 200
    parts = await store.storage.list_parts(grant)
    with pytest.raises(CompleteRefused) as refused:
        await store.storage.complete(grant, parts, b"\0" * 8)
    assert refused.value.code == "BadDigest"
    assert await store.storage.list_parts(grant) == parts
    await store.storage.complete(grant, parts, whole)


@pytest.mark.parametrize("single", [False, True])
async def test_entity_tags_are_what_the_record_says(store: Store, single: bool) -> None:
    grant = store.grant(single=single, checksum=Checksum.MD5)
    assert await store.storage.etags_are_md5(grant) or not store.can.md5_etags
    await _no_probe_is_left(store)


async def _no_probe_is_left(store: Store) -> None:
    """Check that nothing is below the prefix of probes, except what the tests have there."""
    if not isinstance(store.storage, S3Storage):
        return
    client, place = store.storage._clients.control, {"Bucket": store.bucket, "Prefix": PROBE_PREFIX}
    uploads = (await client.list_multipart_uploads(**place)).get("Uploads", [])
    objects = (await client.list_objects_v2(**place)).get("Contents", [])
    ours = store.prefix or "nothing"
    assert [e["Key"] for e in (*uploads, *objects) if not e["Key"].startswith(ours)] == []


@pytest.mark.parametrize("checksum", sorted(CHECK_VALUES))
async def test_a_checksum_that_the_record_denies_is_not_verified(
    store: Store, checksum: Checksum
) -> None:
    if checksum in store.can.checksums:
        pytest.skip(f"the record says that it verifies {checksum}")
    try:
        grant = await store.opened(store.grant(checksum=checksum))
    except StorageRefused:
        return  # S3Proxy refuses to begin an upload with an algorithm.
    part = await store.sign(grant, checksum=CHECK_VALUES[checksum])
    # Some take it unseen, others refuse the header.
    refused = await store.put(part.url, BODY[::-1], part.headers)
    assert refused.code not in DAMAGED_CODES


async def test_a_signed_checksum_must_be_sent(store: Store) -> None:
    store.claims(SIGNED_HEADERS)
    grant = await store.opened(store.grant(checksum=Checksum.SHA256))
    part = await store.sign(grant, checksum=CHECK_VALUES[Checksum.SHA256])
    left_out = {n: v for n, v in part.headers.items() if not n.startswith("x-amz-checksum")}
    assert len(left_out) < len(part.headers)
    # MinIO says 400.
    assert (await store.put(part.url, BODY, left_out)).status in (400, 403)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    "name", ["a b+c~d.bin", "100%.bin", "%2F%20.bin", "über 漢字.bin", "a&b=c?d#e", "q'(x)!*,;:@$"]
)
async def test_any_character_may_stand_in_a_key(store: Store, name: str, single: bool) -> None:
    grant = store.grant(name=name, single=single)
    if single:
        assert (await store.send(grant)).status == 200
    else:
        grant = await store.stored(grant)
    head = await store.storage.head(grant)
    assert head is not None and head.write_token == grant.write_token


async def test_a_url_ends_when_its_lifetime_does(store: Store) -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, 700_000, tzinfo=UTC)
    signer = await store.storage.presigner(store.grant(), timedelta(seconds=300), now)
    assert signer.expire_time == datetime(2026, 3, 1, 12, 5, tzinfo=UTC)


async def test_parts_are_signed_as_they_are_asked_for(store: Store) -> None:
    grant = replace(await store.opened(store.grant()), plan=Plan(25, 10))
    signer = await store.storage.presigner(grant, timedelta(minutes=5), datetime.now(UTC))
    parts = list(islice(signer.sign(count(1), {}), 3))
    assert [part.number for part in parts] == [1, 2, 3]
    # The size is signed too, and every HTTP client sends it by itself.
    assert [dict(part.headers) for part in parts] == [{}, {}, {}]
    assert len({part.url for part in parts}) == 3


async def test_parts_with_and_without_checksums_may_be_mixed(store: Store) -> None:
    grant = store.grant(checksum=Checksum.SHA256, plan=Plan(40, 10), multipart_id="any")
    signer = await store.storage.presigner(grant, timedelta(minutes=5), datetime.now(UTC))
    parts = list(signer.sign([4, 1, 2, 3], {1: b"\0" * 32, 3: b"\1" * 32}))
    assert [part.number for part in parts] == [4, 1, 2, 3]
    assert ["x-amz-checksum-sha256" in part.headers for part in parts] == [
        False,
        True,
        False,
        True,
    ]


async def test_no_repr_shows_a_url_or_a_secret(store: Store) -> None:
    grant = await store.opened(store.grant())
    signer = await store.storage.presigner(grant, timedelta(minutes=5), datetime.now(UTC))
    [part] = signer.sign([1], {})
    shown = f"{store.storage!r} {signer!r} {part!r}"
    assert "Signature" not in shown and "://" not in shown and "secret" not in shown.lower()
    assert grant.write_token not in f"{store.storage!r} {signer!r}"


# Objects and buckets


async def test_there_is_no_object_before_there_is_one(store: Store) -> None:
    assert await store.storage.head(store.grant()) is None


async def test_an_object_is_deleted(store: Store) -> None:
    grant = await store.stored(store.grant())
    head = await store.storage.head(grant)
    assert head is not None
    await store.storage.delete(grant, head)
    assert await store.storage.head(grant) is None
    await store.storage.delete(grant, head)


async def test_deleting_one_object_spares_another_at_its_key(store: Store) -> None:
    if not store.can.conditional_delete:
        pytest.skip("the record says that DeleteObject takes no condition")
    grant = await store.stored(store.grant())
    head = await store.storage.head(grant)
    assert head is not None
    await store.storage.delete(grant, replace(head, etag="0" * 32))
    assert await store.storage.head(grant) == head


CONDITIONS = ("conditional_put", "conditional_complete", "conditional_delete")


@pytest.mark.parametrize("condition", CONDITIONS)
async def test_a_condition_counts_if_the_record_says_so_and_only_then(
    store: Store, condition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(store.storage, S3Storage):
        pytest.skip("it goes by its record")
    expected = getattr(store.can, condition)
    all_of_them: dict[str, Any] = dict.fromkeys(CONDITIONS, True)
    asking = replace(store.can, **all_of_them)
    grant = await store.stored(store.grant())
    head = await store.storage.head(grant)
    assert head is not None
    monkeypatch.setattr(store.storage, "capabilities", asking)
    try:
        if condition == "conditional_put":
            await store.send(replace(grant, single=True, multipart_id=""), b"another")
        elif condition == "conditional_complete":
            late = await store.opened(store.grant(key=grant.key))
            await store.send(late, b"another")
            await store.storage.complete(late, await store.storage.list_parts(late))
        else:
            await store.storage.delete(grant, replace(head, etag="0" * 32))
    except KeyTaken:
        assert expected
    except StorageRefused:
        assert not expected
    else:
        assert (await store.storage.head(grant) == head) is expected


async def test_a_bucket_that_is_there_passes_the_check_if_it_keeps_metadata(store: Store) -> None:
    if store.can.metadata:
        await store.storage.check("test", store.bucket)
    else:
        with pytest.raises(ValueError, match="needs to verify outcomes. Use another store"):
            await store.storage.check("test", store.bucket)


async def test_a_bucket_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(ValueError, match="'nowhere-to-be-found': the bucket does not exist"):
        await store.storage.check("test", "nowhere-to-be-found")


async def test_a_check_leaves_no_probe_behind(store: Store) -> None:
    with contextlib.nullcontext() if store.can.metadata else pytest.raises(ValueError):
        await store.storage.check("test", store.bucket)
    await _no_probe_is_left(store)


@pytest.mark.s3
async def test_rclone_forgets_the_write_token_when_it_ends(tmp_path: Path) -> None:
    """Keep the fact behind the record and its check, which no probe could show earlier."""
    tokens = []
    child, s3 = start_rclone(tmp_path)
    with child:
        async with s3_store(s3, RCLONE, {}) as store:
            grant = await store.stored(store.grant())
            tokens.append(await store.storage.head(grant))
    child, s3 = start_rclone(tmp_path)
    with child:
        async with s3_store(s3, RCLONE, {}) as store:
            tokens.append(await store.storage.head(grant))
    assert [head and head.write_token for head in tokens] == [grant.write_token, ""]


@pytest.mark.s3
async def test_a_name_that_no_bucket_can_have_fails_the_check(s3: S3) -> None:
    async with aclosing(await open_s3(s3)) as storage:
        with pytest.raises(ValueError, match="not a valid bucket name"):
            await storage.check("test", "No Such/Bucket")


async def test_a_reply_can_be_lost_after_storage_did_the_thing(store: Store) -> None:
    storage = FaultyObjects(store.storage)
    storage.after("complete", failing(CompleteUnknown()))
    grant = await store.opened(store.grant())
    await store.send(grant)
    with pytest.raises(CompleteUnknown):
        await storage.complete(grant, await storage.list_parts(grant))
    assert await storage.head(grant) is not None
    assert storage.calls == ["list_parts", "complete", "head"]


async def test_a_call_can_be_held_before_storage_hears_of_it(store: Store) -> None:
    store.claims(ENDED)
    storage, gate = FaultyObjects(store.storage), asyncio.Event()
    storage.before("abort", gate.wait)
    grant = await store.opened(store.grant())
    aborting = asyncio.create_task(storage.abort(grant))
    assert await storage.list_parts(grant) == []
    gate.set()
    await aborting
    with pytest.raises(MultipartNotFound):
        await storage.list_parts(grant)


# S3Storage alone: whom it signs for, and what it makes of answers


@pytest.fixture
def nowhere(unused_tcp_port: int) -> S3:
    """Return an address where no one listens."""
    return S3(f"http://127.0.0.1:{unused_tcp_port}", "us-east-1", "AKID", "a-secret", "bucket")


def canned(endpoint: str) -> S3:
    return S3(endpoint, "us-east-1", "AKID", "a-secret", "bucket")


def some_grant(**changes: Any) -> Grant:
    return memory_store().grant(**{"bucket": "bucket", "multipart_id": "some-id", **changes})


A_PART = [StoredPart(1, 9, "0" * 32)]


@pytest.mark.s3
async def test_a_wrong_secret_is_the_operators_to_mend(s3: S3) -> None:
    async with aclosing(await open_s3(s3, secret_key="wrong")) as storage:
        grant = some_grant(bucket=s3.bucket)
        with pytest.raises(StorageRefused) as refused:
            await storage.create(grant, {})
        assert refused.value.operation == "CreateMultipartUpload"
        assert refused.value.storage_code == "SignatureDoesNotMatch"
        for call in (storage.head(grant), storage.list_parts(grant), storage.abort(grant)):
            with pytest.raises(StorageRefused):
                await call
        with pytest.raises(StorageRefused):
            await storage.complete(grant, A_PART)
        with pytest.raises(ValueError, match="the secret key does not belong to the access key"):
            await storage.check("test", s3.bucket)


async def test_storage_that_is_down_is_unavailable(nowhere: S3) -> None:
    async with aclosing(await open_s3(nowhere)) as storage:
        for call in (
            storage.create(some_grant(), {}),
            storage.delete(some_grant(), Head(1, "0" * 32, "")),
            storage.head(some_grant()),
        ):
            with pytest.raises(StorageUnavailable) as unavailable:
                await call
            assert nowhere.endpoint not in str(unavailable.value)


async def test_completing_while_storage_is_down_says_nothing(nowhere: S3) -> None:
    async with aclosing(await open_s3(nowhere)) as storage:
        with pytest.raises(CompleteUnknown):
            await storage.complete(some_grant(), A_PART)


COMPLETED = "<CompleteMultipartUploadResult><ETag>{}</ETag></CompleteMultipartUploadResult>"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (error_answer("412 Precondition Failed", "PreconditionFailed"), KeyTaken),
        (error_answer("409 Conflict", "ConditionalRequestConflict"), KeyContested),
        (error_answer("409 Conflict", "OperationAborted"), CompleteUnknown),
        (error_answer("400 Bad Request", "InvalidPart"), CompleteRefused),
        (error_answer("400 Bad Request", "EntityTooSmall"), CompleteRefused),
        (error_answer("400 Bad Request", "XAmzContentChecksumMismatch"), CompleteRefused),
        (error_answer("400 Bad Request", "NeverHeardOf"), CompleteUnknown),
        (error_answer("400 Bad Request", "ExpiredToken"), StorageRefused),
        (error_answer("403 Forbidden", "AccessDenied"), StorageRefused),
        (error_answer("404 Not Found", "NoSuchBucket"), StorageRefused),
        (error_answer("404 Not Found", "NoSuchUpload"), CompleteUnknown),
        (error_answer("404 Not Found", "NoSuchKey"), CompleteUnknown),
        (error_answer("500 Internal Server Error", "InternalError"), CompleteUnknown),
        (error_answer("501 Not Implemented", "NotImplemented"), StorageRefused),
        (error_answer("503 Slow Down", "SlowDown"), CompleteUnknown),
        (error_answer("200 OK", "InternalError"), CompleteUnknown),
        (error_answer("200 OK", "InvalidPart"), CompleteUnknown),
        (answer("200 OK", COMPLETED[:40]), CompleteUnknown),
        (answer("200 OK", "<CompleteMultipartUploadResult/>"), CompleteUnknown),
        (answer("200 OK", "     "), CompleteUnknown),
        (answer("200 OK"), CompleteUnknown),
        (answer("200 OK", COMPLETED)[:-20], CompleteUnknown),
        (answer("500 Internal Server Error", "<html>"), CompleteUnknown),
        (b"", CompleteUnknown),
        (b"not HTTP at all\r\n\r\n", CompleteUnknown),
    ],
)
async def test_complete_asks_once_and_claims_no_more_than_storage_said(
    reply: bytes, outcome: type[Exception]
) -> None:
    async with canned_s3(reply) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            with pytest.raises(outcome):
                await storage.complete(some_grant(), A_PART)
        assert len(server.requests) == 1


@pytest.mark.parametrize("etag", ["&quot;0-1&quot;", ""])
async def test_complete_takes_a_result_for_a_result(etag: str) -> None:
    async with canned_s3(answer("200 OK", COMPLETED.format(etag))) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            await storage.complete(some_grant(), A_PART)


COPIED = "<CopyPartResult><ETag>{}</ETag></CopyPartResult>"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (error_answer("412 Precondition Failed", "PreconditionFailed"), SourceChanged),
        (error_answer("404 Not Found", "NoSuchKey"), SourceChanged),
        (error_answer("416 Requested Range Not Satisfiable", "InvalidRange"), SourceChanged),
        (error_answer("404 Not Found", "NoSuchUpload"), MultipartNotFound),
        (error_answer("404 Not Found", "NoSuchBucket"), StorageRefused),
        (error_answer("403 Forbidden", "AccessDenied"), StorageRefused),
        (error_answer("503 Slow Down", "SlowDown"), StorageUnavailable),
        (error_answer("200 OK", "InternalError"), StorageUnavailable),
        (error_answer("200 OK", "SlowDown"), StorageUnavailable),
        (answer("200 OK", COPIED)[:-20], StorageUnavailable),
        (b"", StorageUnavailable),
    ],
)
async def test_a_copy_that_is_not_answered_for_is_no_copy(
    reply: bytes, outcome: type[Exception]
) -> None:
    # Twice: the HTTP client repeats a PUT of which it heard nothing, which a copy can bear.
    async with canned_s3(reply, reply) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            with pytest.raises(outcome):
                await storage.copy_part(some_grant(), 1, SOURCE, 0, 7)


@pytest.mark.parametrize(("begin", "size", "ranged"), [(0, 7, False), (0, 6, True), (1, 6, True)])
async def test_a_whole_object_is_copied_without_a_range(
    begin: int, size: int, ranged: bool
) -> None:
    async with canned_s3(answer("200 OK", COPIED.format("e"))) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            await storage.copy_part(some_grant(), 1, SOURCE, begin, size)
        [head] = server.requests
    assert 'x-amz-copy-source-if-match: "etag"' in head
    assert "x-amz-copy-source: bucket/a%20key" in head
    asked = f"x-amz-copy-source-range: bytes={begin}-{begin + size - 1}\r\n" in head
    assert asked is ranged


FINE = answer("200 OK")
LISTED = answer("200 OK", "<ListBucketResult><Name>bucket</Name></ListBucketResult>")
FORBIDDEN = error_answer("403 Forbidden", "AccessDenied")


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ((LISTED, FINE, FINE, FINE), "does not return an object's metadata.*Use another store"),
        ((LISTED, FORBIDDEN), "s3:PutObject is refused: nothing can be uploaded"),
        ((LISTED, FINE, answer("403 Forbidden"), FINE), "s3:GetObject is refused"),
        ((LISTED, FINE, FINE, FORBIDDEN), "s3:DeleteObject is refused"),
    ],
)
async def test_a_bucket_that_cannot_hold_proof_fails_the_check(
    replies: Sequence[bytes], words: str
) -> None:
    async with canned_s3(*replies) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            with pytest.raises(ValueError, match=words):
                await storage.check("test", "bucket")
        assert len(server.requests) == len(replies)


async def test_names_of_metadata_have_no_case() -> None:
    """Check the spelling of rclone and of Go proxies; the SDK, as we use it, sends lower case."""
    spelled = (
        b"HTTP/1.1 200 OK\r\nX-Amz-Meta-Partway-Token: t\r\nETag: e\r\nContent-Length: 9\r\n\r\n"
    )
    async with canned_s3(spelled) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            head = await storage.head(some_grant())
    assert head is not None and head.write_token == "t"


async def test_complete_has_a_client_of_its_own_and_alone_waits_long(nowhere: S3) -> None:
    async with aclosing(await open_s3(nowhere)) as storage:
        clients = storage._clients
        configs = [c.meta.config for c in (clients.control, clients.once, clients.joining)]
    assert [config.read_timeout for config in configs] == [10, 10, 900]
    assert [config.retries["total_max_attempts"] for config in configs] == [3, 1, 1]
    assert clients.once is not clients.joining


@pytest.mark.parametrize("reply", [b"", error_answer("503 Slow Down", "SlowDown")])
async def test_create_is_sent_once(reply: bytes) -> None:
    async with canned_s3(reply) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            with pytest.raises(StorageUnavailable):
                await storage.create(some_grant(), {})
        assert len(server.requests) == 1


async def test_a_call_that_changes_nothing_is_tried_again() -> None:
    page = "<ListMultipartUploadsResult><Bucket>b</Bucket></ListMultipartUploadsResult>"
    found = answer("200 OK", page)
    async with canned_s3(error_answer("503 Slow Down", "SlowDown"), b"", found) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            assert await storage.list_multiparts(some_grant()) == []
        assert len(server.requests) == 3


def page_of_uploads(*ids: str, truncated: bool, **markers: str) -> bytes:
    """Return a ListMultipartUploads response of uploads whose keys are `k-<id>`."""
    uploads = (f"<Upload><Key>k-{i}</Key><UploadId>{i}</UploadId></Upload>" for i in ids)
    shown = "".join(f"<{name}>{value}</{name}>" for name, value in markers.items())
    cut = f"<Bucket>b</Bucket><IsTruncated>{str(truncated).lower()}</IsTruncated>"
    return answer(
        "200 OK",
        f"<ListMultipartUploadsResult>{cut}{shown}{''.join(uploads)}</ListMultipartUploadsResult>",
    )


@pytest.mark.parametrize(
    ("markers", "asked"),
    [
        (
            {"NextKeyMarker": "k-x", "NextUploadIdMarker": "x"},
            ["key-marker=k-x", "upload-id-marker=x"],
        ),
        ({"NextUploadIdMarker": "x"}, ["upload-id-marker=x"]),
        ({}, ["key-marker=k-b", "upload-id-marker=b"]),
    ],
)
async def test_the_next_page_of_uploads_is_asked_for_as_the_store_says(
    markers: dict[str, str], asked: list[str]
) -> None:
    first = page_of_uploads("a", "b", truncated=True, **markers)
    async with canned_s3(first, page_of_uploads("c", truncated=False)) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            found = [each.multipart_id async for each in storage.unfinished("test", "bucket", "k")]
    assert found == ["a", "b", "c"]
    query = server.requests[1].partition(" HTTP")[0].partition("?")[2].split("&")
    assert [each for each in query if "marker" in each] == asked


async def test_a_store_that_does_not_go_on_is_not_asked_for_ever() -> None:
    page = page_of_uploads("a", truncated=True)
    async with canned_s3(page, page, page) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            assert [each async for each in storage.unfinished("test", "bucket", "k")]
    assert len(server.requests) == 2


async def test_a_store_that_lists_one_key_only_is_not_asked() -> None:
    async with canned_s3() as server:
        opening = open_s3(canned(server.endpoint), capabilities=KNOWN["minio"])
        async with aclosing(await opening) as storage:
            assert [each async for each in storage.unfinished("test", "bucket", "k")] == []
    assert server.requests == []


def page_of_parts(*sendings: tuple[int, str, int], truncated: bool) -> bytes:
    """Return a ListParts response of (number, etag, second of the day)."""
    parts = (
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><Size>9</Size>"
        f"<LastModified>2026-03-01T00:00:{second:02}Z</LastModified></Part>"
        for number, etag, second in sendings
    )
    cut = f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
    return answer("200 OK", f"<ListPartsResult>{cut}{''.join(parts)}</ListPartsResult>")


async def test_the_last_sending_of_a_part_counts_even_across_pages() -> None:
    pages = (
        page_of_parts((1, "a", 30), (1, "old", 10), (2, "old", 10), truncated=True),
        page_of_parts((2, "old", 10), (2, "b", 20), (3, "c", 10), truncated=False),
    )
    async with canned_s3(*pages) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            parts = await storage.list_parts(some_grant())
    assert [(part.number, part.etag) for part in parts] == [(1, "a"), (2, "b"), (3, "c")]
    assert "part-number-marker=1&" in server.requests[1]


@pytest.mark.parametrize(
    ("after", "limit", "found"), [(0, 1, [1]), (1, None, [2, 3]), (1, 1, [2]), (3, None, [])]
)
async def test_where_no_page_of_parts_can_be_had_all_are_listed_and_cut(
    after: int, limit: int | None, found: list[int]
) -> None:
    """Check S3Proxy 2.6, which takes neither a marker nor a limit."""
    refused = error_answer("501 Not Implemented", "NotImplemented")
    everything = page_of_parts(*((number, "a", 0) for number in (1, 2, 3)), truncated=False)
    async with canned_s3(refused, everything) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            assert numbers(await storage.list_parts(some_grant(), after, limit)) == found
    [_, again] = server.requests
    assert "max-parts=1000&part-number-marker=0&" in again


async def test_a_store_that_lists_no_parts_at_all_is_refused() -> None:
    refused = error_answer("501 Not Implemented", "NotImplemented")
    async with canned_s3(refused) as server:
        async with aclosing(await open_s3(canned(server.endpoint))) as storage:
            with pytest.raises(StorageRefused):
                await storage.list_parts(some_grant())
    assert len(server.requests) == 1


async def test_an_algorithm_is_named_only_where_complete_can_be_told_the_checksums() -> None:
    created = (
        "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
    )
    grant = some_grant(checksum=Checksum.SHA256)
    for backend, named in (("aws", True), ("seaweedfs", False)):
        async with canned_s3(answer("200 OK", created)) as server:
            changes = {"capabilities": KNOWN[backend]}
            async with aclosing(await open_s3(canned(server.endpoint), **changes)) as storage:
                await storage.create(grant, {})
            assert ("x-amz-checksum-algorithm: SHA256" in server.requests[0]) is named


async def test_urls_go_to_the_public_endpoint(nowhere: S3) -> None:
    changes = {"public_endpoint_url": "https://files.example.org", "addressing": "virtual"}
    async with aclosing(await open_s3(nowhere, **changes)) as storage:
        signer = await storage.presigner(some_grant(), timedelta(minutes=5), datetime.now(UTC))
        [part] = signer.sign([1], {})
    assert part.url.startswith("https://bucket.files.example.org/acme/")


async def test_without_an_endpoint_urls_go_to_aws(nowhere: S3) -> None:
    async with aclosing(await open_s3(nowhere, endpoint_url=None, region="eu-west-1")) as storage:
        signer = await storage.presigner(some_grant(), timedelta(minutes=5), datetime.now(UTC))
        [part] = signer.sign([1], {})
    assert part.url.startswith("https://s3.eu-west-1.amazonaws.com/bucket/acme/")


async def test_a_key_without_its_secret_is_refused(nowhere: S3) -> None:
    with pytest.raises(ValueError, match="only one of access key and secret key"):
        await open_s3(nowhere, secret_key=None)


@pytest.fixture
def sdk_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write the SDK's configuration file; nothing else gives the SDK credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def write(issued: str) -> None:
        (tmp_path / "issued").write_text(issued)
        program = f"credential_process = /bin/cat {tmp_path / 'issued'}" if issued else ""
        (tmp_path / "config").write_text(f"[default]\n{program}\n")

    return write


NO_KEYS = {"access_key": None, "secret_key": None}


async def test_urls_end_with_the_credentials_that_sign_them(
    nowhere: S3, sdk_config: Callable[[str], None]
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    end = now + timedelta(minutes=30)
    document = {
        "Version": 1,
        "AccessKeyId": "ASIA",
        "SecretAccessKey": "temporary",
        "SessionToken": "session",
        "Expiration": end.isoformat(),
    }
    sdk_config(json.dumps(document))
    async with aclosing(await open_s3(nowhere, **NO_KEYS)) as storage:
        short = await storage.presigner(some_grant(), timedelta(minutes=5), now)
        long = await storage.presigner(some_grant(), timedelta(hours=1), now)
        [part] = long.sign([1], {})
    assert short.expire_time == now + timedelta(minutes=5)
    assert long.expire_time == end
    assert "X-Amz-Expires=1800&" in part.url and "X-Amz-Security-Token=session&" in part.url


async def test_without_any_credentials_nothing_is_signed(
    nowhere: S3, sdk_config: Callable[[str], None]
) -> None:
    sdk_config("")
    async with aclosing(await open_s3(nowhere, **NO_KEYS)) as storage:
        with pytest.raises(StorageRefused, match="presigning: NoCredentials"):
            await storage.presigner(some_grant(), timedelta(minutes=5), datetime.now(UTC))
        with pytest.raises(StorageRefused, match="HeadObject: NoCredentials"):
            await storage.head(some_grant())
