"""The interface of authentication: from a call's credentials to its Principal."""

from contextvars import ContextVar
from typing import Any, Protocol

import grpc

from partway_server.domain.principal import Principal

Context = grpc.aio.ServicerContext[Any, Any]


class Identity(Protocol):
    """Authenticates calls."""

    async def principal(self, context: Context) -> Principal:
        """Return who calls. Raises CallerUnknown, CredentialsRejected, UploadTokenExpired."""
        ...


class Authenticator(Protocol):
    """Authenticates the calls that carry one kind of credentials."""

    async def authenticate(self, context: Context) -> Principal | None:
        """Return who calls, None if the call carries no credentials of this kind.

        Raises CredentialsRejected, CallerUnknown or UploadTokenExpired for those that are invalid.
        """
        ...


PRINCIPAL: ContextVar[Principal] = ContextVar("principal")
"""Who makes the call that is being handled. The interceptor sets it before the handler runs."""
