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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

Addressing = Literal["path", "virtual"]

_ALGORITHM = "AWS4-HMAC-SHA256"
_SLOT = "\0"
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
class S3Endpoint:
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
        path = f"{base}/{quote(key)}"
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
    """Presigns for one endpoint with one set of credentials.

    Headers that are signed always have a content-length, and never Host, which the URL implies.
    """

    def __init__(self, credentials: Credentials, endpoint: S3Endpoint) -> None:
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
        form = _RequestTemplate(frame, headers)
        return f"{frame.location.url}?{form.query}{form.signature(form.end(headers))}"

    def for_parts(
        self, bucket: str, key: str, multipart_id: str, *, lifetime_seconds: int, now: datetime
    ) -> "PartSigner":
        """A signer of the parts of one multipart upload. `now` is aware."""
        return PartSigner(self._frame(bucket, key, lifetime_seconds, now), multipart_id)

    def _frame(
        self, bucket: str, key: str, lifetime_seconds: int, now: datetime
    ) -> "_SigningContext":
        timestamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        signing_key = self._key
        if signing_key.date != timestamp[:8]:
            signing_key = self._key = _SigningKey(
                self._credentials.secret_key, timestamp[:8], self._endpoint.region
            )
        location = self._endpoint.locate(bucket, key)
        return _SigningContext(
            location, self._credentials, signing_key, timestamp, lifetime_seconds
        )


class PartSigner:
    """Presigns the parts of one multipart upload, all from one moment and for one lifetime."""

    def __init__(self, frame: "_SigningContext", multipart_id: str) -> None:
        upload_id = f"uploadId={quote(multipart_id, safe='')}"
        self._frame = frame
        self._url = f"{frame.location.url}?{upload_id}&partNumber="
        self._query_end = f"&{upload_id}"
        self._forms: dict[tuple[str, ...], _RequestTemplate] = {}

    def url(self, number: int, headers: Mapping[str, str]) -> str:
        """The URL of a PUT of part `number`, to be sent with exactly `headers`.

        Raises ValueError if `headers` have no content-length.
        """
        form = self._form(tuple(headers))
        end = form.end(headers)
        return f"{self._url}{number}&{form.query}{form.signature(f'&partNumber={number}{end}')}"

    def of_size(self, content_length: int) -> Callable[[int], str]:
        """From number to URL, for parts of `content_length` bytes that have no other header."""
        headers = {"content-length": str(content_length)}
        form = self._form(tuple(headers))
        url, query, sign, end = self._url, form.query, form.signature, form.end(headers)
        return lambda number: f"{url}{number}&{query}{sign(f'&partNumber={number}{end}')}"

    def _form(self, names: tuple[str, ...]) -> "_RequestTemplate":
        form = self._forms.get(names)
        if form is None:
            form = self._forms[names] = _RequestTemplate(self._frame, names, self._query_end)
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
class _SigningContext:
    """What all URLs to one place from one moment share."""

    location: Location
    credentials: Credentials
    signing_key: _SigningKey
    timestamp: str
    lifetime_seconds: int

    def queries(self, signed_headers: str) -> tuple[str, str]:
        """The query as it is signed, and as it stands in the URL, up to the signature itself."""
        credential = f"{self.credentials.access_key}/{self.signing_key.scope}"
        query = (
            f"X-Amz-Algorithm={_ALGORITHM}&X-Amz-Credential={quote(credential, safe='')}"
            f"&X-Amz-Date={self.timestamp}&X-Amz-Expires={self.lifetime_seconds}"
        )
        signed = f"&X-Amz-SignedHeaders={quote(signed_headers, safe='')}"
        token = self.credentials.session_token
        if token:
            token = f"&X-Amz-Security-Token={quote(token, safe='')}"
        # What is signed is sorted by name; the URL has the token last, as botocore does.
        return f"{query}{token}{signed}", f"{query}{signed}{token}&X-Amz-Signature="


class _RequestTemplate:
    """What those URLs of a frame share that are sent with headers of the same `names`.

    `query_end` is what follows the part number in the canonical query.
    """

    def __init__(self, frame: _SigningContext, names: Iterable[str], query_end: str = "") -> None:
        given = {name.lower(): name for name in names}
        # Without it the holder of the URL could send any number of bytes.
        if "content-length" not in given:
            raise ValueError("content-length is not among the headers to sign")
        self._names = [given[name] for name in sorted(given)]
        values = dict.fromkeys(given, _SLOT) | {"host": frame.location.host}
        signed = ";".join(sorted(values))
        lines = "".join(f"{name}:{values[name]}\n" for name in sorted(values))
        end = f"{query_end}\n{lines}\n{signed}\nUNSIGNED-PAYLOAD"
        self._end = end.replace("%", "%%").replace(_SLOT, "%s")
        query, self.query = frame.queries(signed)
        self._head = sha256(f"PUT\n{frame.location.path}\n{query}".encode())
        self._inner = frame.signing_key.inner.copy()
        self._inner.update(f"{_ALGORITHM}\n{frame.timestamp}\n{frame.signing_key.scope}\n".encode())
        self._outer = frame.signing_key.outer

    def end(self, headers: Mapping[str, str]) -> str:
        """The end of a canonical request: what follows the part number, or the query of a PUT."""
        return self._end % tuple([" ".join(headers[name].split()) for name in self._names])

    def signature(self, end: str) -> str:
        """The signature of the canonical request that ends with `end`."""
        canonical = self._head.copy()
        canonical.update(end.encode())
        inner = self._inner.copy()
        inner.update(canonical.hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()
