"""Tests that both versions write the same keys, fields and packed forms to Redis."""

import itertools
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import msgpack
import pytest
from partway.v1 import upload_pb2
from redis import Redis

from tests.support.previous_version import (
    VERSIONS,
    Deployment,
)
from tests.support.storage import Put
from tests.support.version_sides import (
    COMPLETED,
    KINDS,
    TWO_PARTS,
    Side,
    as_caller,
    sid_of,
)

FORM = b"1"
"""The number of the form that both versions read and write."""

pytestmark = [pytest.mark.redis, pytest.mark.s3, pytest.mark.timeout(90)]


async def test_both_store_an_upload_in_the_same_form(deployment: Deployment, put: Put) -> None:
    forms = {}
    with Redis.from_url(deployment.redis_url) as redis:
        for first, last in itertools.product(VERSIONS, repeat=2):
            tenant = f"tenant-{uuid4().hex[:12]}"
            async with (
                as_caller(deployment.services[first], put, tenant) as one,
                as_caller(deployment.services[last], put, tenant) as two,
            ):
                forms[first, last] = [form async for form in forms_of_a_life(redis, one, two)]
    [expected, *others] = forms.values()
    names = {re.sub("{..}", "{NN}", key) for form in expected for key in form}
    assert names == {
        "partway:{NN}:upload:SID",
        "partway:{NN}:own:TENANT:alice",
        "partway:{NN}:due",
        "partway:{NN}:events",
    }
    for other in others:
        assert other == expected


async def forms_of_a_life(redis: Redis, first: Side, last: Side) -> AsyncIterator[dict[str, Any]]:
    """Return what Redis holds at each step of uploads that the first opens and the last ends."""
    fields = {"fingerprint": "film", "metadata": {"title": "one"}, "request_id": str(uuid4())}
    sources = []
    for kind in KINDS.values():
        upload = await first.initialize(**kind, **fields)
        fields["request_id"] = str(uuid4())
        yield stored_form(redis, upload)
        await last.report(upload, *await last.send(upload))
        yield stored_form(redis, upload)
        sources.append(await last.complete(upload))
        yield stored_form(redis, upload)
    aborted = await first.initialize(**TWO_PARTS, **fields)
    await last.abort(aborted)
    yield stored_form(redis, aborted)
    fields["request_id"] = str(uuid4())
    composed = await first.compose(*sources[:2], delete_sources=True, **fields)
    assert (await last.complete(composed)).state == COMPLETED
    yield stored_form(redis, composed)


def stored_form(redis: Any, upload: upload_pb2.Upload) -> dict[str, Any]:
    """Return the upload's keys in Redis, by their names without its own, and their form."""
    sid, tenant = sid_of(upload), upload.object.key.split("/")[0]
    shard = f"{int(sid[-2:], 16) % 64:02}"
    form: dict[str, Any] = {}
    for key in redis.scan_iter(f"partway:{{{shard}}}:*"):
        name, kind = key.decode(), redis.type(key).decode()
        if kind == "hash" and sid in name:
            # The previous version wrote no number, and keeps that of the present one.
            row = {k: v for k, v in redis.hgetall(key).items() if (k, v) != (b"form", FORM)}
            found: Any = {k.decode(): value_form(k, v) for k, v in row.items()}
        elif kind == "zset":
            members = [each.decode() for each in redis.zrange(key, 0, -1)]
            found = [re.sub("^[0-9a-f]{10}(?=SID)", "TIME", m.replace(sid, "SID")) for m in members]
            found = [member for member in found if "SID" in member]
        elif kind == "stream":
            entries = [
                fields for _, fields in redis.xrange(key) if fields[b"upload"] == sid.encode()
            ]
            found = [event_form(fields) for fields in entries]
        else:
            continue
        if found:
            name = name.replace(sid, "SID").replace(tenant, "TENANT").replace(shard, "NN")
            form[name] = (kind, redis.pttl(key) > 0, found)
    return form


def value_form(name: bytes, value: bytes) -> Any:
    """Return what a stored field has in common in all uploads of a kind, never its whole value."""
    if not value:
        return "empty"
    if name in (b"grant", b"object", b"metadata", b"sources"):
        return packed_form(msgpack.unpackb(value))
    return value.decode() if name in (b"state", b"reason", b"told", b"policy") else "a value"


def packed_form(value: Any) -> Any:
    if isinstance(value, list):
        return [packed_form(each) for each in value]
    if isinstance(value, dict):
        return {key: packed_form(each) for key, each in value.items()}
    return type(value).__name__


def event_form(entry: dict[bytes, bytes]) -> Any:
    event = json.loads(entry[b"event"])
    return sorted(entry), entry[b"type"], list(event), list(event["data"])
