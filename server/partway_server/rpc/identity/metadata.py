"""Identify callers by what a trusted gateway sends in the call's metadata."""

import re
from collections.abc import Callable, Collection, Sequence

from partway_server.domain.errors import CallerUnknown
from partway_server.domain.grant import Caller
from partway_server.domain.policy import valid_tenant
from partway_server.domain.principal import ALL_SCOPES, Principal
from partway_server.rpc.identity.base import Context
from partway_server.rpc.identity.rejections import Rejections

TENANT_KEY = "partway-tenant"
SUBJECT_KEY = "partway-subject"

MAX_SUBJECT_CHARS = 128

_SUBJECT = re.compile(rf"[\x20-\x7e]{{0,{MAX_SUBJECT_CHARS}}}")

Trust = Callable[[Context], bool]
"""Returns whether the peer that makes a call may name its caller."""


def valid_subject(subject: str) -> bool:
    """Return whether a subject is printable ASCII of at most 128 characters."""
    return _SUBJECT.fullmatch(subject) is not None


class MetadataAuthenticator:
    """Believes the metadata of a call if any of `trusted` vouches for the peer that makes it.

    Nothing in the metadata is verified: such a peer must authenticate its callers, and remove the
    metadata that they send themselves.
    """

    def __init__(self, *, trusted: Sequence[Trust], rejections: Rejections) -> None:
        self._trusted = tuple(trusted)
        self._rejections = rejections

    async def authenticate(self, context: Context) -> Principal | None:
        metadata = context.invocation_metadata() or ()
        if not any(key in (TENANT_KEY, SUBJECT_KEY) for key, _ in metadata):
            return None
        if not any(vouches(context) for vouches in self._trusted):
            raise self._rejections.reject(
                "metadata names the caller, but its peer is not in PARTWAY_TRUSTED_PEERS or"
                " PARTWAY_TRUSTED_CERTIFICATES"
            )
        return Principal(caller_of(metadata), ALL_SCOPES)


def caller_of(metadata: Collection[tuple[str, str | bytes]]) -> Caller:
    """Return the caller. Raises CallerUnknown if the metadata does not name a valid one."""
    tenant = _only(TENANT_KEY, metadata)
    if not valid_tenant(tenant):
        raise CallerUnknown(TENANT_KEY)
    subject = _only(SUBJECT_KEY, metadata)
    if not valid_subject(subject):
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
