"""Reads the policy file and opens the backends that the settings name."""

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from partway_server.config.backends import (
    DEFAULT,
    Backend,
    Secrets,
    secrets_of,
    with_measured,
)
from partway_server.config.policy_file import PolicyFileError, Rules, capped, read_rules
from partway_server.config.reload import Unusable
from partway_server.config.settings import Settings, variable
from partway_server.config.toml_file import FileProblem
from partway_server.domain.policy import Policy
from partway_server.domain.rule_error import RuleError
from partway_server.observability.store_metrics import StorageMetrics
from partway_server.storage.base import Storage
from partway_server.storage.call_codes import storage_call_code
from partway_server.storage.capabilities import Capabilities
from partway_server.storage.s3 import S3Storage


def read_policy_file(
    settings: Settings, measured: Mapping[str, Capabilities] = MappingProxyType({})
) -> Rules:
    """Return the rules that the settings name; without a file, one policy.

    `measured` are the capability records of backends of the kind `auto`, as far as they are known.
    Raises PolicyFileError.
    """
    default = with_measured(default_backend(settings), measured)
    if not settings.policy_file:
        only = Policy("default", settings.bucket, via_service=settings.via_service)
        only = capped(only, default.capabilities)
        return Rules({only.name: only}, {default.name: default})
    return read_file(
        settings.policy_file, bucket=settings.bucket, default=default, measured=measured
    )


def default_backend(settings: Settings) -> Backend:
    """Return the backend that the settings describe. Raises PolicyFileError for its record."""
    try:
        return Backend.of_settings(settings)
    except RuleError as error:
        found = [FileProblem(0, "", words) for _, words in error.problems]
        raise PolicyFileError(variable("backend_record"), found) from error


def read_file(
    file: str,
    *,
    bucket: str,
    default: Backend,
    measured: Mapping[str, Capabilities] = MappingProxyType({}),
) -> Rules:
    """Return the rules in a file. Raises PolicyFileError, also if it cannot be read."""
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        words = f"cannot be read: {error.strerror or error}"
        raise PolicyFileError(file, [FileProblem(0, "", words)]) from error
    return read_rules(file, content, bucket=bucket, default=default, measured=measured)


def read_secrets(backend: Backend, settings: Settings) -> Secrets:
    """Return the credentials of a backend as they are now. Raises Unusable."""
    try:
        return secrets_of(backend, settings, os.environ)
    except RuleError as error:
        own = backend.name == DEFAULT
        lines = (f"{rule}: {words}" for rule, words in error.problems)
        raise Unusable(
            *(line if own else f"backend.{backend.name}.{line}" for line in lines)
        ) from error


async def open_backend(
    backend: Backend, secrets: Secrets, client: str, metrics: StorageMetrics | None = None
) -> Storage:
    """Return storage, which connects when it is first used. Raises Unusable.

    `client` is the setting of that name. `metrics` count what is sent again.
    """

    def retried(operation: str, error: Exception) -> None:
        if metrics is not None:
            metrics.retried(backend.name, operation, storage_call_code(error))

    control = secrets.control
    try:
        return await S3Storage.open(
            name=backend.name,
            endpoint_url=backend.endpoint or None,
            public_endpoint_url=backend.public_endpoint or None,
            region=backend.region,
            addressing="path" if backend.in_path else "virtual",
            access_key=control.access_key,
            secret_key=control.secret_key,
            session_token=control.session_token,
            ca_file=backend.ca_file or None,
            signer=secrets.signer,
            capabilities=backend.capabilities,
            client="sdk" if client == "sdk" else "lean",
            retried=retried,
        )
    except ValueError as error:
        own = "PARTWAY_S3_REGION and PARTWAY_S3_CA_FILE"
        where = own if backend.name == DEFAULT else f"[backend.{backend.name}]"
        raise Unusable(f"storage cannot be used: {error}; check {where}") from error
