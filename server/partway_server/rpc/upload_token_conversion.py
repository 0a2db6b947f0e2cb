"""Convert between the messages and the nouns of upload tokens. Decides nothing."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from partway.v1 import upload_service_pb2 as pb

from partway_server.domain.principal import UploadAction, UploadToken
from partway_server.domain.upload_token import TokenParams

_ACTIONS = {pb.UploadAction.Value(f"UPLOAD_ACTION_{a.upper()}"): a for a in UploadAction}


def token_params(spec: pb.UploadTokenSpec, field: str) -> TokenParams:
    """Return what a spec asks for. It was validated before; `field` is where the request has it."""
    return TokenParams(
        field=field,
        actions=[_ACTIONS[value] for value in spec.actions],
        lifetime=_duration(spec.lifetime) if spec.HasField("lifetime") else None,
        parts=(spec.parts.first, spec.parts.last) if spec.HasField("parts") else None,
    )


def _duration(lifetime: Duration) -> timedelta:
    # Not ToTimedelta: it refuses nanoseconds that no timedelta can hold.
    return timedelta(seconds=lifetime.seconds, microseconds=lifetime.nanos // 1000)


def write_token(text: str, token: UploadToken, into: pb.UploadToken) -> None:
    """Fill in a token as its maker receives it."""
    into.token = text
    into.expire_time.FromDatetime(token.expire_time)
    into.actions.extend(value for value, action in _ACTIONS.items() if action in token.actions)
