"""Compares the presigner with botocore's, and tests what else it promises.

Whole URLs are compared: ours with those of the real client's `generate_presigned_url`.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import botocore.auth
import pytest
from botocore.config import Config
from botocore.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from partway_server.storage.sigv4 import Credentials, S3Endpoint, Signer

from tests.support.examples import examples

NOW = datetime(2026, 11, 21, 9, 30, 15, tzinfo=UTC)

ENDPOINTS = [
    ("https://s3.eu-central-1.amazonaws.com", "eu-central-1"),
    ("https://s3.us-east-1.amazonaws.com", "us-east-1"),
    ("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("https://0123456789abcdef.r2.cloudflarestorage.com", "auto"),
    ("https://Storage.Example.COM:443/", "EU"),
    ("https://storage.example.com:8443", "us-east-1"),
    ("https://example.com/storage/v1/s3", "us-west-2"),
    ("http://localhost:8333", "us-east-1"),
    ("http://localhost:80", "garage"),
    ("http://127.0.0.1:9000", "us-east-1"),
    ("http://192.168.1.20", "us-east-1"),
    ("https://[2001:db8::1]:9000", "us-east-1"),
]
CREDENTIALS = [
    Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    Credentials("ASIAEXAMPLE", "secret", "FwoGZXIvYXdzEBYaD+/abc//Zz09+q=="),
    Credentials("user+name@example.com/x", "sécret with spaces", "t o~k.e_n-%41&="),
]
BUCKETS = [
    "bucket",
    "my-bucket-1",
    "my.dotted.bucket",
    "b.c",
    "ab",
    "0ab",
    "My_Bucket",
    "bucket-",
    "-bucket",
    "two..dots",
    "dash.-dash",
    "192.168.0.1",
    "x" * 63,
    "x" * 64,
]
SEGMENTS = ["", ".", "..", ".hidden", "a b", "a+b", "~", "100%", "%2F", "%20", "é", "日本", "😀"]
PUNCTUATION = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~aZ0"
HEADER_OF = {
    "ContentLength": "Content-Length",
    "ContentType": "Content-Type",
    "ContentDisposition": "Content-Disposition",
    "ContentMD5": "Content-MD5",
    "CacheControl": "Cache-Control",
    "IfNoneMatch": "If-None-Match",
    "ChecksumCRC32": "x-amz-checksum-crc32",
    "ChecksumCRC32C": "x-amz-checksum-crc32c",
    "ChecksumCRC64NVME": "x-amz-checksum-crc64nvme",
    "ChecksumSHA1": "x-amz-checksum-sha1",
    "ChecksumSHA256": "X-Amz-Checksum-SHA256",
    "ServerSideEncryption": "x-amz-server-side-encryption",
}

Params = dict[str, Any]


@dataclass
class Peers:
    """botocore's clients and our signers with the same settings, each created once."""

    session: Session = field(default_factory=Session)
    made: dict[Any, tuple[Any, Signer]] = field(default_factory=dict)

    def get(self, credentials: Credentials, endpoint: S3Endpoint) -> tuple[Any, Signer]:
        pair = self.made.get((credentials, endpoint))
        if pair is None:
            pair = (self._client(credentials, endpoint), Signer(credentials, endpoint))
            self.made[credentials, endpoint] = pair
        return pair

    def _client(self, credentials: Credentials, endpoint: S3Endpoint) -> Any:
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": endpoint.addressing},
            request_checksum_calculation="when_required",
        )
        return self.session.create_client(
            "s3",
            region_name=endpoint.region,
            endpoint_url=endpoint.url,
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            aws_session_token=credentials.session_token or None,
            config=config,
        )


@dataclass(frozen=True)
class Case:
    """The input of both signers, whatever they sign."""

    credentials: Credentials
    endpoint: S3Endpoint
    bucket: str
    key: str
    lifetime_seconds: int
    now: datetime


def can_be_reached(case: Case) -> bool:
    """Return False where botocore, unlike us, names an impossible host: `my.bucket.127.0.0.1`."""
    at_address = case.endpoint.url in ("http://127.0.0.1:9000", "http://192.168.1.20")
    return not (at_address and case.endpoint.addressing == "virtual" and "." in case.bucket)


