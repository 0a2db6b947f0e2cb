"""Tests policy files: read whole, with all problems reported at once, line by line."""

from pathlib import Path
from typing import Any

import pytest
from partway_server.config.backends import Backend, Keys, secrets_of
from partway_server.config.policy_file import PolicyFileError, Rules, read_rules
from partway_server.config.settings import Settings
from partway_server.domain.checksum import Checksum
from partway_server.domain.part_plan import GIB, MIB
from partway_server.domain.policy import Policy
from partway_server.domain.rule_error import RuleError
from partway_server.storage.capabilities import KNOWN
from partway_server.storage.sigv4 import Credentials

from tests.support.secrecy import all_it_holds

DEFAULT = Backend("default", kind="aws")
LONG_TAGS = "\n".join(f"b{n} = '{'é' * 40}'" for n in range(5))
MANY_TAGS = "\n".join(f"t{n} = ''" for n in range(11))


def read(text: str, *, default: Backend = DEFAULT) -> Rules:
    return read_rules("p.toml", text.encode(), bucket="mine", default=default)


def problems(text: str, *, default: Backend = DEFAULT) -> list[str]:
    with pytest.raises(PolicyFileError) as raised:
        read(text, default=default)
    return raised.value.lines


def test_policies_and_backends_are_read_with_all_their_rules() -> None:
    rules = read(
        """
[backend.archive]
kind = "seaweedfs"
endpoint = "http://127.0.0.1:8333"
access_key_env = "ARCHIVE_KEY"
secret_key_env = "ARCHIVE_SECRET"

[policy.default]

[policy.films]
backend = "archive"
bucket = "films"
min_size_bytes = 1
max_size_bytes = "5 GiB"
part_size_bytes = "64MiB"
extensions = ["MP4", "mov"]
checksum = "crc64nvme"
tags = { team = "film" }
""".replace('"MP4"', '"mp4"')
    )
    assert rules.policies == {
        "default": Policy("default", "mine"),
        "films": Policy(
            "films",
            "films",
            backend="archive",
            min_size_bytes=1,
            max_size_bytes=5 * GIB,
            part_size_bytes=64 * MIB,
            extensions={"mp4": ("video/mp4",), "mov": ("video/quicktime",)},
            checksums=(Checksum.CRC64NVME,),
            tags={"team": "film"},
        ),
    }
    archive = Backend(
        "archive",
        kind="seaweedfs",
        endpoint="http://127.0.0.1:8333",
        access_key_env="ARCHIVE_KEY",
        secret_key_env="ARCHIVE_SECRET",
    )
    assert rules.backends == {"default": DEFAULT, "archive": archive}


def test_limits_of_tenants_are_read_in_their_order() -> None:
    rules = read(
        """
[policy.default]

[tenant."acme-*"]
open_bytes = "5GiB"

[tenant.acme]
open_uploads = 7
subject_daily_bytes = 1_000
"""
    )
    assert list(rules.limits.items()) == [
        ("acme-*", {"open_bytes": 5 * GIB}),
        ("acme", {"open_uploads": 7, "subject_daily_bytes": 1000}),
    ]


