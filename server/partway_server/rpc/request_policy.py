"""Which policy a request asks for, for the log."""

from google.protobuf.message import Message

DEFAULT = "default"

_OPENING = frozenset({"InitializeRequest", "ComposeRequest"})


def policy_of(request: Message) -> str:
    """Return the policy that a request names, or means by naming none; "" if it is about none."""
    named: str = getattr(request, "policy", "")
    return named or (DEFAULT if request.DESCRIPTOR.name in _OPENING else "")
