"""Compares the signatures of requests with those of botocore's S3SigV4Auth."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from partway_server.storage.s3_http import query_of
from partway_server.storage.sigv4 import Credentials, S3Endpoint
from partway_server.storage.sigv4_headers import HeaderSigner

from tests.support.examples import examples
from tests.unit.storage.test_sigv4 import (
    BUCKETS,
    CREDENTIALS,
    ENDPOINTS,
    NOW,
    PUNCTUATION,
    keys,
)

LAST = ("authorization", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token")

queries: st.SearchStrategy[dict[str, str]] = st.one_of(
    st.just({}),
    st.just({"uploads": ""}),
    st.dictionaries(
        st.sampled_from(["uploadId", "partNumber", "part-number-marker", "part", "versionId"]),
        st.text(PUNCTUATION + "é", max_size=30),
        max_size=4,
    ),
)
headers = st.dictionaries(
    st.one_of(
        st.sampled_from(["content-type", "if-match", "if-none-match", "x-amz-copy-source"]),
        st.text("abcxyz0189-", min_size=1, max_size=12).map("x-amz-meta-{}".format),
    ),
    st.text(PUNCTUATION + "\té", max_size=20),
    max_size=6,
)


def of_botocore(
    credentials: Credentials,
    endpoint: S3Endpoint,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, str]:
    signer = botocore.auth.S3SigV4Auth(
        BotocoreCredentials(
            credentials.access_key, credentials.secret_key, credentials.session_token or None
        ),
        "s3",
        endpoint.region,
    )
    request = AWSRequest(method, url, headers=dict(headers), data=body)
    request.context["payload_signing_enabled"] = True
    signer.add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.timeout(300)
def test_every_signature_equals_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    @settings(
        max_examples=examples(2_000),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        credentials=st.sampled_from(CREDENTIALS),
        place=st.sampled_from(ENDPOINTS),
        addressing=st.sampled_from(["path", "virtual"]),
        method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]),
        bucket=st.sampled_from(BUCKETS),
        key=keys,
        query=queries,
        given_headers=headers,
        body=st.binary(max_size=40),
        now=st.datetimes(
            datetime(2000, 1, 1),
            datetime(2099, 12, 31),
            timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
        ),
    )
    def compare(
        credentials: Credentials,
        place: tuple[str, str],
        addressing: str,
        method: str,
        bucket: str,
        key: str,
        query: dict[str, str],
        given_headers: dict[str, str],
        body: bytes,
        now: datetime,
    ) -> None:
        nonlocal compared
        naive = now.astimezone(UTC).replace(tzinfo=None)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: naive)
        endpoint = S3Endpoint(*place, "virtual" if addressing == "virtual" else "path")
        location = endpoint.locate(bucket, key)
        canonical = query_of(query)
        ours = HeaderSigner(credentials, endpoint).sign(
            method,
            location,
            canonical,
            given_headers,
            body_sha256=sha256(body).hexdigest(),
            now=now,
        )
        url = f"{location.url}?{canonical}" if canonical else location.url
        theirs = of_botocore(credentials, endpoint, method, url, given_headers, body)
        assert ours.pop("host") == location.host
        assert {name: ours.get(name) for name in LAST} == {name: theirs.get(name) for name in LAST}
        assert {n: ours[n] for n in given_headers} == given_headers
        compared += 1

    compare()
    assert compared >= examples(2_000)


def test_the_day_s_key_follows_the_day() -> None:
    def sign(signer: HeaderSigner, now: datetime) -> Mapping[str, str]:
        location = endpoint.locate("bucket", "key")
        return signer.sign("HEAD", location, "", {}, body_sha256="0", now=now)

    endpoint = S3Endpoint(*ENDPOINTS[0])
    reused = HeaderSigner(CREDENTIALS[1], endpoint)
    days = [NOW, NOW + timedelta(days=1), NOW]
    assert [sign(reused, day) for day in days] == [
        sign(HeaderSigner(CREDENTIALS[1], endpoint), day) for day in days
    ]


def test_no_repr_shows_a_secret() -> None:
    shown = repr(
        HeaderSigner(Credentials("AKID", "very-secret", "very-token"), S3Endpoint(*ENDPOINTS[0]))
    )
    assert "very" not in shown
