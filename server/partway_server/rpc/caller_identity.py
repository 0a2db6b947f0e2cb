"""Who calls."""

from collections.abc import Collection

from partway_server.domain.errors import CallerUnknown
from partway_server.domain.grant import Caller
from partway_server.domain.policy import valid_tenant

TENANT_KEY = "partway-tenant"
SUBJECT_KEY = "partway-subject"

MAX_SUBJECT_CHARS = 128


class CallerResolver:
    """Tells the caller from the call's metadata, or, if not trusted, takes all for one caller.

    The metadata is believed as it is: only what stands in front of the service, and removes what
    comes from outside, makes it worth believing.
    """

    def __init__(self, *, trust_metadata: bool) -> None:
        self._trust_metadata = trust_metadata

    def caller(self, metadata: Collection[tuple[str, str | bytes]]) -> Caller:
        """The caller. Raises CallerUnknown if the metadata does not name one that can be used."""
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
    """The value of `key`, "" if there is none.

    Two values mean that somebody in front adds to what comes from outside: neither is believed.
    """
    values = [value for name, value in metadata if name == key]
    if len(values) > 1 or any(not isinstance(value, str) for value in values):
        raise CallerUnknown(key)
    return str(values[0]) if values else ""