keys = st.one_of(
    st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=6).map("/".join).filter(bool),
    st.text(PUNCTUATION, min_size=1, max_size=30),
    st.text(min_size=1, max_size=20),
)
cases = st.builds(
    Case,
    credentials=st.sampled_from(CREDENTIALS),
    endpoint=st.builds(
        lambda place, addressing: S3Endpoint(place[0], place[1], addressing),
        st.sampled_from(ENDPOINTS),
        st.sampled_from(["path", "virtual"]),
    ),
    bucket=st.sampled_from(BUCKETS),
    key=keys,
    lifetime_seconds=st.integers(1, 604_800),
    now=st.datetimes(
        datetime(2000, 1, 1),
        datetime(2099, 12, 31),
        timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    ),
).filter(can_be_reached)
values = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=30)
lengths = st.integers(0, 5 * 1024**3)
checksums = st.fixed_dictionaries(
    {"ContentLength": lengths},
    optional={
        name: st.binary(min_size=size, max_size=size).map(lambda b: base64.b64encode(b).decode())
        for name, size in [
            ("ContentMD5", 16),
            ("ChecksumCRC32", 4),
            ("ChecksumCRC32C", 4),
            ("ChecksumCRC64NVME", 8),
            ("ChecksumSHA1", 20),
            ("ChecksumSHA256", 32),
        ]
    },
)
metadata = st.dictionaries(
    st.text("abcxyz0189-_%", min_size=1, max_size=12),
    st.text(PUNCTUATION, max_size=20),
    max_size=3,
)
put_params = st.builds(
    lambda *given: {name: value for params in given for name, value in params.items()},
    checksums,
    st.fixed_dictionaries(
        {},
        optional={
            "ContentType": values,
            "ContentDisposition": values,
            "CacheControl": values,
            "IfNoneMatch": st.just("*"),
            "ServerSideEncryption": st.just("AES256"),
            "Metadata": metadata,
        },
    ),
)


def headers_of(params: Params) -> Mapping[str, str]:
    """Return the headers that a client sends for these parameters of botocore's."""
    named = {HEADER_OF[name]: str(v) for name, v in params.items() if name != "Metadata"}
    own = {f"x-amz-meta-{name}": value for name, value in params.get("Metadata", {}).items()}
    return {**own, **named}