@pytest.mark.parametrize(
    ("text", "line", "begins"),
    [
        ("[policy.a", 1, "invalid TOML: Expected"),
        ("[policy.a]\nbucket = 'x'\nbucket = 'y'", 3, "invalid TOML: Cannot overwrite"),
        ("[policy.a]\nbucket = '''x", 2, "invalid TOML"),
        ("", 1, "has no policy;"),
        ("# a\n\n[backend.x]\n", 1, "has no policy;"),
        (
            "[policy.a]\n[videos]\nbucket = 'x'",
            2,
            "videos: unknown table; for a policy name it [policy.videos]",
        ),
        ("loose = 1\n[policy.a]", 1, "loose: is outside any table"),
        ("policy = 1", 1, "policy: is not a table of tables"),
        ("[policy]\nbucket = 'x'", 2, "policy.bucket: is not a table"),
        ("[[policy.a]]", 1, "policy.a: is not a table"),
        ("[policy.A]", 1, "policy.A: 'A' is not a name for a policy"),
        ("[policy.'a b']", 1, "policy.\"a b\": 'a b' is not a name for a policy"),
        ("[policy.a]\n\ncolour = 1", 3, "policy.a.colour: unknown rule"),
        (
            "[policy.a]\n[tenant.a]\nopen_upload = 1",
            3,
            "tenant.a.open_upload: unknown rule; did you mean open_uploads",
        ),
        ("[policy.a]\n[tenant.a]\nwatches = -1", 3, "tenant.a.watches: is negative"),
        ("[policy.a]\n[tenant.a]\nwatches = '5GiB'", 3, "tenant.a.watches: is a string, not a"),
        ("[policy.a]\n[tenant.a]\nopen_bytes = 'x'", 3, "tenant.a.open_bytes: 'x' is not a size"),
        (
            "[policy.a]\n[tenant.a]\nsubject_open_bytes = '9999999999GiB'",
            3,
            "tenant.a.subject_open_bytes: is more than 9223372036854775807",
        ),
        (
            "[policy.a]\n[tenant.'a b']\nwatches = 1",
            2,
            'tenant."a b": is not a tenant or a pattern',
        ),
        ("[policy.a]\n[tenant]\nwatches = 1", 3, "tenant.watches: is not a table"),
        ("[policy.a]\nname = 'b'", 2, "policy.a.name: unknown rule"),
        ("[policy.a]\nmax_size = 1", 2, "policy.a.max_size: unknown rule; did you mean max_size"),
        ("policy.a.bucket = ''", 1, "policy.a.bucket: is empty"),
        ("[policy.a]\nbucket = 1", 2, "policy.a.bucket: is a number, not a string"),
        ("[policy.a]\nmax_size_bytes = '1'", 2, "policy.a.max_size_bytes: '1' is not a size"),
        ("[policy.a]\nmax_size_bytes = '1GB'", 2, "policy.a.max_size_bytes: '1GB' is not a size"),
        ("[policy.a]\nmax_size_bytes = true", 2, "policy.a.max_size_bytes: is true or false"),
        ("[policy.a]\nmax_size_bytes = 1.5", 2, "policy.a.max_size_bytes: is a fraction"),
        ("[policy.a]\nmax_size_bytes = -1", 2, "policy.a.max_size_bytes: is negative"),
        ("[policy.a]\nurl_seconds = '5'", 2, "policy.a.url_seconds: is a string, not a whole"),
        ("[policy.a]\nurl_seconds = 5", 2, "policy.a.url_seconds: is not between 120"),
        ("[policy.a]\nmax_upload_seconds = 0", 2, "policy.a.max_upload_seconds: is 0; leave the"),
        ("[policy.a]\nmax_upload_seconds = 9", 2, "policy.a.max_upload_seconds: is shorter than"),
        ("[policy.a]\nvia_service = 1", 2, "policy.a.via_service: is a number, not true"),
        ("[policy.a]\ncompose_delete = 'all'", 2, "policy.a.compose_delete: 'all' is not 'own'"),
        ("[policy.a]\ncompose_delete = 1", 2, "policy.a.compose_delete: 1 is not 'own'"),
        ("[policy.a]\ncontent_types = '*'", 2, "policy.a.content_types: is a string"),
        (
            "[policy.a]\ncontent_types = [\n'*',\n1]",
            2,
            "policy.a.content_types: item 2 is a number, not a string",
        ),
        ("[policy.a]\ncontent_types = []", 2, "policy.a.content_types: is empty"),
        ("[policy.a]\nkey_template = '{sid}'", 2, "policy.a.key_template: needs {tenant}"),
        (
            "[policy.a]\nkey_template = '{tenant}/{date}/{sid}/{metadata.album}'",
            2,
            "policy.a.key_template: uses {metadata.album}, which is not in key_metadata",
        ),
        ("[policy.a]\nkey_metadata = ['A']", 2, "policy.a.key_metadata: 'A' is not a metadata key"),
        (
            "[policy.a]\nrequired_metadata = ['']",
            2,
            "policy.a.required_metadata: '' is not a metadata key",
        ),
        (
            "[policy.a]\nextensions = ['jpg', 'foo1']",
            2,
            "policy.a.extensions: the types of 'foo1' are unknown",
        ),
        ("[policy.a]\nextensions = ['.jpg']", 2, "policy.a.extensions: '.jpg' is not an extension"),
        ("[policy.a]\nextensions = { jpg = 1 }", 2, "policy.a.extensions.jpg: is a number"),
        (
            "[policy.a]\ncontent_types = ['video/*']\nextensions = ['jpg']",
            3,
            "policy.a.extensions: 'jpg' is image/jpeg or image/jpg, which content_types does not",
        ),
        ("[policy.a]\nchecksum = 'crc32'", 2, "policy.a.checksum: 'crc32' is unknown"),
        ("[policy.a]\nchecksum = 'none'", 2, "policy.a.checksum: 'none' is unknown"),
        ("[policy.a]\nchecksum = []", 2, "policy.a.checksum: is empty"),
        (
            "[policy.a]\ndefault_checksum = 'best'",
            2,
            "policy.a.default_checksum: 'best' is unknown",
        ),
        (
            "[policy.a]\ndefault_checksum = 'md5'\nchecksum = 'sha256'",
            2,
            "policy.a.default_checksum: is not one of checksum, sha256",
        ),
        ("[policy.a]\nmin_size_bytes = '6TiB'", 2, "policy.a.min_size_bytes: is more than max"),
        (
            "[policy.a]\nmax_part_size_bytes = '1MiB'",
            2,
            "policy.a.max_part_size_bytes: 10000 parts of 1048576 are too few",
        ),
        (
            "[policy.a]\nmax_size_bytes = '1GiB'\npart_size_bytes = '1MiB'\n"
            "max_part_size_bytes = '1MiB'",
            4,
            "policy.a.max_part_size_bytes: the backend 'default' (aws) takes no part below",
        ),
        ("[policy.a]\nmin_part_size_bytes = '32MiB'", 1, "policy.a.part_size_bytes: 16777216 is"),
        (
            "[policy.a]\ncontent_disposition = ''",
            2,
            "policy.a.content_disposition: is not a header value",
        ),
        ('[policy.a]\ncache_control = "a\\nb"', 2, "policy.a.cache_control: is not a header value"),
        ("[policy.a]\nstorage_class = 'cold'", 2, "policy.a.storage_class: is not a storage class"),
        ("[policy.a]\nencryption = 'rot13'", 2, "policy.a.encryption: 'rot13' is neither"),
        ("[policy.a]\nkms_key_id = 'k'", 2, "policy.a.kms_key_id: needs encryption"),
        (
            "[policy.a]\nencryption = 'AES256'\nchecksum = ['sha256', 'md5']",
            3,
            "policy.a.checksum: md5 cannot be used with encryption",
        ),
        ("[policy.a.tags]\n'a\\b' = 'x'", 1, "policy.a.tags: 'a\\\\b': letters, digits"),
        ("[policy.a.tags]\n'aws:x' = 'x'", 1, "policy.a.tags: 'aws:x': letters, digits"),
        (
            f"[policy.a.tags]\na = '{'x' * 200}'\n{LONG_TAGS}",
            1,
            "policy.a.tags: are more than 1000",
        ),
        (f"[policy.a.tags]\n{MANY_TAGS}", 1, "policy.a.tags: are more than 10, the most"),
        ("[policy.a]\ntenants = []", 2, "policy.a.tenants: is empty"),
        ("[policy.a]\nbackend = 'b'", 2, "policy.a.backend: no [backend.b]; known are d"),
        (
            "[policy.a]\n[backend.default]",
            2,
            "backend.default: is the backend of the PARTWAY_S3_ settings",
        ),
        ("[policy.a]\n[backend.B]", 2, "backend.B: is not a name for a backend"),
        ("[policy.a]\n[backend.b]\nkind = 'x'", 3, "backend.b.kind: 'x' is unknown; known are"),
        ("[policy.a]\n[backend.b]\nendpoint = 'x'", 3, "backend.b.endpoint: 'x' is not http://"),
        ("[policy.a]\n[backend.b]\nregion = ''", 3, "backend.b.region: is empty"),
        ("[policy.a]\n[backend.b]\naddressing = 'x'", 3, "backend.b.addressing: 'x' is neither"),
        ("[policy.a]\n[backend.b]\nsecret_key = 'x'", 3, "backend.b.secret_key: unknown rule"),
        (
            "[policy.a]\n[backend.b]\naccess_key_env = 'x'",
            2,
            "backend.b.secret_key_env: is missing, but access",
        ),
        (
            "[policy.a]\n[backend.b]\nsecret_key_env = 'x'",
            2,
            "backend.b.access_key_env: is missing, but secret",
        ),
    ],
)
def test_a_problem_is_reported_with_its_line(text: str, line: int, begins: str) -> None:
    found = problems(text)
    assert any(each.startswith(f"p.toml:{line}: {begins}") for each in found), found


