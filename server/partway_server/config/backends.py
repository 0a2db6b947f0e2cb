"""Storage backends as an operator names them. What is secret is only ever named, never held."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from partway_server.config.settings import Settings
from partway_server.config.settings_validation import is_origin
from partway_server.storage.capabilities import KNOWN, Capabilities

DEFAULT = "default"
"""The backend that the PARTWAY_S3_ settings describe."""

Problem = tuple[str, str]
"""A rule, and what is wrong with it and what to do, in words."""


class BackendError(ValueError):
    """A backend is not described well. `problems` are (rule, words)."""

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"backend {name!r}: " + "; ".join(f"{r}: {w}" for r, w in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Backend:
    """One storage endpoint. Raises BackendError.

    `kind` names its record of capabilities. Credentials are the values of environment variables;
    of the backend `default` they are in the settings, and all others that name none take what the
    AWS SDK finds by itself.
    """

    name: str
    kind: str = ""
    endpoint: str = ""
    public_endpoint: str = ""
    region: str = "us-east-1"
    addressing: str = ""
    access_key_env: str = ""
    secret_key_env: str = ""
    session_token_env: str = ""

    def __post_init__(self) -> None:
        if found := tuple(self._problems()):
            raise BackendError(self.name, found)

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """The one that the settings describe."""
        return cls(
            name=DEFAULT,
            kind=settings.backend,
            endpoint=settings.s3_endpoint,
            public_endpoint=settings.s3_public_endpoint,
            region=settings.s3_region,
            addressing=settings.s3_addressing,
        )

    @property
    def known_as(self) -> str:
        """The kind, or what is taken for one that is not told."""
        return self.kind or ("generic" if self.endpoint else "aws")

    @property
    def capabilities(self) -> Capabilities:
        return KNOWN[self.known_as]

    @property
    def in_path(self) -> bool:
        """Whether the bucket stands in the path of a URL, and not in the host name."""
        return (self.addressing or ("path" if self.endpoint else "virtual")) == "path"

    def _problems(self) -> Iterator[Problem]:
        if self.known_as not in KNOWN:
            yield "kind", f"{self.kind!r} is not known; known are {', '.join(sorted(KNOWN))}"
        for rule in ("endpoint", "public_endpoint"):
            if (url := getattr(self, rule)) and not is_origin(url):
                yield rule, f"{url!r} is not http://HOST or https://HOST, with a port or not"
        if not self.region:
            yield "region", 'is empty; "us-east-1", or "auto", if the store has none'
        if self.addressing not in ("", "path", "virtual"):
            yield "addressing", f'{self.addressing!r} is neither "path" nor "virtual"'
        if self.access_key_env and not self.secret_key_env:
            yield "secret_key_env", "is not set, but access_key_env is; name the variable"
        if self.secret_key_env and not self.access_key_env:
            yield "access_key_env", "is not set, but secret_key_env is; name the variable"
        if self.session_token_env and not self.access_key_env:
            yield "access_key_env", "is not set, but session_token_env is; name the variable"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The credentials of a backend, None where the AWS SDK is to find them."""

    access_key: str | None
    secret_key: str | None
    session_token: str | None

    def __repr__(self) -> str:
        return "Secrets()"


def secrets_of(backend: Backend, settings: Settings, environ: Mapping[str, str]) -> Secrets:
    """The credentials that the backend names. Raises BackendError for a variable that is empty."""
    if backend.name == DEFAULT:
        return Secrets(
            settings.s3_access_key or None,
            settings.s3_secret_key or None,
            settings.s3_session_token or None,
        )
    rules = ("access_key_env", "secret_key_env", "session_token_env")
    named = {rule: getattr(backend, rule) for rule in rules}
    values = [environ.get(name) or None if name else None for name in named.values()]
    if lost := tuple(
        (rule, f"the environment of the service has no {name}; set it and start again")
        for (rule, name), value in zip(named.items(), values, strict=True)
        if name and not value
    ):
        raise BackendError(backend.name, lost)
    return Secrets(*values)
