"""The AWS SDK: its clients, its credentials, and its errors as those of the seam.

Three clients with different tempers. `control` retries, and is for calls that may be sent twice.
`once` sends once, for CreateMultipartUpload and DeleteObject, where a blind second request could
leave an orphan, or remove too much. `joining` sends once, too, and waits for minutes: it is for
CompleteMultipartUpload and UploadPartCopy, and has its own connections, so that slow ones keep
nobody waiting.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

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
from partway_server.storage.s3_errors import call_error, is_absent
from partway_server.storage.sigv4 import Addressing, Credentials, S3Endpoint, Signer

CALL_SECONDS = 10
COMPLETE_SECONDS = 900
"""CompleteMultipartUpload may take minutes
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html)."""

_CONNECT_SECONDS = 3
_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class S3Clients:
    """The SDK's clients for one endpoint. Ends with `aclose`."""

    control: Any
    once: Any
    joining: Any
    session: Any
    resources: AsyncExitStack
    call_seconds: float
    complete_seconds: float

    @classmethod
    async def open(
        cls,
        *,
        region: str,
        endpoint_url: str | None,
        addressing: Addressing,
        access_key: str | None,
        secret_key: str | None,
        session_token: str | None,
        call_seconds: float,
        complete_seconds: float,
    ) -> Self:
        """Connects when first used. Raises ValueError."""
        session = aioboto3.Session(access_key, secret_key, session_token, region)
        async with AsyncExitStack() as resources:

            async def client(attempts: int, read_seconds: float) -> Any:
                config = _client_config(addressing, attempts, read_seconds)
                opening = session.client("s3", endpoint_url=endpoint_url, config=config)
                return await resources.enter_async_context(opening)

            return cls(
                control=await client(attempts=3, read_seconds=call_seconds),
                once=await client(attempts=1, read_seconds=call_seconds),
                joining=await client(attempts=1, read_seconds=complete_seconds),
                session=session,
                resources=resources.pop_all(),
                call_seconds=call_seconds,
                complete_seconds=complete_seconds,
            )

    @property
    def ca_bundle(self) -> str | None:
        """The file of authorities that AWS_CA_BUNDLE or a profile names; None: the usual ones."""
        # aioboto3 has no public name for the session beneath.
        named: str | None = self.session._session.get_config_variable("ca_bundle")
        return named

    async def aclose(self) -> None:
        """Let go of connections."""
        await self.resources.aclose()


class SignerProvider:
    """Signs for `endpoint` with the credentials that the SDK has at the moment."""

    def __init__(self, session: Any, endpoint: S3Endpoint) -> None:
        self._session = session
        self._endpoint = endpoint
        self._signer: tuple[Credentials, Signer] | None = None

    async def get(self) -> tuple[Signer, datetime | None]:
        """A signer with the credentials of this moment, and their end if they have one."""
        with translate_errors("presigning"):
            source = await self._session.get_credentials()
            if source is None:
                raise StorageRefused("presigning", "NoCredentials")
            frozen = await source.get_frozen_credentials()
        # No await since then, so this is the end of those. The SDK has no public name for it.
        end: datetime | None = getattr(source, "_expiry_time", None)
        credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")
        if self._signer is None or self._signer[0] != credentials:
            # One signer for as long as they last: it keeps the day's signing key.
            self._signer = credentials, Signer(credentials, self._endpoint)
        return self._signer[1], end


def _client_config(addressing: Addressing, attempts: int, read_seconds: float) -> AioConfig:
    return AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": addressing},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        # The checksums that the SDK adds of itself are refused by stores that are not AWS, and
        # no call here has a body worth one.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def status_in(error: ClientError) -> int:
    """The HTTP status of an error answer."""
    status: int = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def code_in(error: ClientError) -> str:
    """The S3 code of an error answer, "" if it has none."""
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def says_absent(error: ClientError) -> bool:
    """Whether an error answer says that what the call is about is not there."""
    return is_absent(status_in(error), code_in(error))


@contextmanager
def translate_errors(operation: str) -> Iterator[None]:
    """The SDK's errors as the seam's. Their text may hold addresses, and stays in the cause."""
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
