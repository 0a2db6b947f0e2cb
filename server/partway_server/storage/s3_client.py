"""The AWS SDK: its clients, its credentials, and the translation of its errors.

There are three clients. `control` retries, and is for calls that are safe to repeat. `once` does
not retry: it is for CreateMultipartUpload and DeleteObject, where a blind second request could
leave an orphan, or remove too much. `joining` does not retry either and waits for minutes: it is
for CompleteMultipartUpload and UploadPartCopy, and has its own connections, so that slow calls do
not block others.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Generic, Self, TypedDict, TypeVar

import aioboto3
from aiobotocore.config import AioConfig
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import (
    ConnectionError as ConnectionFailed,
)
from botocore.parsers import ResponseParserError

from partway_server.domain.errors import StorageRefused, StorageUnavailable
from partway_server.storage.s3_errors import call_error
from partway_server.storage.sigv4 import Addressing, Credentials, S3Endpoint

CALL_SECONDS = 10
COMPLETE_SECONDS = 900
"""CompleteMultipartUpload may take minutes
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html)."""

CONNECT_SECONDS = 3
_CONNECTIONS = 64

S = TypeVar("S")


class ClientOptions(TypedDict, total=False):
    """The options of an endpoint's clients."""

    endpoint_url: str | None
    addressing: Addressing
    access_key: str | None
    secret_key: str | None
    session_token: str | None
    ca_file: str | None
    signer: Credentials | None
    call_seconds: float
    complete_seconds: float


@dataclass(frozen=True, slots=True)
class S3Clients:
    """The SDK's clients for one endpoint. End it with `aclose`.

    `signing` is the session whose credentials sign URLs: that of the clients, or a signer's.
    """

    control: Any
    once: Any
    joining: Any
    session: Any
    ca_file: str | None
    signing: Any
    resources: AsyncExitStack
    call_seconds: float
    complete_seconds: float

    @classmethod
    async def open(
        cls,
        *,
        region: str,
        endpoint_url: str | None = None,
        addressing: Addressing = "path",
        access_key: str | None = None,
        secret_key: str | None = None,
        session_token: str | None = None,
        ca_file: str | None = None,
        signer: Credentials | None = None,
        call_seconds: float = CALL_SECONDS,
        complete_seconds: float = COMPLETE_SECONDS,
    ) -> Self:
        """Connect lazily to `endpoint_url`, or to AWS if it is None. Raises ValueError.

        Without keys, the SDK finds credentials in its usual places, and refreshes those that
        expire. URLs are signed with those of the `signer`, if there is one. Without `ca_file`, the
        CAs of an https endpoint are those that the SDK trusts. Storage that is silent for
        `call_seconds`, or for `complete_seconds` while it joins parts, counts as unavailable.
        """
        if ca_file is not None:
            check_ca_file(ca_file)
        session = aioboto3.Session(access_key, secret_key, session_token, region)
        async with AsyncExitStack() as resources:
            client = partial(_client, resources, session, endpoint_url, ca_file, addressing)
            return cls(
                control=await client(attempts=3, read_seconds=call_seconds),
                once=await client(attempts=1, read_seconds=call_seconds),
                joining=await client(attempts=1, read_seconds=complete_seconds),
                session=session,
                ca_file=ca_file,
                signing=session if signer is None else _session_of(signer, region),
                resources=resources.pop_all(),
                call_seconds=call_seconds,
                complete_seconds=complete_seconds,
            )

    @property
    def ca_bundle(self) -> str | None:
        """Return the CA file that was given, or that AWS_CA_BUNDLE or a profile names.

        None means the default.
        """
        if self.ca_file is not None:
            return self.ca_file
        # aioboto3 has no public name for the underlying session.
        named: str | None = self.session._session.get_config_variable("ca_bundle")
        return named

    async def aclose(self) -> None:
        """Close all connections."""
        await self.resources.aclose()


class SignerProvider(Generic[S]):
    """Provides a signer for `endpoint` with the current credentials of the SDK.

    `make` creates one from credentials: a Signer of URLs, or a HeaderSigner. `end` is when those
    that were last used end, if they do.
    """

    def __init__(
        self, session: Any, endpoint: S3Endpoint, make: Callable[[Credentials, S3Endpoint], S]
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._make = make
        self._signer: tuple[Credentials, S] | None = None
        self.end: datetime | None = None

    async def get(self, operation: str = "presigning") -> tuple[S, datetime | None]:
        """Return a signer with the current credentials, and when they expire, if they do.

        Raises StorageRefused, with the `operation`, if there are none.
        """
        with translate_errors(operation):
            source = await self._session.get_credentials()
            if source is None:
                raise StorageRefused(operation, "NoCredentials")
            frozen = await source.get_frozen_credentials()
        # No await since then, so this is their expiry. The SDK has no public name for it.
        end: datetime | None = getattr(source, "_expiry_time", None)
        self.end = end
        credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")
        if self._signer is None or self._signer[0] != credentials:
            # One signer as long as they are valid: it caches the signing key of the day.
            self._signer = credentials, self._make(credentials, self._endpoint)
        return self._signer[1], end


def check_ca_file(path: str) -> None:
    """Raise ValueError, with the path, if it is not a file of PEM certificates."""
    try:
        ssl.create_default_context(cafile=path)
    except OSError as exc:
        # An SSLError is one, and its text is OpenSSL's.
        words = "holds no PEM certificate" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise ValueError(f"the CA file {path}: {words}") from exc


def _session_of(signer: Credentials, region: str) -> Any:
    keys = signer.access_key, signer.secret_key, signer.session_token or None
    return aioboto3.Session(*keys, region)


async def _client(
    resources: AsyncExitStack,
    session: Any,
    endpoint_url: str | None,
    ca_file: str | None,
    addressing: Addressing,
    *,
    attempts: int,
    read_seconds: float,
) -> Any:
    """Open a client, which is closed with the `resources`."""
    config = _client_config(addressing, attempts, read_seconds)
    opening = session.client("s3", endpoint_url=endpoint_url, config=config, verify=ca_file)
    return await resources.enter_async_context(opening)


def _client_config(addressing: Addressing, attempts: int, read_seconds: float) -> AioConfig:
    return AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": addressing},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        # Stores other than AWS refuse the checksums that the SDK adds by default, and no call here
        # has a body that needs one.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def status_in(error: ClientError) -> int:
    """Return the HTTP status of an error response."""
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def code_in(error: ClientError) -> str:
    """Return the S3 code of an error response, "" if it has none."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def time_in(headers: Mapping[str, str]) -> datetime | None:
    """Return the time of a response by the server's clock, None if it has none."""
    try:
        time = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    # Date has whole seconds, cut off: on average it is half a second behind.
    return None if time.tzinfo is None else time + timedelta(seconds=0.5)


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """Translate the SDK's errors. Their text may contain addresses, and stays in the cause."""
    try:
        yield
    except ClientError as exc:
        raise call_error(operation, status_in(exc), code_in(exc)) from exc
    except (NoCredentialsError, PartialCredentialsError) as exc:
        raise StorageRefused(operation, "NoCredentials") from exc
    except (
        ConnectionFailed,
        CredentialRetrievalError,
        HTTPClientError,
        MetadataRetrievalError,
        ResponseParserError,
        TimeoutError,
    ) as exc:
        raise StorageUnavailable from exc
