"""Presigned URLs: AWS Signature Version 4 in the query string, for S3, with no I/O.

The rules are those of
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html; where they leave a
choice (order of the query, fallback from virtual hosts to paths) it is botocore's, and a test
holds the two equal, byte for byte.

What makes it fast: in the canonical query everything sorts before `partNumber` and `uploadId`, so
the parts of a plan share the longer half of their canonical requests. That half is hashed once and
its hash copied for each part. The HMAC with the day's signing key is taken apart likewise: both of
its pads, and the head of the string to sign, are hashed in advance.
"""

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

Addressing = Literal["path", "virtual"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[1-9]\d{0,4})?"
    r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?"
)
_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_ONE_LABEL = re.compile(_LABEL)
_LABELS = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs. `session_token` is "" for credentials that do not end."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Location:
    """Where an object is: its URL without a query, the Host header, and the encoded path."""

    url: str
    host: str
    path: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A storage endpoint as clients reach it.

    Raises ValueError unless `url` is `http` or `https`, a host, perhaps a port and a base path that
    needs no encoding, and nothing else.
    """

    url: str
    region: str
    addressing: Addressing = "path"

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.url):
            raise ValueError("an endpoint is http(s)://host, perhaps with a port and a plain path")
        if self.addressing not in ("path", "virtual"):
            raise ValueError("addressing is either path or virtual")

    def locate(self, bucket: str, key: str) -> Location:
        """The place of `key` in `bucket`.

        Virtual addressing falls back to paths where no virtual host can exist: at an IP address,
        for a bucket that is no host name, and, as no certificate matches it, for one with dots
        over https.
        """
        parts = urlsplit(self.url)
        authority, base = parts.netloc, parts.path.rstrip("/")
        if self.addressing == "virtual" and _has_virtual_host(parts, bucket):
            authority = f"{bucket}.{authority}"
        else:
            base = f"{base}/{quote(bucket, safe='')}"
        path = f"{base}/{quote(key, safe='/~')}"
        # The URL keeps a default port, and HTTP clients leave it out of the Host header.
        host = authority.lower().removesuffix(f":{_DEFAULT_PORTS[parts.scheme]}")
        return Location(f"{parts.scheme}://{authority}{path}", host, path)


def _has_virtual_host(endpoint: SplitResult, bucket: str) -> bool:
    host = endpoint.hostname or ""
    if ":" in host or _IPV4.fullmatch(host) or _IPV4.fullmatch(bucket) or len(bucket) < 3:
        return False
    pattern = _LABELS if endpoint.scheme == "http" else _ONE_LABEL
    return pattern.fullmatch(bucket) is not None


class Signer:
    """Presigns for one endpoint with one set of credentials."""

    def __init__(self, credentials: Credentials, endpoint: Endpoint) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._key = _SigningKey(credentials.secret_key, "", endpoint.region)

    def presign_put(
        self,
        bucket: str,
        key: str,
        *,
        headers: Mapping[str, str],
        lifetime_seconds: int,
        now: datetime,
    ) -> str:
        """The URL of one PUT of a whole object, to be sent with exactly `headers`.

        `now` is aware. Raises ValueError if `headers` have no content-length.
        """
        frame = self._frame(bucket, key, lifetime_seconds, now)
        canonical = _canonical_headers(headers, frame.location.host)
        form = _Form(frame, ";".join(canonical))
        return f"{frame.location.url}?{form.query}{form.signature(form.end('', canonical))}"

    def for_parts(
        self, bucket: str, key: str, multipart_id: str, *, lifetime_seconds: int, now: datetime
    ) -> "PartSigner":
        """A signer of the parts of one multipart upload. `now` is aware."""
        return PartSigner(self._frame(bucket, key, lifetime_seconds, now), multipart_id)

    def _frame(self, bucket: str, key: str, lifetime_seconds: int, now: datetime) -> "_Frame":
        timestamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        signing_key = self._key
        if signing_key.date != timestamp[:8]:
            signing_key = self._key = _SigningKey(
                self._credentials.secret_key, timestamp[:8], self._endpoint.region
            )
        location = self._endpoint.locate(bucket, key)
        return _Frame(location, self._credentials, signing_key, timestamp, lifetime_seconds)


class PartSigner:
    """Presigns the parts of one multipart upload, all from one moment and for one lifetime."""

    def __init__(self, frame: "_Frame", multipart_id: str) -> None:
        upload_id = f"uploadId={quote(multipart_id, safe='')}"
        self._frame = frame
        self._url = f"{frame.location.url}?{upload_id}&partNumber="
        self._query_end = f"&{upload_id}"
        self._forms: dict[str, _Form] = {}

    def url(self, number: int, headers: Mapping[str, str]) -> str:
        """The URL of a PUT of part `number`, to be sent with exactly `headers`.

        Raises ValueError if `headers` have no content-length.
        """
        canonical = _canonical_headers(headers, self._frame.location.host)
        form = self._form(canonical)
        end = form.end(self._query_end, canonical)
        return f"{self._url}{number}&{form.query}{form.signature(f'&partNumber={number}{end}')}"

    def urls(self, numbers: Iterable[int], content_length: int) -> Iterator[str]:
        """The URLs of parts that are all `content_length` bytes and sent with no other header."""
        headers = {"content-length": str(content_length)}
        canonical = _canonical_headers(headers, self._frame.location.host)
        form = self._form(canonical)
        url, query, sign = self._url, form.query, form.signature
        end = form.end(self._query_end, canonical)
        for number in numbers:
            yield f"{url}{number}&{query}{sign(f'&partNumber={number}{end}')}"

    def _form(self, canonical: Mapping[str, str]) -> "_Form":
        signed = ";".join(canonical)
        form = self._forms.get(signed)
        if form is None:
            form = self._forms[signed] = _Form(self._frame, signed)
        return form


class _SigningKey:
    """The signing key of one day, as the two half-done hashes that an HMAC with it begins with."""

    def __init__(self, secret_key: str, date: str, region: str) -> None:
        key = f"AWS4{secret_key}".encode()
        for step in (date, region, "s3", "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        block = key.ljust(64, b"\0")
        self.date = date
        self.scope = f"{date}/{region}/s3/aws4_request"
        self.inner = sha256(block.translate(_INNER_PAD))
        self.outer = sha256(block.translate(_OUTER_PAD))


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all URLs to one place from one moment share."""

    location: Location
    credentials: Credentials
    signing_key: _SigningKey
    timestamp: str
    lifetime_seconds: int


