"""Sign requests with AWS Signature Version 4 in their headers, for S3, with no I/O.

The rules are those of
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html; a test verifies that
the result equals botocore's, byte for byte.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

from partway_server.storage.sigv4 import ALGORITHM, Credentials, Location, S3Endpoint, SigningKey

EMPTY_SHA256 = sha256().hexdigest()


class HeaderSigner:
    """Signs requests to one endpoint with one set of credentials."""

    def __init__(self, credentials: Credentials, endpoint: S3Endpoint) -> None:
        self._credentials = credentials
        self._key = SigningKey(credentials.secret_key, "", endpoint.region)

    def sign(
        self,
        method: str,
        location: Location,
        query: str,
        headers: Mapping[str, str],
        *,
        body_sha256: str,
        now: datetime,
    ) -> dict[str, str]:
        """Return all headers to send: `headers`, those that sign them, and Host.

        Names are in lower case. `query` is canonical: encoded, sorted, and with a "=" in each of
        its parameters. `now` is aware.
        """
        timestamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        key = self._key = self._key.on(timestamp[:8])
        sent = {
            **headers,
            "host": location.host,
            "x-amz-content-sha256": body_sha256,
            "x-amz-date": timestamp,
        }
        if self._credentials.session_token:
            sent["x-amz-security-token"] = self._credentials.session_token
        names = sorted(sent)
        signed = ";".join(names)
        lines = "".join([f"{name}:{' '.join(sent[name].split())}\n" for name in names])
        canonical = f"{method}\n{location.path}\n{query}\n{lines}\n{signed}\n{body_sha256}"
        inner = key.inner.copy()
        hashed = sha256(canonical.encode()).hexdigest()
        inner.update(f"{ALGORITHM}\n{timestamp}\n{key.scope}\n{hashed}".encode())
        outer = key.outer.copy()
        outer.update(inner.digest())
        sent["authorization"] = (
            f"{ALGORITHM} Credential={self._credentials.access_key}/{key.scope}, "
            f"SignedHeaders={signed}, Signature={outer.hexdigest()}"
        )
        return sent
