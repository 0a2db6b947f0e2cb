"""Identify callers by what a trusted gateway sends in the call's metadata."""

from collections.abc import Collection

from partway_server.domain.errors import CallerUnknown
from partway_server.domain.grant import Caller
from partway_server.domain.policy import valid_tenant
from partway_server.domain.principal import ALL_SCOPES, Principal
from partway_server.rpc.identity.base import Context

TENANT_KEY = "partway-tenant"
SUBJECT_KEY = "partway-subject"

MAX_SUBJECT_CHARS = 128


class CallerResolver:
    """Reads the caller from the call's metadata or, if that is not trusted, uses one for all calls.

    The metadata is not verified. It can be trusted only behind a proxy that authenticates callers
    and removes such metadata from their requests.
    """

    def __init__(self, *, trust_metadata: bool) -> None:
        self._trust_metadata = trust_metadata

    async def principal(self, context: Context) -> Principal:
        """Return who calls. Raises CallerUnknown."""
        return Principal(self.caller(context.invocation_metadata() or ()), ALL_SCOPES)

    def caller(self, metadata: Collection[tuple[str, str | bytes]]) -> Caller:
        """Return the caller. Raises CallerUnknown if the metadata does not name a valid one."""
        if not self._trust_metadata:
            return Caller("default", "")
        tenant = _only(TENANT_KEY, metadata)
        if not valid_tenant(tenant):
            raise CallerUnknown(TENANT_KEY)
        subject = _only(SUBJECT_KEY, metadata)
        if len(subject) > MAX_SUBJECT_CHARS:
            raise CallerUnknown(SUBJECT_KEY)
        return Caller(tenant, subject)


def _only(key: str, metadata: Collection[tuple[str, str | bytes]]) -> str:
    """Return the value of `key`, "" if it is absent.

    Two values mean that a proxy adds its own without removing the caller's: neither is trusted.
    """
    values = [value for name, value in metadata if name == key]
    if len(values) > 1 or any(not isinstance(value, str) for value in values):
        raise CallerUnknown(key)
    return str(values[0]) if values else ""