class _Form:
    """What those URLs of a frame share that are sent with the same names of headers."""

    def __init__(self, frame: _Frame, signed_headers: str) -> None:
        scope = frame.signing_key.scope
        credential = quote(f"{frame.credentials.access_key}/{scope}", safe="")
        query = (
            f"X-Amz-Algorithm={_ALGORITHM}&X-Amz-Credential={credential}"
            f"&X-Amz-Date={frame.timestamp}&X-Amz-Expires={frame.lifetime_seconds}"
        )
        signed = f"&X-Amz-SignedHeaders={quote(signed_headers, safe='')}"
        token = frame.credentials.session_token
        if token:
            token = f"&X-Amz-Security-Token={quote(token, safe='')}"
        # The canonical query is sorted; the URL has the token last, as botocore does.
        self.query = f"{query}{signed}{token}&X-Amz-Signature="
        self._signed_headers = signed_headers
        self._head = sha256(f"PUT\n{frame.location.path}\n{query}{token}{signed}".encode())
        self._inner = frame.signing_key.inner.copy()
        self._inner.update(f"{_ALGORITHM}\n{frame.timestamp}\n{scope}\n".encode())
        self._outer = frame.signing_key.outer

    def end(self, query_end: str, headers: Mapping[str, str]) -> str:
        """The end of a canonical request, from within its query."""
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        return f"{query_end}\n{lines}\n{self._signed_headers}\nUNSIGNED-PAYLOAD"

    def signature(self, end: str) -> str:
        """The signature of the canonical request that ends with `end`."""
        canonical = self._head.copy()
        canonical.update(end.encode())
        inner = self._inner.copy()
        inner.update(canonical.hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


def _canonical_headers(headers: Mapping[str, str], host: str) -> dict[str, str]:
    named = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    # Without it the holder of the URL could send any number of bytes.
    if "content-length" not in named:
        raise ValueError("content-length is not among the headers to sign")
    named["host"] = host
    return dict(sorted(named.items()))
