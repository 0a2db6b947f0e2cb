"""Presign URLs with AWS Signature Version 4 in the query string, for S3, with no I/O.

The rules are those of
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html; where they leave a
choice (order of the query, fallback from virtual hosts to paths) it follows botocore, and a test
verifies that both are equal, byte for byte.

It is fast because in the canonical query everything sorts before `partNumber` and `uploadId`, so
the parts of a plan share the longer half of their canonical requests. That half is hashed once and
its hash copied for each part. The HMAC with the day's signing key is split likewise: both of its
pads, and the beginning of the string to sign, are hashed in advance.
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

ALGORITHM = "AWS4-HMAC-SHA256"
_PLACEHOLDER = "\0"
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
    """The credentials that sign. `session_token` is "" for credentials that do not expire."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Location:
    """The location of an object: its URL without a query, the Host header, and the encoded path."""

    url: str
    host: str
    path: str


@dataclass(frozen=True, slots=True)
class S3Endpoint:
    """A storage endpoint as clients reach it.

    Raises ValueError unless `url` consists of `http` or `https`, a host, optionally a port and a
    base path that needs no encoding, and nothing else.
    """

    url: str
    region: str
    addressing: Addressing = "path"

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.url):
            raise ValueError(
                "an endpoint must be http(s)://host, optionally with a port and a plain path"
            )
        if self.addressing not in ("path", "virtual"):
            raise ValueError(f"addressing must be path or virtual, not {self.addressing!r}")

    def locate(self, bucket: str, key: str) -> Location:
        """Return the location of `key` in `bucket`.

        Virtual addressing falls back to paths where no virtual host can exist: at an IP address,
        for a bucket that is not a host name, and for one with dots over https, because no
        certificate matches it.
        """
        parts = urlsplit(self.url)
        authority, base = parts.netloc, parts.path.rstrip("/")
        if self.addressing == "virtual" and _has_virtual_host(parts, bucket):
            authority = f"{bucket}.{authority}"
        else:
            base = f"{base}/{quote(bucket, safe='')}"
        path = f"{base}/{quote(key)}"
        # The URL keeps a default port, but HTTP clients omit it from the Host header.
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

    The signed headers always include content-length, and never Host, which the URL implies.
    """

    def __init__(self, credentials: Credentials, endpoint: S3Endpoint) -> None:
        self._credentials = credentials
        self._endpoint = endpoint
        self._key = SigningKey(credentials.secret_key, "", endpoint.region)

    def presign_put(
        self,
        bucket: str,
        key: str,
        *,
        headers: Mapping[str, str],
        lifetime_seconds: int,
        now: datetime,
    ) -> str:
        """Return the URL of one PUT of a whole object, to be sent with exactly `headers`.

        `now` is aware. Raises ValueError if `headers` have no content-length.
        """
        context = self._context(bucket, key, lifetime_seconds, now)
        template = _RequestTemplate(context, headers)
        return f"{context.location.url}?{template.query}{template.signature(template.end(headers))}"

    def for_parts(
        self, bucket: str, key: str, multipart_id: str, *, lifetime_seconds: int, now: datetime
    ) -> "PartSigner":
        """Return a signer of the parts of one multipart upload. `now` is aware."""
        return PartSigner(self._context(bucket, key, lifetime_seconds, now), multipart_id)

    def _context(
        self, bucket: str, key: str, lifetime_seconds: int, now: datetime
    ) -> "_SigningContext":
        timestamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        signing_key = self._key = self._key.on(timestamp[:8])
        location = self._endpoint.locate(bucket, key)
        return _SigningContext(
            location, self._credentials, signing_key, timestamp, lifetime_seconds
        )


class PartSigner:
    """Presigns the parts of one multipart upload, all from one moment and for one lifetime."""

    def __init__(self, context: "_SigningContext", multipart_id: str) -> None:
        upload_id = f"uploadId={quote(multipart_id, safe='')}"
        self._context = context
        self._url = f"{context.location.url}?{upload_id}&partNumber="
        self._query_end = f"&{upload_id}"
        self._templates: dict[tuple[str, ...], _RequestTemplate] = {}

    def url(self, number: int, headers: Mapping[str, str]) -> str:
        """Return the URL of a PUT of part `number`, to be sent with exactly `headers`.

        Raises ValueError if `headers` have no content-length.
        """
        template = self._template(tuple(headers))
        signature = template.signature(f"&partNumber={number}{template.end(headers)}")
        return f"{self._url}{number}&{template.query}{signature}"

    def of_size(self, content_length: int) -> Callable[[int], str]:
        """Return a function from number to URL, for parts of this size without other headers."""
        headers = {"content-length": str(content_length)}
        template = self._template(tuple(headers))
        url, query, sign, end = self._url, template.query, template.signature, template.end(headers)
        return lambda number: f"{url}{number}&{query}{sign(f'&partNumber={number}{end}')}"

    def of_checksum(self, content_length: int, header: str) -> Callable[[int, str], str]:
        """Return a function from number and checksum to URL, for parts of this size.

        The checksum is the value of `header`, in base64.
        """
        template = self._template(("content-length", header))
        lines = template.end({"content-length": str(content_length), header: _PLACEHOLDER})
        before, after = lines.split(_PLACEHOLDER)
        url, query, sign = self._url, template.query, template.signature
        return lambda number, checksum: (
            f"{url}{number}&{query}{sign(f'&partNumber={number}{before}{checksum}{after}')}"
        )

    def _template(self, names: tuple[str, ...]) -> "_RequestTemplate":
        template = self._templates.get(names)
        if template is None:
            template = self._templates[names] = _RequestTemplate(
                self._context, names, self._query_end
            )
        return template


class SigningKey:
    """The signing key of one day, as the two initial hash states of an HMAC with it."""

    def __init__(self, secret_key: str, date: str, region: str) -> None:
        self._secret_key = secret_key
        self._region = region
        key = f"AWS4{secret_key}".encode()
        for step in (date, region, "s3", "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        block = key.ljust(64, b"\0")
        self.date = date
        self.scope = f"{date}/{region}/s3/aws4_request"
        self.inner = sha256(block.translate(_INNER_PAD))
        self.outer = sha256(block.translate(_OUTER_PAD))

    def on(self, date: str) -> "SigningKey":
        """Return the key of another day, or this one if it is the same."""
        return self if date == self.date else SigningKey(self._secret_key, date, self._region)


@dataclass(frozen=True, slots=True)
class _SigningContext:
    """What all URLs share that are signed at one time for one location."""

    location: Location
    credentials: Credentials
    signing_key: SigningKey
    timestamp: str
    lifetime_seconds: int

    def queries(self, signed_headers: str) -> tuple[str, str]:
        """Return the query as it is signed, and as it is in the URL, up to the signature."""
        credential = f"{self.credentials.access_key}/{self.signing_key.scope}"
        query = (
            f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={quote(credential, safe='')}"
            f"&X-Amz-Date={self.timestamp}&X-Amz-Expires={self.lifetime_seconds}"
        )
        signed = f"&X-Amz-SignedHeaders={quote(signed_headers, safe='')}"
        token = self.credentials.session_token
        if token:
            token = f"&X-Amz-Security-Token={quote(token, safe='')}"
        # The signed form is sorted by name; in the URL the token is last, as in botocore.
        return f"{query}{token}{signed}", f"{query}{signed}{token}&X-Amz-Signature="


class _RequestTemplate:
    """What all URLs of a signing context share that have the same header `names`.

    `query_end` is what follows the part number in the canonical query.
    """

    def __init__(self, context: _SigningContext, names: Iterable[str], query_end: str = "") -> None:
        given = {name.lower(): name for name in names}
        # Without it anyone with the URL could send any number of bytes.
        if "content-length" not in given:
            raise ValueError("content-length is not among the headers to sign")
        self._names = [given[name] for name in sorted(given)]
        values = dict.fromkeys(given, _PLACEHOLDER) | {"host": context.location.host}
        signed = ";".join(sorted(values))
        lines = "".join(f"{name}:{values[name]}\n" for name in sorted(values))
        end = f"{query_end}\n{lines}\n{signed}\nUNSIGNED-PAYLOAD"
        self._end = end.replace("%", "%%").replace(_PLACEHOLDER, "%s")
        query, self.query = context.queries(signed)
        self._head = sha256(f"PUT\n{context.location.path}\n{query}".encode())
        self._inner = context.signing_key.inner.copy()
        self._inner.update(
            f"{ALGORITHM}\n{context.timestamp}\n{context.signing_key.scope}\n".encode()
        )
        self._outer = context.signing_key.outer

    def end(self, headers: Mapping[str, str]) -> str:
        """Return the end of a canonical request: what follows the part number, or a PUT's query."""
        return self._end % tuple([" ".join(headers[name].split()) for name in self._names])

    def signature(self, end: str) -> str:
        """Return the signature of the canonical request that ends with `end`."""
        canonical = self._head.copy()
        canonical.update(end.encode())
        inner = self._inner.copy()
        inner.update(canonical.hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()