def test_a_policy_elsewhere_must_name_its_bucket() -> None:
    text = "[backend.b]\n[policy.a]\nbackend = 'b'\n"
    [found] = problems(text)
    assert found.startswith("p.toml:2: policy.a.bucket: is missing")
    assert read(text + "bucket = 'x'").policies["a"].bucket == "x"


def test_all_problems_are_reported_in_the_order_of_their_lines() -> None:
    found = problems(
        """[policy.a]
colour = 1
max_size_bytes = "much"
[policy.b]
backend = "c"
bucket = "x"
url_seconds = 1
[backend.c]
kind = "nothing"
[old]
"""
    )
    assert [each.split(": ")[0:2] for each in found] == [
        ["p.toml:2", "policy.a.colour"],
        ["p.toml:3", "policy.a.max_size_bytes"],
        ["p.toml:7", "policy.b.url_seconds"],
        ["p.toml:9", "backend.c.kind"],
        ["p.toml:10", "old"],
    ]


def test_a_file_that_is_not_text_is_refused() -> None:
    with pytest.raises(PolicyFileError, match="p.toml:2: is not UTF-8"):
        read_rules("p.toml", b"[policy.a]\n\xff", bucket="b", default=DEFAULT)


@pytest.mark.parametrize(
    ("kind", "rule", "value"),
    [
        ("minio", "tags", "{ a = 'b' }"),
        ("seaweedfs", "encryption", "'AES256'"),
        ("r2", "tags", "{ a = 'b' }"),
        ("generic", "storage_class", "'COLD'"),
        ("storj", "checksum", "'crc64nvme'"),
        ("storj", "default_checksum", "'crc64nvme'"),
    ],
)
def test_what_storage_would_drop_in_silence_is_refused(kind: str, rule: str, value: str) -> None:
    [found] = problems(f"[policy.a]\n{rule} = {value}", default=Backend("default", kind=kind))
    assert found.startswith(f"p.toml:2: policy.a.{rule}: the backend 'default' ({kind}) ")