def at(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make botocore believe that it is `case.now`."""
    naive = case.now.astimezone(UTC).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: naive)


def of_botocore(client: Any, method: str, case: Case, params: Params) -> str:
    target = {"Bucket": case.bucket, "Key": case.key}
    url: str = client.generate_presigned_url(
        method, Params={**target, **params}, ExpiresIn=case.lifetime_seconds
    )
    return url


def thorough(most: int) -> settings:
    return settings(
        max_examples=most,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@pytest.mark.timeout(300)
def test_every_part_url_equals_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare four URLs per example: two by `url`, each with its own headers; two by `of_size`."""
    peers, compared = Peers(), 0

    @thorough(examples(4_500))
    @given(
        case=cases,
        multipart_id=st.text(PUNCTUATION + "é", min_size=1, max_size=40),
        numbers=st.lists(st.integers(1, 10_000), min_size=4, max_size=4),
        first=checksums,
        second=checksums,
        length=lengths,
    )
    def compare(
        case: Case,
        multipart_id: str,
        numbers: list[int],
        first: Params,
        second: Params,
        length: int,
    ) -> None:
        nonlocal compared
        at(case, monkeypatch)
        client, signer = peers.get(case.credentials, case.endpoint)
        parts = signer.for_parts(
            case.bucket,
            case.key,
            multipart_id,
            lifetime_seconds=case.lifetime_seconds,
            now=case.now,
        )
        plain = {"ContentLength": length}
        ours = [
            parts.url(numbers[0], headers_of(first)),
            parts.url(numbers[1], headers_of(second)),
            *map(parts.of_size(length), numbers[2:]),
        ]
        for number, params, url in zip(numbers, [first, second, plain, plain], ours, strict=True):
            part = {"UploadId": multipart_id, "PartNumber": number, **params}
            assert url == of_botocore(client, "upload_part", case, part)
            compared += 1

    compare()
    assert compared >= 4 * examples(4_500)


@pytest.mark.timeout(300)
def test_every_put_url_equals_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare one URL per example."""
    peers, compared = Peers(), 0

    @thorough(examples(2_500))
    @given(case=cases, params=put_params)
    def compare(case: Case, params: Params) -> None:
        nonlocal compared
        at(case, monkeypatch)
        client, signer = peers.get(case.credentials, case.endpoint)
        url = signer.presign_put(
            case.bucket,
            case.key,
            headers=headers_of(params),
            lifetime_seconds=case.lifetime_seconds,
            now=case.now,
        )
        assert url == of_botocore(client, "put_object", case, params)
        compared += 1

    compare()
    assert compared >= examples(2_500)


def part_signer(now: datetime = NOW, signer: Signer | None = None) -> Any:
    signer = signer or Signer(CREDENTIALS[1], S3Endpoint(*ENDPOINTS[0], "virtual"))
    return signer.for_parts("bucket", "a key", "an id", lifetime_seconds=900, now=now)


def test_each_part_has_a_url_and_a_signature_of_its_own() -> None:
    urls = list(map(part_signer().of_size(5), range(1, 10_001)))
    assert len(set(urls)) == 10_000
    assert len({url.rpartition("=")[2] for url in urls}) == 10_000


def test_of_size_is_url_with_a_content_length() -> None:
    parts = part_signer()
    one_by_one = [parts.url(number, {"content-length": "5"}) for number in range(1, 101)]
    assert list(map(parts.of_size(5), range(1, 101))) == one_by_one


@pytest.mark.parametrize("header", ["x-amz-checksum-crc64nvme", "content-md5"])
def test_of_checksum_is_url_with_two_headers(header: str) -> None:
    parts = part_signer()
    values = {number: base64.b64encode(bytes([number] * 8)).decode() for number in range(1, 101)}
    one_by_one = [
        parts.url(number, {"content-length": "5", header: value})
        for number, value in values.items()
    ]
    assert [parts.of_checksum(5, header)(*each) for each in values.items()] == one_by_one


def test_the_order_and_case_of_headers_change_nothing() -> None:
    parts = part_signer()
    url = parts.url(1, {"content-length": "5", "x-amz-checksum-crc32c": "AAAAAA=="})
    assert parts.url(1, {"X-Amz-Checksum-CRC32C": "AAAAAA==", "Content-Length": "5"}) == url


@pytest.mark.parametrize("headers", [{"content-length": "6"}, {"Content-Length": "5", "a": "b"}])
def test_other_headers_make_another_signature(headers: Mapping[str, str]) -> None:
    parts = part_signer()
    signature = parts.url(1, {"content-length": "5"}).rpartition("=")[2]
    assert parts.url(1, headers).rpartition("=")[2] != signature


def test_a_url_without_a_content_length_is_not_signed() -> None:
    signer = Signer(CREDENTIALS[0], S3Endpoint(*ENDPOINTS[0]))
    with pytest.raises(ValueError, match="content-length"):
        part_signer().url(1, {"content-type": "text/plain"})
    with pytest.raises(ValueError, match="content-length"):
        signer.presign_put("bucket", "key", headers={}, lifetime_seconds=900, now=NOW)


def test_a_signer_goes_on_with_the_next_days_key() -> None:
    signer = Signer(CREDENTIALS[1], S3Endpoint(*ENDPOINTS[0], "virtual"))
    days = [NOW, NOW + timedelta(days=1), NOW]
    reused = [part_signer(day, signer).of_size(5)(1) for day in days]
    assert reused == [part_signer(day).of_size(5)(1) for day in days]
    assert reused[0] == reused[2] != reused[1]


def test_no_repr_shows_a_secret() -> None:
    credentials = Credentials("AKID", "very-secret", "very-token")
    signer = Signer(credentials, S3Endpoint(*ENDPOINTS[0]))
    shown = f"{credentials!r} {signer!r} {part_signer(signer=signer)!r}"
    assert "very-secret" not in shown
    assert "very-token" not in shown
    assert "AKID" in repr(credentials)


def test_credentials_differ_by_their_secrets() -> None:
    assert CREDENTIALS[0] != replace(CREDENTIALS[0], secret_key="another")


@pytest.mark.parametrize(
    ("addressing", "bucket", "url"),
    [
        ("path", "bucket", "http://h.example:8333/bucket/a%20b"),
        ("virtual", "bucket", "http://bucket.h.example:8333/a%20b"),
        ("virtual", "dotted.bucket", "http://dotted.bucket.h.example:8333/a%20b"),
        ("virtual", "Not_A_Host", "http://h.example:8333/Not_A_Host/a%20b"),
    ],
)
def test_a_bucket_is_in_the_host_or_in_the_path(addressing: Any, bucket: str, url: str) -> None:
    assert S3Endpoint("http://h.example:8333", "auto", addressing).locate(bucket, "a b").url == url


def test_the_host_header_has_the_port_unless_it_is_the_default() -> None:
    hosts = {
        url: S3Endpoint(url, "auto").locate("bucket", "key").host
        for url in ("https://H:443", "https://h:80", "http://h:80", "http://[::1]:80", "http://h")
    }
    assert list(hosts.values()) == ["h", "h:80", "h", "[::1]", "h"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h.example",
        "h.example",
        "https://",
        "https://user:pass@h.example",
        "https://h.example?x=1",
        "https://h.example/#x",
        "https://h.example/a b",
        "https://h.example/../a",
        "https://h.example:port",
        "https://h.example\n",
    ],
)
def test_an_endpoint_that_cannot_be_signed_for_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="an endpoint must be"):
        S3Endpoint(url, "us-east-1")


def test_an_unknown_addressing_is_refused() -> None:
    addressing: Any = "auto"
    with pytest.raises(ValueError, match="addressing"):
        S3Endpoint("https://h.example", "us-east-1", addressing)
