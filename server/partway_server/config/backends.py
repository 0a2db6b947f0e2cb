"""Storage backends as an operator names them. A backend names its secrets and never holds them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from partway_server.config.capability_file import CapabilityFileError, read_record
from partway_server.config.secret_files import SecretFileError, path_problem, read_secret
from partway_server.config.settings import Settings, variable
from partway_server.config.settings_validation import origin_problem, shown_variable
from partway_server.domain.rule_error import Problem, RuleError
from partway_server.storage.capabilities import KNOWN, Capabilities
from partway_server.storage.sigv4 import Credentials

DEFAULT = "default"
"""The backend that the PARTWAY_S3_ settings describe."""

AUTO = "auto"
"""The kind of a backend whose capability record is measured when the service starts."""

KINDS = frozenset(KNOWN) | {AUTO}

SIGNER = "signer_"
"""How the names of a signer's credentials begin."""

MULTIPART_MARGIN_SECONDS = 3600
"""How much sooner than storage ends a multipart upload its deadline is, for a Complete to end."""

_VALUES = ("access_key", "secret_key", "session_token")
_NAME = "name the variable, or a file"


@dataclass(frozen=True, slots=True)
class Backend:
    """One storage endpoint. Raises RuleError.

    `kind` names its capability record, unless `record` is the path of one; `measured` is that of
    one of the kind `auto`, once it is known. `multipart_seconds` is how long storage keeps a
    multipart upload, 0 for ever; below 0, the record says it. Credentials
    come from the environment variables or the files that are named here; the backend `default` has
    them in the settings, and any other backend that names neither uses what the AWS SDK finds. The
    credentials of a signer sign URLs.
    """

    name: str
    kind: str = ""
    endpoint: str = ""
    public_endpoint: str = ""
    region: str = "us-east-1"
    addressing: str = ""
    ca_file: str = ""
    record: str = ""
    multipart_seconds: int = -1
    access_key_env: str = ""
    access_key_file: str = ""
    secret_key_env: str = ""
    secret_key_file: str = ""
    session_token_env: str = ""
    session_token_file: str = ""
    signer_access_key_env: str = ""
    signer_access_key_file: str = ""
    signer_secret_key_env: str = ""
    signer_secret_key_file: str = ""
    signer_session_token_env: str = ""
    signer_session_token_file: str = ""
    measured: Capabilities | None = field(default=None, repr=False)

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
            record=settings.backend_record,
            multipart_seconds=settings.s3_multipart_seconds,
        )

    @property
    def known_as(self) -> str:
        """Return the kind, or the default for one that is not given."""
        return self.kind or ("generic" if self.endpoint else "aws")

    @property
    def is_unmeasured(self) -> bool:
        """Return whether the capability record must be measured first."""
        return self.kind == AUTO and not self.record and self.measured is None

    @property
    def begins_as(self) -> str:
        """Return the name of the record that applies to what no measurement shows."""
        return replace(self, kind="").known_as if self.kind == AUTO else self.known_as

    @property
    def capabilities(self) -> Capabilities:
        """Return the capability record, with what is configured of it.

        Until it is measured, it is that of `begins_as`. Raises CapabilityFileError if its file has
        become unusable.
        """
        record = read_record(self.record) if self.record else self.measured or KNOWN[self.begins_as]
        if self.multipart_seconds < 0:
            return record
        return replace(record, multipart_seconds=self.multipart_seconds)

    @property
    def in_path(self) -> bool:
        """Return whether the bucket is in the path of a URL, and not in the host name."""
        return (self.addressing or ("path" if self.endpoint else "virtual")) == "path"

    def _problems(self) -> Iterator[Problem]:
        if self.known_as not in KINDS:
            yield "kind", f"{self.kind!r} is unknown; known are {', '.join(sorted(KINDS))}"
        if self.record:
            try:
                read_record(self.record)
            except CapabilityFileError as error:
                yield "record", str(error)
        for rule in ("endpoint", "public_endpoint"):
            if (url := getattr(self, rule)) and (words := origin_problem(url)):
                yield rule, words
        if self.multipart_seconds != 0 and 0 <= self.multipart_seconds <= MULTIPART_MARGIN_SECONDS:
            words = f"is not above {MULTIPART_MARGIN_SECONDS}; name what storage is configured with"
            yield "multipart_seconds", f"{words}, or 0 if it ends none"
        if not self.region:
            yield "region", 'is empty; use "us-east-1", or "auto", if the store has none'
        if self.addressing not in ("", "path", "virtual"):
            yield "addressing", f'{self.addressing!r} is neither "path" nor "virtual"'
        for whose in ("", SIGNER):
            yield from self._half_named(whose)

    def _half_named(self, whose: str) -> Iterator[Problem]:
        """Yield what is wrong with how the credentials of a principal are named."""
        for value in _VALUES:
            env, file = (getattr(self, f"{whose}{value}_{kind}") for kind in ("env", "file"))
            if env and file:
                yield f"{whose}{value}_file", f"is set, and {whose}{value}_env too; remove one"
            elif file and (problem := path_problem(file)):
                yield f"{whose}{value}_file", problem
        access, secret, token = (self._names(f"{whose}{value}") for value in _VALUES)
        if access and not secret:
            yield f"{whose}secret_key_env", f"is missing, but {access} is set; {_NAME}"
        if secret and not access:
            yield f"{whose}access_key_env", f"is missing, but {secret} is set; {_NAME}"
        elif token and not access:
            yield f"{whose}access_key_env", f"is missing, but {token} is set; {_NAME}"

    def _names(self, value: str) -> str:
        """Return the rule that says where a value is, or ""."""
        return next((r for r in (f"{value}_env", f"{value}_file") if getattr(self, r)), "")