@pytest.mark.parametrize("kind", KNOWN)
def test_what_is_usual_fits_every_backend(kind: str) -> None:
    assert read("[policy.default]", default=Backend("default", kind=kind))


DAY = 24 * 3600


def test_an_upload_ends_before_storage_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    minio = Backend("default", kind="minio")
    found = read("[policy.a]\n[policy.b]\nupload_seconds = 7200", default=minio).policies
    assert (found["a"].upload_seconds, found["a"].max_upload_seconds) == (DAY - 3600, DAY - 3600)
    assert (found["b"].upload_seconds, found["b"].max_upload_seconds) == (7200, 7200)
    assert caplog.messages == [
        "policy 'a': uploads end after 82800 s, since storage ends multipart uploads after 86400 s"
    ]


def test_a_longer_life_than_that_of_storage_is_refused() -> None:
    minio = Backend("default", kind="minio")
    assert problems(f"[policy.a]\nupload_seconds = {2 * DAY}", default=minio) == [
        "p.toml:2: policy.a.upload_seconds: the backend 'default' (minio) ends a multipart upload"
        " 86400 s after it began; allow at most 82800, or set multipart_seconds of the backend"
    ]
    [line] = problems(f"[policy.a]\nmax_upload_seconds = {2 * DAY}", default=minio)
    assert "policy.a.max_upload_seconds" in line


def test_what_storage_is_configured_with_is_said_for_its_backend() -> None:
    text = f"[policy.a]\nbackend = 'm'\nbucket = 'b'\nupload_seconds = {9 * DAY}\n[backend.m]\n"
    kind = "kind = 'minio'\nendpoint = 'http://m'\n"
    for seconds in (0, 30 * DAY):
        found = read(f"{text}{kind}multipart_seconds = {seconds}")
        assert found.policies["a"].upload_seconds == 9 * DAY
    [line] = problems(f"{text}{kind}multipart_seconds = 60")
    assert "backend.m.multipart_seconds" in line


def test_a_backend_is_what_its_endpoint_says_unless_it_is_said() -> None:
    assert (Backend("b").known_as, Backend("b").in_path) == ("aws", False)
    local = Backend("b", endpoint="http://127.0.0.1:1")
    assert (local.known_as, local.in_path) == ("generic", True)
    assert not Backend("b", endpoint="http://h", addressing="virtual").in_path


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000 + "]" * 100_000])
def test_what_python_cannot_hold_is_a_fault_of_the_file(value: str) -> None:
    [line] = problems(f"[policy.a]\nmin_size_bytes = {value}")
    assert line.startswith("p.toml: has a number that is too long, or brackets that are too deep")


