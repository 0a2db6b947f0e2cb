"""Reads the `authorization` metadata of a call: a scheme, which says what follows, and a value."""

from dataclasses import dataclass, field

from partway_server.rpc.identity.base import Context
from partway_server.rpc.identity.rejections import Rejections

AUTHORIZATION_KEY = "authorization"


@dataclass(frozen=True, slots=True)
class Authorization:
    """A scheme, in small letters, and the secret that follows it."""

    scheme: str
    value: str = field(repr=False)


def authorization_of(context: Context, rejections: Rejections) -> Authorization | None:
    """Return the `authorization` of a call, None if it has none.

    Raises CredentialsRejected if it has two: which of them counts would depend on who reads it.
    """
    found = [
        value for key, value in context.invocation_metadata() or () if key == AUTHORIZATION_KEY
    ]
    if not found:
        return None
    [value, *others] = found
    if others or not isinstance(value, str):
        raise rejections.reject("more than one authorization")
    scheme, _, rest = value.partition(" ")
    return Authorization(scheme.lower(), rest.strip(" "))