def with_measured(backend: Backend, measured: Mapping[str, Capabilities]) -> Backend:
    """Return the backend with the record that was measured, if it needs one that is there."""
    if backend.is_unmeasured and (record := measured.get(backend.name)) is not None:
        return replace(backend, measured=record)
    return backend


@dataclass(frozen=True, slots=True)
class Keys:
    """The credentials of one principal. Each is None where the AWS SDK is to find it."""

    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None

    def __repr__(self) -> str:
        return "Keys()"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The credentials of a backend. Without those of a signer, `control` signs the URLs too."""

    control: Keys
    signer: Credentials | None = None

    @property
    def url_signer(self) -> Keys | Credentials:
        """Return the credentials that sign URLs."""
        return self.signer or self.control


def secrets_of(backend: Backend, settings: Settings, environ: Mapping[str, str]) -> Secrets:
    """Return the credentials that a backend names; those in files are read now.

    Raises RuleError for a variable that is empty, and for a file that cannot be used.
    """
    problems: list[Problem] = []
    if backend.name == DEFAULT:
        control, signer = (_of_settings(settings, whose, problems) for whose in ("", SIGNER))
    else:
        control, signer = (_named(backend, whose, environ, problems) for whose in ("", SIGNER))
    if problems:
        raise RuleError(f"backend {backend.name!r}", tuple(problems))
    if not (signer.access_key and signer.secret_key):
        return Secrets(control)
    return Secrets(
        control, Credentials(signer.access_key, signer.secret_key, signer.session_token or "")
    )


def _of_settings(settings: Settings, whose: str, problems: list[Problem]) -> Keys:
    values = []
    for value in _VALUES:
        setting = f"s3_{whose}{value}"
        path, text = getattr(settings, f"{setting}_file"), getattr(settings, setting)
        # Again, because the file may have changed since the start.
        values.append(_read(path, variable(f"{setting}_file"), problems) if path else text or None)
    return Keys(*values)


def _named(
    backend: Backend, whose: str, environ: Mapping[str, str], problems: list[Problem]
) -> Keys:
    values: list[str | None] = []
    for value in _VALUES:
        rule = f"{whose}{value}"
        name, path = getattr(backend, f"{rule}_env"), getattr(backend, f"{rule}_file")
        found = _read(path, f"{rule}_file", problems) if path else environ.get(name) or None
        if name and not found:
            words = f"the variable{shown_variable(name)} is not set; set it and restart the service"
            problems.append((f"{rule}_env", words))
        values.append(found)
    return Keys(*values)


def _read(path: str, rule: str, problems: list[Problem]) -> str | None:
    try:
        return read_secret(path)
    except SecretFileError as error:
        problems.append((rule, str(error)))
        return None