def test_a_size_of_thousands_of_digits_is_no_size() -> None:
    [line] = problems(f'[policy.a]\nmin_size_bytes = "{"9" * 5000}GiB"')
    assert "is not a size" in line


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read("\ufeff[policy.a]\n").policies == {"a": Policy("a", "mine")}


def test_a_name_cannot_write_lines_or_steer_a_terminal() -> None:
    assert problems('[policy.a]\n"\\u001b[2J\\n" = 1\n"é" = 1') == [
        r'p.toml:2: policy.a."\u001b[2J\n": unknown rule',
        'p.toml:3: policy.a."é": unknown rule',
    ]


def test_a_value_of_another_kind_is_named_as_what_it_is() -> None:
    assert problems("[policy.a]\nurl_seconds = 2026-01-01\ntags = { a = 1 }") == [
        "p.toml:2: policy.a.url_seconds: is a date or time, not a whole number",
        "p.toml:3: policy.a.tags.a: is a number, not a string; put it in quotes",
    ]


SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        f"[backend.b]\nendpoint = 'http://user:{SECRET}@h'",
        f"[backend.b]\npublic_endpoint = 'http://:{SECRET}@h'",
        f"[backend.b]\nendpoint = 'http://h/?key={SECRET}'",
        f"[backend.b]\nsecret_key = '{SECRET}'",
        f"[backend.b]\nsecret_key_env = ['{SECRET}']",
        f"[backend.b]\nsecret_key_env = '{SECRET}",
        f"[backend.b]\nsecret_key_env = '{SECRET}'\n# \udcff",
    ],
)
def test_no_problem_holds_a_secret_of_the_file(text: str) -> None:
    content = text.encode(errors="surrogateescape")
    with pytest.raises(PolicyFileError) as raised:
        read_rules("p.toml", content, bucket="b", default=DEFAULT)
    assert SECRET not in all_it_holds(raised.value)


def test_a_secret_in_the_place_of_its_variable_is_not_repeated() -> None:
    backend = Backend("b", access_key_env="NO_KEY", secret_key_env=SECRET)
    with pytest.raises(RuleError, match="secret_key_env: the variable is not set") as raised:
        secrets_of(backend, Settings(), {})
    assert SECRET not in all_it_holds(raised.value)
    assert "access_key_env: the variable NO_KEY is not set" in str(raised.value)


def test_credentials_may_be_in_files_and_those_of_a_signer_beside_them(tmp_path: Path) -> None:
    paths = {name: tmp_path / name for name in ("access", "secret", "signer")}
    for name, path in paths.items():
        path.write_text(f"{name}-value\n")
    backend = Backend(
        "b",
        access_key_file=str(paths["access"]),
        secret_key_file=str(paths["secret"]),
        session_token_env="TOKEN",
        signer_access_key_env="SIGNER",
        signer_secret_key_file=str(paths["signer"]),
    )
    found = secrets_of(backend, Settings(), {"TOKEN": "token-value", "SIGNER": "signer-name"})
    assert found.control == Keys("access-value", "secret-value", "token-value")
    assert found.signer == Credentials("signer-name", "signer-value")
    assert "value" not in repr(found)
    paths["secret"].write_text("other")
    assert secrets_of(backend, Settings(), {"TOKEN": "t", "SIGNER": "s"}) != found
    paths["secret"].unlink()
    with pytest.raises(RuleError, match=f"secret_key_file: {paths['secret']} cannot be read"):
        secrets_of(backend, Settings(), {"TOKEN": "t", "SIGNER": "s"})


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        ({"access_key_file": "/a"}, "secret_key_env"),
        ({"signer_secret_key_env": "S"}, "signer_access_key_env"),
        ({"signer_session_token_file": "/t"}, "signer_access_key_env"),
        (
            {"access_key_env": "A", "secret_key_env": "S", "secret_key_file": "/s"},
            "secret_key_file",
        ),
        ({"access_key_env": "A", "secret_key_file": SECRET}, "secret_key_file"),
    ],
)
def test_half_a_pair_of_credentials_is_refused(rules: dict[str, Any], rule: str) -> None:
    with pytest.raises(RuleError) as raised:
        Backend("b", **rules)
    assert [name for name, _ in raised.value.problems] == [rule]
    assert SECRET not in str(raised.value)
