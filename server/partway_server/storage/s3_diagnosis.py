"""Find out in a word why storage did not answer as S3 does. The words are those of `obstacles`."""

import asyncio
import ssl
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from partway_server.domain.obstacle import Obstacle, certificate_word
from partway_server.storage import obstacles
from partway_server.storage.s3_client import code_in, status_in
from partway_server.storage.s3_errors import is_transient

NO_CREDENTIALS = (
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)

NO_ANSWER = (BotoCoreError, aiohttp.ClientError, OSError)
"""What is raised if there was no answer, the last to be looked for: most others are one of them."""

_PATIENCE_SECONDS = 3.0

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_MESSAGE", "HTTP_REQUEST")
"""What OpenSSL says of an answer that is no TLS."""


async def bucket_obstacle(
    listing: Awaitable[Mapping[str, Any]],
    *,
    endpoint: str,
    bucket: str,
    backend: str,
    addressing: str,
) -> Obstacle | None:
    """Await a listing of the bucket, and return what is wrong with storage, None if nothing is."""
    try:
        reply = await listing
    except ClientError as error:
        status, code = status_in(error), code_in(error)
        word = listing_word(status, code, {})
    except (ResponseParserError, ParamValidationError, *NO_CREDENTIALS, *NO_ANSWER) as error:
        status, code, word = 0, "", word_of(error)
    else:
        status, code, word = 200, "", listing_word(200, "", reply)
    word = await closer(word or code, status, endpoint)
    if obstacles.is_known(word):
        return obstacles.obstacle(word, backend, addressing)
    if status == 404:
        return obstacles.missing(bucket, backend, addressing)
    if status == 403:
        return obstacles.refused("ListBucket", bucket)
    if is_transient(status, code):
        return obstacles.obstacle("busy", backend)
    return None if status == 200 else obstacles.refuses(status, code, backend)


def listing_word(status: int, code: str, reply: Mapping[str, Any]) -> str:
    """Return what is wrong with an answer to a listing, "" if it is one of S3."""
    if status == 200:
        return "" if "Name" in reply else "no S3"
    # For an error without a body of S3, the SDK has the status as its code.
    return "" if code and not code.isdigit() else obstacles.not_s3(status)


def word_of(error: BaseException | None) -> str:
    """Return what prevented a request. The SDK keeps the error of aiohttp in the context.

    The order matters: a failed certificate is a TLS error, and either is a failed connection.
    """
    if isinstance(error, ResponseParserError):
        # Something is there that speaks HTTP, but not S3.
        return "no S3"
    if isinstance(error, NO_CREDENTIALS):
        return "credentials"
    if isinstance(error, ParamValidationError):
        # The SDK validates the bucket's name; everything else comes from here.
        return "bucket name"
    while error is not None:
        if word := _network_word(error):
            return word
        error = error.__cause__ or error.__context__
    return "closed"


def _network_word(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return certificate_word(error.certificate_error)
    if isinstance(error, aiohttp.ClientSSLError):
        said = str(error.os_error)
        return "plain" if any(words in said for words in _NOT_TLS) else "tls"
    if isinstance(error, aiohttp.ClientResponseError):
        # An answer that is no HTTP.
        return "no S3"
    if isinstance(error, TimeoutError):
        return "timeout"
    return "connect" if isinstance(error, aiohttp.ClientConnectorError) else ""


async def closer(word: str, status: int, endpoint: str) -> str:
    """Return the word after a closer look: a port for TLS refuses plain HTTP in many ways."""
    parts = urlsplit(endpoint)
    unclear = word in ("closed", "no S3") and status in (0, 400)
    if unclear and parts.scheme == "http" and await _speaks_tls(parts.hostname, parts.port or 80):
        return "wants TLS"
    return word


async def _speaks_tls(host: str | None, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except OSError:
        return False
    writer.transport.abort()
    return True
