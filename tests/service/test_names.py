"""Tests that an object stays under its tenant's prefix, whatever the file is called."""

import posixpath
import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from partway.v1 import upload_pb2
from partway_server.domain.grant import Caller
from partway_server.domain.object_keys import MAX_KEY_BYTES
from partway_server.domain.policy import Policy

from tests.support.examples import examples
from tests.support.world import World, content

NOW = datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)
SID = "0123456789abcdef" * 2

NASTY = [
    "",
    ".",
    "..",
    "../../../etc/passwd",
    "..\\..\\windows\\system32",
    "%2e%2e%2f%2e%2e%2f",
    "%252e%252e%252fetc",
    "..%c0%af..%c0%af",
    "/etc/passwd",
    "//server/share",
    "C:\\x",
    "\\\\?\\UNC\\x",
    "a\0b",
    "a\r\nX-Injected: yes",
    ".htaccess",
    "....//....//",
    "a/../b",
    "a//b",
    "name.",
    "name ",
    " name",
    "~root",
    "$(id)",
    "{sid}",
    "{tenant.__class__}",
    "?versionId=1",
    "#fragment",
    "a+b c&d=e",
    "💥" * 300,
    "é" * 1024,
    "e\u0301" * 500,
    "x" * 1000 + ".tar.gz",
    "." * 1000,
    "x." * 500,
    "x" * 180 + "." * 5 + "y" * 19,
    "\u202egnp.exe",
    "\u2024\u2024\uff0f",
    "\uff0e\uff0e\u2215",
    "\ufeffname",
    "CON",
    "名前.jpg",
    "a" * 196 + ".b.jpeg",
    "𝟘.𝟙",
    "١٢٣.pdf",
    "\ud7ff\ue000\U0010ffff",
]

names = st.one_of(
    st.text(max_size=1024),
    st.text("./\\%2ef\0\r\n ~é💥", max_size=60),
    st.lists(st.sampled_from(NASTY), max_size=4).map("/".join),
).map(lambda name: name[:1024])


def assert_in_its_place(key: str, tenant: str, subject: str = "") -> None:
    prefix = f"{tenant}/2026/03/01/{SID}/"
    once, twice = unquote(key), unquote(unquote(key))
    for text in (key, once, twice, posixpath.normpath(key), posixpath.normpath(twice)):
        assert text.startswith(prefix)
        last = text.removeprefix(prefix)
        assert last and "/" not in last and "\\" not in last
        assert last not in (".", "..") and not last.startswith(".")
        assert re.search(r"[\x00-\x20\x7f{}%?#]", last) is None
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert posixpath.normpath(key) == key
    assert ".." not in key


@settings(max_examples=examples(500), deadline=None)
@given(names, st.from_regex(r"(?!\.)[A-Za-z0-9._-]{1,64}", fullmatch=True))
@example("x", "a..b")
def test_a_key_is_always_in_its_place(name: str, tenant: str) -> None:
    key = Policy("p", "b").key(Caller(tenant, ""), SID, name, NOW)
    assert_in_its_place(key.replace(tenant, "tenant", 1), "tenant")


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_a_key_of_a_nasty_name_is_in_its_place(name: str) -> None:
    assert_in_its_place(Policy("p", "b").key(Caller("acme", ""), SID, name, NOW), "acme")


@settings(max_examples=examples(200), deadline=None)
@given(names, st.text(st.characters(codec="ascii"), max_size=128))
def test_a_subject_stays_in_its_own_segment(name: str, subject: str) -> None:
    policy = Policy("p", "b", key_template="{tenant}/{date}/{sid}/{subject}/{name}")
    key = policy.key(Caller("acme", subject), SID, name, NOW)
    assert len(key.split("/")) == 7
    assert posixpath.normpath(key) == key
    assert len(key.encode()) <= MAX_KEY_BYTES


@settings(
    max_examples=examples(100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.parametrize("world", ["memory"], indirect=True)
@given(name=names)
async def test_any_name_of_1024_characters_opens_an_upload(world: World, name: str) -> None:
    upload = await world.initialize(1000, file_name=name)
    tenant, *_, sid, last = upload.object.key.split("/")
    assert (tenant, sid.partition("-")[0]) == ("acme", world.grant(upload).sid)
    assert last
    assert upload.object.uri == f"s3://{upload.object.bucket}/{quote(upload.object.key)}"


@pytest.mark.parametrize("size", [1000, 5 * 1024 * 1024 + 7])
@pytest.mark.parametrize(
    "name",
    ["名前 и имя.jpg", "💥" * 300, "..%2f..%2f", "a+b&c=d;e@f:g,h!i~j'k(l)*.txt", "e\u0301.md"],
)
async def test_odd_names_reach_the_object(world: World, name: str, size: int) -> None:
    upload = await world.initialize(size, file_name=name)
    for part in await world.presigned(upload):
        body = content(part.part_number, part.size_bytes)
        reply = await world.put(part.url, body, part.headers)
        assert reply.status == 200, reply
    done = await world.complete(upload)
    assert done.state == upload_pb2.UPLOAD_STATE_COMPLETED
    assert done.object.key == upload.object.key


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        'text/plain; charset="utf-8"; a=b',
        "text/plain;a=b  c",
        "text/plain; ",
        "a/b ;",
    ],
)
async def test_odd_media_types_reach_the_object(world: World, content_type: str) -> None:
    upload = await world.initialize(1000, content_type=content_type)
    await world.send(upload)
    assert (await world.complete(upload)).content_type == content_type


@pytest.mark.parametrize("size", [1000, 5 * 1024 * 1024 + 7])
async def test_odd_metadata_reaches_the_object(world: World, size: int) -> None:
    metadata = {
        "empty": "",
        "two-spaces": "a  b",
        "all": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        "9": "=?",
    }
    upload = await world.initialize(size, metadata=metadata)
    await world.send(upload)
    assert (await world.complete(upload)).state == upload_pb2.UPLOAD_STATE_COMPLETED
