"""Tests that policies refuse rules that contradict each other, and name them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partway_server.domain.grant import Caller
from partway_server.domain.key_marks import SEGMENT_CHARS
from partway_server.domain.object_keys import MAX_KEY_BYTES, MAX_NAME_BYTES, safe_name
from partway_server.domain.policy import Policy, valid_tenant

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = 24 * 3600
SID = "ab" * 16
MARKED = "0" * SEGMENT_CHARS


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"name": ""}, "not a name for a policy"),
        ({"name": "A"}, "not a name for a policy"),
        ({"name": "a" * 65}, "not a name for a policy"),
        ({"name": "a\n"}, "not a name for a policy"),
        ({"bucket": ""}, "bucket: is empty"),
        ({"key_template": "{tenant}/{date}/{sid}/{other}"}, "allowed are"),
        ({"key_template": "{tenant}/{date}/{sid}/{}"}, "allowed are"),
        ({"key_template": "{tenant}/{date}/{sid}/{name.__class__}"}, "allowed are"),
        ({"key_template": "{tenant}/{date}/{sid}/{name[0]}"}, "allowed are"),
        ({"key_template": "{tenant}/{date}/{sid:.0}"}, "must not have a format"),
        ({"key_template": "{tenant:.1}/{date}/{sid}"}, "must not have a format"),
        ({"key_template": "{tenant!r}/{date}/{sid}"}, "must not have a format"),
        ({"key_template": "{tenant}/{date}/{name}"}, "needs"),
        ({"key_template": "{date}/{sid}"}, "needs"),
        ({"key_template": "{tenant}/{sid}"}, "needs"),
        ({"key_template": "/{tenant}/{date}/{sid}"}, "segment"),
        ({"key_template": "{tenant}//{date}/{sid}"}, "segment"),
        ({"key_template": "{tenant}/../{date}/{sid}"}, "segment"),
        ({"key_template": "./{tenant}/{date}/{sid}"}, "segment"),
        ({"key_template": "{tenant}/{date}/{sid}/"}, "segment"),
        ({"key_template": "x" * 720 + "/{tenant}/{date}/{sid}/{name}"}, "1024 bytes"),
        ({"key_template": "{tenant}/{date}/{sid}/{"}, "key_template"),
        ({"url_seconds": 119}, "url_seconds"),
        ({"url_seconds": 3601}, "url_seconds"),
        ({"max_url_seconds": 604_801}, "url_seconds"),
        ({"upload_seconds": 899}, "upload_seconds"),
        ({"upload_seconds": 365 * 24 * 3600 + 1}, "upload_seconds: is more than"),
        ({"max_upload_seconds": 6 * 24 * 3600 - 1}, "max_upload_seconds: is shorter than"),
        ({"max_upload_seconds": -1}, "max_upload_seconds: is shorter than"),
        ({"max_upload_seconds": 365 * 24 * 3600 + 1}, "max_upload_seconds: is more than"),
        ({"key_template": "a\n/{tenant}/{date}/{sid}"}, "control character"),
        ({"key_template": "a\x7f/{tenant}/{date}/{sid}"}, "control character"),
        ({"content_types": ()}, "content_types: is empty"),
        ({"max_size_bytes": -1}, "negative"),
        ({"part_size_bytes": -1}, "negative"),
        ({"single_put_max_bytes": -1}, "negative"),
    ],
)
def test_rules_that_do_not_hold_are_refused(rules: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Policy(**{"name": "p", "bucket": "b"} | rules)


@pytest.mark.parametrize(
    "template",
    [
        "{tenant}/{date}/{sid}",
        "{tenant}/{date}/{sid}/{name}",
        "files/{tenant}/{subject}/{date}/{sid}-{name}",
        "{sid}/{date}/{tenant}",
    ],
)
def test_templates_that_keep_tenants_apart_are_taken(template: str) -> None:
    key = Policy("p", "b", key_template=template).key(Caller("acme", "al/ice"), SID, "a/b.c", NOW)
    assert SID in key and "acme" in key and "2026/03/01" in key
    assert "al/ice" not in key and "a/b" not in key


@pytest.mark.parametrize(
    ("patterns", "content_type", "allowed"),
    [
        (("*",), "application/x", True),
        (("image/*",), "image/png", True),
        (("image/*",), "IMAGE/PNG; a=b", True),
        (("Image/*",), "image/png", True),
        (("image/*",), "video/png", False),
        (("image/*",), "ximage/png", False),
        (("image/png", "image/gif"), "image/gif", True),
        (("image/png",), "image/png+x", False),
        (("text/plain",), "text/plain;charset=utf-8", True),
        (("text/plain",), "text/html; x=text/plain", False),
    ],
)
def test_media_types_are_allowed_by_pattern(
    patterns: tuple[str, ...], content_type: str, allowed: bool
) -> None:
    assert Policy("p", "b", content_types=patterns).allows_type(content_type) is allowed


@pytest.mark.parametrize(
    ("template", "prefix"),
    [
        ("{tenant}/{date}/{sid}", ""),
        ("files/{tenant}/{date}/{sid}", "files/"),
        ("a{{b}}/c-{tenant}/x/{date}/{sid}", "a{b}/c-"),
    ],
)
def test_all_keys_begin_with_the_template_up_to_its_first_field(template: str, prefix: str) -> None:
    policy = Policy("p", "b", key_template=template)
    assert policy.key_prefix == prefix
    assert policy.key(Caller("acme", "alice"), SID, "a", NOW).startswith(prefix)


@pytest.mark.parametrize("tenant", ["a", "A-1_b.c", "a" * 64, "_", "-", "a..b"])
def test_tenants_that_can_stand_in_a_key(tenant: str) -> None:
    assert valid_tenant(tenant)


@pytest.mark.parametrize(
    "tenant", ["", ".", "..", ".a", "a/b", "a b", "a\n", "a" * 65, "é", "a%", "a\0", "\\"]
)
def test_tenants_that_cannot(tenant: str) -> None:
    assert not valid_tenant(tenant)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Ferien film.mp4", "Ferien_film.mp4"),
        ("", "file"),
        ("...", "file"),
        ("../../etc/passwd", "etc_passwd"),
        ("..\\x", "x"),
        (".env", "env"),
        ("a\0\r\nb", "a_b"),
        ("名前.jpg", "名前.jpg"),
        ("e\u0301", "é"),
        ("a  b", "a_b"),
        ("a___b", "a_b"),
        ("a.", "a"),
        ("x" * 300 + ".tar.gz", "x" * 197 + ".gz"),
        ("x" * 300, "x" * 200),
        ("x." + "y" * 300, "x." + "y" * 198),
        ("💥" * 300, "file"),
        ("🚀.txt", "file.txt"),
        ("🚀.tar.gz", "tar.gz"),
        ("_.txt", "file.txt"),
    ],
)
def test_a_safe_name_still_shows_what_it_was(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=1024))
def test_a_safe_name_is_short_and_safe_already(name: str) -> None:
    safe = safe_name(name)
    assert 1 <= len(safe.encode()) <= MAX_NAME_BYTES
    assert safe_name(safe) == safe


@given(st.text(max_size=1024), st.text(max_size=128))
def test_the_longest_template_that_is_taken_keeps_its_limit(name: str, subject: str) -> None:
    filler = MAX_KEY_BYTES - len(
        "/".join(["", "t" * 64, "s" * 200, "2026/03/01", MARKED, "n" * 200])
    )
    policy = Policy("p", "b", key_template="x" * filler + "/{tenant}/{subject}/{date}/{sid}/{name}")
    key = policy.key(Caller("t" * 64, subject), MARKED, name, NOW)
    assert len(key.encode()) <= MAX_KEY_BYTES


@pytest.mark.parametrize(
    ("rules", "longest"),
    [
        ({}, 6 * DAY),
        ({"upload_seconds": 900}, 900),
        ({"upload_seconds": 365 * DAY}, 365 * DAY),
        ({"max_upload_seconds": 30 * DAY}, 30 * DAY),
        ({"upload_seconds": 900, "max_upload_seconds": 900}, 900),
    ],
)
def test_an_upload_may_be_extended_only_where_the_policy_says_so(
    rules: dict[str, Any], longest: int
) -> None:
    assert Policy("p", "b", **rules).max_upload_seconds == longest
