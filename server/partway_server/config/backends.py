"""Storage backends as an operator names them. A backend names its secrets and never holds them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from partway_server.config.settings import Settings
from partway_server.config.settings_validation import origin_problem, shown_variable
from partway_server.domain.rule_error import Problem, RuleError
from partway_server.storage.capabilities import KNOWN, Capabilities

DEFAULT = "default"
"""The backend that the PARTWAY_S3_ settings describe."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One storage endpoint. Raises RuleError.

    `kind` names its capability record. Credentials come from the environment variables that are
    named here; the backend `default` has them in the settings, and any other backend that names no
    variables uses what the AWS SDK finds.
    """

    name: str
    kind: str = ""
    endpoint: str = ""
    public_endpoint: str = ""
    region: str = "us-east-1"
    addressing: str = ""
    ca_file: str = ""
    access_key_env: str = ""
    secret_key_env: str = ""
    session_token_env: str = ""

    def __post_init__(self) -> None:
        if found := tuple(self._problems()):
            raise RuleError(f"backend {self.name!r}", found)

    @classmethod
    def of_settings(cls, settings: Settings) -> Self:
        """Return the backend that the settings describe."""
        return cls(
            name=DEFAULT,
            kind=settings.backend,
            endpoint=settings.s3_endpoint,
            public_endpoint=settings.s3_public_endpoint,
            region=settings.s3_region,
            addressing=settings.s3_addressing,
            ca_file=settings.s3_ca_file,
        )

    @property
    def known_as(self) -> str:
        """Return the kind, or the default for one that is not given."""
        return self.kind or ("generic" if self.endpoint else "aws")

    @property
    def capabilities(self) -> Capabilities:
        """Return the capability record."""
        return KNOWN[self.known_as]

    @property
    def in_path(self) -> bool:
        """Return whether the bucket is in the path of a URL, and not in the host name."""
        return (self.addressing or ("path" if self.endpoint else "virtual")) == "path"

    def _problems(self) -> Iterator[Problem]:
        if self.known_as not in KNOWN:
            yield "kind", f"{self.kind!r} is unknown; known are {', '.join(sorted(KNOWN))}"
        for rule in ("endpoint", "public_endpoint"):
            if (url := getattr(self, rule)) and (words := origin_problem(url)):
                yield rule, words
        if not self.region:
            yield "region", 'is empty; use "us-east-1", or "auto", if the store has none'
        if self.addressing not in ("", "path", "virtual"):
            yield "addressing", f'{self.addressing!r} is neither "path" nor "virtual"'
        if self.access_key_env and not self.secret_key_env:
            yield "secret_key_env", "is missing, but access_key_env is set; name the variable"
        if self.secret_key_env and not self.access_key_env:
            yield "access_key_env", "is missing, but secret_key_env is set; name the variable"
        if self.session_token_env and not self.access_key_env:
            yield "access_key_env", "is missing, but session_token_env is set; name the variable"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The credentials of a backend, each None where the AWS SDK is to find it."""

    access_key: str | None
    secret_key: str | None
    session_token: str | None

    def __repr__(self) -> str:
        return "Secrets()"


def secrets_of(backend: Backend, settings: Settings, environ: Mapping[str, str]) -> Secrets:
    """Return the credentials that a backend names. Raises RuleError for an empty variable."""
    if backend.name == DEFAULT:
        return Secrets(
            settings.s3_access_key or None,
            settings.s3_secret_key or None,
            settings.s3_session_token or None,
        )
    rules = ("access_key_env", "secret_key_env", "session_token_env")
    named = {rule: getattr(backend, rule) for rule in rules}
    values = [environ.get(name) or None if name else None for name in named.values()]
    if missing := tuple(
        (rule, f"the variable{shown_variable(name)} is not set; set it and restart the service")
        for (rule, name), value in zip(named.items(), values, strict=True)
        if name and not value
    ):
        raise RuleError(f"backend {backend.name!r}", missing)
    return Secrets(*values)
