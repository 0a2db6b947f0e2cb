"""Every setting: its variable, its default, its limits, and one line on what it is for.

The fields of `Settings` are the only table. The pydantic model, the flags, `partway-server
settings` and docs/reference/settings.md are made from it.
"""

import base64
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Self

from partway_server.config.identity_settings import (
    algorithms_problem,
    identity_contradictions,
    identity_problem,
    jwks_url_problem,
    listed,
    networks_problem,
    scopes_problem,
)
from partway_server.config.secret_files import path_problem, shown_path, with_secrets
from partway_server.config.settings_validation import (
    HIDDEN,
    SEALING_KEY_BYTES,
    address_problem,
    origin_problem,
    redis_url_problem,
    sealing_keys,
    sealing_keys_problem,
    shown_origin,
    text,
    uri_reference_problem,
    without_password,
)
from partway_server.config.unknown_variables import PREFIX, unknown_variables
from partway_server.domain.certificate_names import (
    certificate_patterns_problem,
    certificate_rule_problem,
)

_MOST = 2**63 - 1


class SettingsError(Exception):
    """Settings that cannot be used. `problems` has a line for each, with no secret in it."""

    def __init__(self, problems: Collection[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def _setting(
    default: Any,
    why: str,
    *,
    secret: bool = False,
    choices: Collection[str] = (),
    unset: str = "",
    bounds: tuple[int, int] | None = None,
    problem: Callable[[str], str] | None = None,
    required: str = "",
    size: bool = False,
) -> Any:
    """Describe a setting.

    `unset` says what an empty default amounts to; `bounds` are those of a number; `problem` says
    what is wrong with a text, or ""; `required` says how to set what has no default. With `size`,
    a number of bytes may be written as "5GiB".
    """
    metadata = {
        "why": why,
        "secret": secret,
        "choices": tuple(choices),
        "unset": unset,
        "bounds": bounds,
        "problem": problem,
        "required": required,
        "size": size,
    }
    return field(default=default, metadata=metadata)


def _limit(default: int, why: str, *, size: bool = False) -> Any:
    """Describe a limit of a tenant or a subject, where 0 is none."""
    bounds, unset = (0, _MOST), "" if default else "0: no limit"
    return _setting(default, why, size=size, bounds=bounds, unset=unset)


def _file_of(name: str) -> Any:
    """Describe the setting that names a file with the value of the setting `name`."""
    why = f"A file that holds {variable(name)}, instead of the variable; an absolute path."
    return _setting("", why, problem=path_problem)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What an operator sets. `load` makes and validates one; its repr hides secrets.

    What a `*_file` of a secret holds is in the field of the secret.
    """

    address: str = _setting(
        "127.0.0.1:50051",
        "Where gRPC listens, as host:port; 0.0.0.0:50051 in a container.",
        problem=address_problem,
    )
    tls_cert_file: str = _setting(
        "",
        "The server's certificate and the CAs between it and the root, as PEM; read again when it"
        " changes.",
        unset="gRPC in plain text",
    )
    tls_key_file: str = _setting(
        "", "The key of that certificate, as PEM; read again when it changes.", unset="none"
    )
    tls_client_ca_file: str = _setting(
        "",
        "The CAs of callers' certificates, as PEM; read again when it changes. With it, every"
        " caller needs a certificate.",
        unset="no caller needs one",
    )
    s3_endpoint: str = _setting(
        "", "The URL where the service reaches storage.", unset="AWS", problem=origin_problem
    )
    s3_public_endpoint: str = _setting(
        "",
        "The URL where callers reach storage, which presigned URLs begin with.",
        unset="the same",
        problem=origin_problem,
    )
    s3_region: str = _setting("us-east-1", "The region to sign requests and URLs for.")
    s3_access_key: str = _setting(
        "", "The access key for storage.", unset="as the AWS SDK finds it"
    )
    s3_access_key_file: str = _file_of("s3_access_key")
    s3_secret_key: str = _setting("", "The secret of the access key.", secret=True)
    s3_secret_key_file: str = _file_of("s3_secret_key")
    s3_session_token: str = _setting("", "The session token of temporary credentials.", secret=True)
    s3_session_token_file: str = _file_of("s3_session_token")
    s3_signer_access_key: str = _setting(
        "",
        "The access key of a second principal, which signs the URLs and may do nothing but write.",
        unset="that of all calls signs URLs, too",
    )
    s3_signer_access_key_file: str = _file_of("s3_signer_access_key")
    s3_signer_secret_key: str = _setting("", "The secret of the signer's access key.", secret=True)
    s3_signer_secret_key_file: str = _file_of("s3_signer_secret_key")
    s3_signer_session_token: str = _setting(
        "", "The session token of temporary credentials of the signer.", secret=True
    )
    s3_signer_session_token_file: str = _file_of("s3_signer_session_token")
    s3_ca_file: str = _setting(
        "",
        "The CAs that storage's certificate may come from, as PEM, if its endpoint is https with a"
        " private CA.",
        unset="AWS_CA_BUNDLE, or the public ones",
    )
    s3_addressing: str = _setting(
        "",
        "Whether the bucket is in the path of a URL or in its host name.",
        choices=("path", "virtual"),
        unset="path with an endpoint, virtual on AWS",
    )
    s3_multipart_seconds: int = _setting(
        -1,
        "How long storage keeps a multipart upload until it ends it by itself; 0: for ever; -1:"
        " what is known of the product (MinIO: 24 hours; R2: 7 days). Uploads end an hour sooner.",
        bounds=(-1, 366 * 24 * 3600),
    )
    s3_client: str = _setting(
        "lean",
        "What sends the calls of uploads to storage: the service's own client, or the AWS SDK,"
        " which takes several times the CPU.",
        choices=("lean", "sdk"),
    )
    backend: str = _setting(
        "",
        "Which product the storage is, and so what it can do; with `auto`, what is measured when"
        " the service starts, once a day at most.",
        unset="generic with an endpoint, aws without",
    )
    backend_record: str = _setting(
        "",
        "A file that says what the storage can do, as `partway-server doctor --write-record`"
        " writes it; it counts instead of `PARTWAY_BACKEND`.",
    )
    bucket: str = _setting(
        "",
        "The bucket for objects, unless a policy names another.",
        required="name a bucket that exists",
    )
    policy_file: str = _setting(
        "",
        "A TOML file of policies and backends; SIGHUP reloads it.",
        unset="one policy, default",
    )
    webhook_file: str = _setting(
        "",
        "A TOML file with a table [webhook.NAME] for each endpoint; SIGHUP reloads it.",
        unset="no webhooks",
    )
    via_service: bool = _setting(
        False,
        "Whether parts may pass through the service, if no policy file decides it for each policy.",
    )
    redis_url: str = _setting(
        "",
        "Redis 7.0 or newer, or Valkey: redis://HOST:PORT/DB, rediss:// for TLS, or unix://PATH;"
        " redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB; redis+cluster://HOST:PORT,HOST:PORT.",
        problem=redis_url_problem,
        required="for example redis://127.0.0.1:6379/0",
    )
    redis_url_file: str = _file_of("redis_url")
    sealing_keys: str = _setting(
        "",
        "The keys that encrypt upload IDs: base64 of 64 bytes each, comma-separated; the first"
        " encrypts, all decrypt.",
        secret=True,
        problem=sealing_keys_problem,
        required=f"make one with: openssl rand -base64 {SEALING_KEY_BYTES} | tr -d '\\n'",
    )
    sealing_keys_file: str = _file_of("sealing_keys")
    identity: str = _setting(
        "none",
        "How callers are identified. none: all are the tenant default. Or any of these,"
        " comma-separated: metadata, by what a trusted gateway sends in partway-tenant and"
        " partway-subject; jwt, by a JSON Web Token; mtls, by a client certificate.",
        problem=identity_problem,
    )
    allow_anonymous: bool = _setting(
        False, "Whether identity none may be combined with an address that others can reach."
    )
    trusted_peers: str = _setting(
        "127.0.0.0/8,::1/128",
        "The networks of the gateways whose metadata is believed, comma-separated; a Unix socket"
        " counts as 127.0.0.1.",
        problem=networks_problem,
    )
    jwt_issuer: str = _setting("", "The issuer (iss) of accepted tokens.")
    jwt_audience: str = _setting(
        "", "The audiences (aud) of accepted tokens, comma-separated; a token needs one of them."
    )
    jwt_jwks_url: str = _setting(
        "", "Where the issuer publishes its keys, as a JWKS.", problem=jwks_url_problem
    )
    jwt_jwks_file: str = _setting(
        "", "A JWKS file of the issuer's keys, instead; it is reloaded when it changes."
    )
    jwt_jwks_allow_private: bool = _setting(
        False,
        "Whether the JWKS URL may lead to an address that is not on the public internet, and, on"
        " loopback, be http://.",
    )
    jwt_algorithms: str = _setting(
        "RS256,PS256,ES256,EdDSA",
        "The algorithms of accepted tokens, comma-separated, of RS, PS and ES with 256, 384 and"
        " 512, and EdDSA.",
        problem=algorithms_problem,
    )
    jwt_leeway_seconds: float = _setting(
        30.0,
        "By how much the clocks of the issuer and of the service may differ.",
        bounds=(0, 60),
    )
    jwt_tenant_claim: str = _setting(
        "tenant", "The claim that names the tenant: a name, or a path such as org.id."
    )
    jwt_subject_claim: str = _setting("sub", "The claim that names the subject.")
    jwt_scope_claim: str = _setting(
        "scope", "The claim of the scopes: words of one text, or a list of texts."
    )
    jwt_default_scopes: str = _setting(
        "",
        "The scopes of a token that has no such claim, separated by spaces, of upload, read,"
        " compose, via_service, admin.",
        unset="none, so that such a token allows nothing",
        problem=scopes_problem,
    )
    mtls_rule: str = _setting(
        "",
        "How a client certificate names its caller, such as"
        " spiffe://example.org/{tenant}/{subject}, dns:{subject}.{tenant}.internal or"
        " subject:O={tenant},CN={subject}.",
        unset="none",
        problem=certificate_rule_problem,
    )
    mtls_scopes: str = _setting(
        "upload read compose via_service admin",
        "The scopes of a caller with a client certificate, separated by spaces.",
        problem=scopes_problem,
    )
    trusted_certificates: str = _setting(
        "",
        "The names of client certificates whose metadata is believed, comma-separated, with * for a"
        " part of one: spiffe://example.org/gateway, dns:*.gateway.internal.",
        unset="none",
        problem=certificate_patterns_problem,
    )
    reflection: bool = _setting(
        False, "Whether the server describes its API to tools such as grpcurl."
    )
    workers: int = _setting(
        1, "How many processes share the port; about one for each core.", bounds=(1, 256)
    )
    max_concurrent_calls: int = _setting(
        512,
        "How many calls a process serves at a time, at most; more are refused at once.",
        bounds=(1, 65536),
    )
    max_watchers: int = _setting(
        10_000,
        "How many Watch streams a process serves at a time, besides those calls.",
        bounds=(1, 65536),
    )
    max_via_service: int = _setting(
        64,
        "How many parts may pass through a process at a time, at up to 8 MiB of memory each.",
        bounds=(1, 65536),
    )
    max_unread_bytes: int = _setting(
        32 * 1024 * 1024,
        "How much memory of a process replies may hold that their callers have not read yet.",
        bounds=(1024 * 1024, 2**40),
    )
    slow_reader_seconds: float = _setting(
        30.0,
        "How long a caller may read nothing of a reply. Then a stream is ended and, after twice as"
        " long, the connection is closed.",
        bounds=(1, 600),
    )
    min_upload_bytes_per_second: int = _setting(
        16 * 1024,
        "How fast the bytes of a part that passes through the service must arrive, on average over"
        " 30 seconds of waiting for them.",
        bounds=(0, 2**40),
    )
    tenant_open_uploads: int = _limit(10000, "How many uploads a tenant may have open.")
    tenant_open_bytes: int = _limit(
        0, "How many bytes the open uploads of a tenant may declare.", size=True
    )
    tenant_daily_bytes: int = _limit(
        0, "How many bytes the uploads that a tenant begins in a day (UTC) may declare.", size=True
    )
    tenant_parts_per_minute: int = _limit(
        0, "How many parts may be presigned for a tenant in a minute."
    )
    tenant_calls_per_second: int = _limit(0, "How many calls a tenant may make in a second.")
    tenant_watches: int = _limit(
        0, "How many Watch streams a tenant may have open at each process."
    )
    tenant_streams: int = _limit(
        0, "How many PresignParts streams a tenant may have open at each process."
    )
    tenant_via_service: int = _limit(
        0, "How many parts of a tenant may pass through each process at a time."
    )
    tenant_via_service_bytes_per_second: int = _limit(
        0,
        "How many bytes of parts of a tenant may pass through the service in a second.",
        size=True,
    )
    subject_open_uploads: int = _limit(0, "How many uploads a subject may have open.")
    subject_open_bytes: int = _limit(
        0, "How many bytes the open uploads of a subject may declare.", size=True
    )
    subject_daily_bytes: int = _limit(
        0, "How many bytes the uploads that a subject begins in a day (UTC) may declare.", size=True
    )
    subject_parts_per_minute: int = _limit(
        0, "How many parts may be presigned for a subject in a minute."
    )
    subject_calls_per_second: int = _limit(0, "How many calls a subject may make in a second.")
    subject_watches: int = _limit(
        0, "How many Watch streams a subject may have open at each process."
    )
    subject_streams: int = _limit(
        0, "How many PresignParts streams a subject may have open at each process."
    )
    subject_via_service: int = _limit(
        0, "How many parts of a subject may pass through each process at a time."
    )
    subject_via_service_bytes_per_second: int = _limit(
        0,
        "How many bytes of parts of a subject may pass through the service in a second.",
        size=True,
    )
    call_timeout_seconds: float = _setting(
        30.0,
        "How long a unary call, the first message of a stream, or the next bytes of a part that"
        " passes through may take, whatever deadline the caller sets.",
        bounds=(1, 600),
    )
    # A command to Redis may take 2.5 s with its retries, and a lease must outlast it.
    lease_seconds: float = _setting(
        30.0,
        "How long a process that has died keeps its uploads before another takes over.",
        bounds=(3, 600),
    )
    janitor_seconds: float = _setting(
        30.0, "How often to look for expired and abandoned uploads.", bounds=(1, 3600)
    )
    sweep_seconds: float = _setting(
        3600.0,
        "How often, at least, to look through storage for uploads that Redis does not know.",
        bounds=(1, 86400),
    )
    # A Complete that loses its session record may send four requests of up to 15 minutes each.
    sweep_grace_seconds: float = _setting(
        7200.0,
        "How long past its deadline an upload that Redis does not know stays in storage.",
        bounds=(0, 604800),
    )
    completed_keep_seconds: float = _setting(
        604800.0,
        "How long the session record of a completed upload stays in Redis; after that it is asked"
        " of storage, and not listed.",
        bounds=(60, 31536000),
    )
    # No less than an hour: a janitor may be away, and must find what it has to abort.
    record_keep_seconds: float = _setting(
        2592000.0,
        "How long a session record stays in Redis past the time at which the janitor should have"
        " ended it, if none runs.",
        bounds=(3600, 31536000),
    )
    event_source: str = _setting(
        "/partway",
        "The source that events name, as a URI or the path of one.",
        problem=uri_reference_problem,
    )
    event_keep_seconds: float = _setting(
        604800.0,
        "How long events stay in Redis, at least, and so how long a consumer may be away.",
        bounds=(60, 31536000),
    )
    readiness: str = _setting(
        "both",
        "Whose silence, for 5 s, makes this replica report NOT_SERVING until it answers again.",
        choices=("none", "redis", "storage", "both"),
    )
    drain_seconds: float = _setting(
        5.0,
        "How long to report NOT_SERVING before stopping, for load balancers to notice.",
        bounds=(0, 600),
    )
    grace_seconds: float = _setting(
        20.0,
        "How long calls in flight, and work that outlives its call, may go on at shutdown.",
        bounds=(0, 3600),
    )
    metrics_address: str = _setting(
        "",
        "Where Prometheus finds /metrics of all workers, as host:port.",
        unset="nowhere",
        problem=address_problem,
    )
    metrics_tenants: str = _setting(
        "",
        "The tenants that have figures of their own in the metrics, comma-separated.",
        unset="none",
    )
    log_level: str = _setting(
        "info", "How much is logged.", choices=("debug", "info", "warning", "error")
    )
    json_logs: bool = _setting(False, "Whether logs are JSON lines.")
    log_good_calls: float = _setting(
        1.0,
        "The share of calls that went well which have a line in the log, from 0 to 1; an upload has"
        " all of its calls there, or none. Each call that failed has a line.",
        bounds=(0, 1),
    )
    traces: str = _setting(
        "",
        "Whether traces are sent by OTLP, as the OTEL_ variables say; needs the extra otel.",
        choices=("off", "otlp"),
        unset="otlp if OTEL_EXPORTER_OTLP_ENDPOINT is set, off otherwise",
    )

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        overrides: Mapping[str, Any] | None = None,
        *,
        backends: Collection[str] = (),
        allow_unknown: bool = False,
    ) -> Self:
        """Return the settings of an environment and of flags. Raises SettingsError.

        `overrides` are by field name and win. `backends` are the names that `backend` may have;
        empty: any. With `allow_unknown` a PARTWAY_ variable that is no setting is ignored.
        """
        settings, problems = cls.examine(
            environ, overrides, backends=backends, allow_unknown=allow_unknown
        )
        if problems:
            raise SettingsError(problems)
        return settings

    @classmethod
    def examine(
        cls,
        environ: Mapping[str, str],
        overrides: Mapping[str, Any] | None = None,
        *,
        backends: Collection[str] = (),
        allow_unknown: bool = False,
    ) -> tuple[Self, list[str]]:
        """Return the settings, usable or not, and their problems in the order of the table."""
        # Imported late: pydantic takes its time, and the help of the command line needs none of it.
        from partway_server.config.environment import read_settings

        given, found = with_secrets(SECRET_FILES, environ, overrides or {}, variable)
        values, faults = read_settings(cls, environ, given)
        settings = cls(**values)._with_defaults()
        # A file that could not be read for its path has one problem, not two.
        named = {name for name, _ in found}
        found += [(fault.path[0], fault.words) for fault in faults if fault.path[0] not in named]
        found += _contradictions(settings, {name for name, _ in found}, backends)
        order = [setting.name for setting in fields(cls)]
        found.sort(key=lambda problem: order.index(problem[0]))
        problems = [f"{_named(name)}: {words}" for name, words in found]
        return settings, problems if allow_unknown else [*problems, *settings.unknown(environ)]

    def unknown(self, environ: Mapping[str, str]) -> list[str]:
        """Return a line for each PARTWAY_ variable that is no setting and that no file names."""
        known = [variable(setting.name) for setting in fields(self)]
        return unknown_variables(environ, known, (self.policy_file, self.webhook_file))

    def _with_defaults(self) -> Self:
        """Fill in the defaults that depend on other settings."""
        addressing, backend = ("path", "generic") if self.s3_endpoint else ("virtual", "aws")
        return replace(
            self,
            s3_addressing=self.s3_addressing or addressing,
            backend=self.backend or backend,
        )

    @property
    def host(self) -> str:
        """Return the host of `address`, an IPv6 address without its brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Return the port of `address`; 0 lets the system choose."""
        return int(self.address.rpartition(":")[2])

    @property
    def metrics_host(self) -> str:
        """Return the host of `metrics_address`, an IPv6 address without brackets; "" for none."""
        return self.metrics_address.rpartition(":")[0].strip("[]")

    @property
    def metrics_port(self) -> int:
        """Return the port of `metrics_address`; 0 lets the system choose."""
        return int(self.metrics_address.rpartition(":")[2] or 0)

    def sealing_key_bytes(self) -> list[bytes]:
        """Return the sealing keys, decoded."""
        return [base64.b64decode(key, validate=True) for key in sealing_keys(self.sealing_keys)]

    def shown(self) -> dict[str, Any]:
        """Return the values by name, with secrets hidden."""
        return {
            setting.name: _shown(setting, getattr(self, setting.name)) for setting in fields(self)
        }

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in self.shown().items())})"


def flag(setting: Field[Any]) -> str:
    """Return the flag of a setting, or "" for a secret: every user can list arguments."""
    return "" if setting.metadata["secret"] else f"--{setting.name.replace('_', '-')}"


SECRET_FILES = {
    file: name
    for name in (each.name for each in fields(Settings))
    if (file := f"{name}_file") in Settings.__dataclass_fields__
}
"""The settings that name the file of a secret, each with the setting whose value it holds."""


def environment(settings: Settings) -> dict[str, str]:
    """Return variables that `load` makes the same settings from.

    They hold the secrets that came in variables; what came in a file stays there.
    """
    in_files = {name for file, name in SECRET_FILES.items() if getattr(settings, file)}
    return {
        variable(f.name): "" if f.name in in_files else str(getattr(settings, f.name))
        for f in fields(settings)
    }


def default_text(setting: Field[Any]) -> str:
    """Return the default for a person to read."""
    return setting.metadata["unset"] or text(setting.default)


def _named(name: str) -> str:
    setting = next(f for f in fields(Settings) if f.name == name)
    return " or ".join(filter(None, (variable(name), flag(setting))))


def _shown(setting: Field[Any], value: Any) -> Any:
    if setting.metadata["secret"]:
        return value and HIDDEN
    if setting.metadata["problem"] in (origin_problem, jwks_url_problem):
        return shown_origin(value)
    if setting.name in SECRET_FILES:
        return shown_path(value)
    return without_password(value) if setting.name == "redis_url" else value


def _contradictions(
    settings: Settings, bad: Set[str], backends: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield what is missing, or wrong beside another setting. `bad` are wrong by themselves."""
    for setting in fields(settings):
        missing = not getattr(settings, setting.name) and f"{setting.name}_file" not in bad
        if (hint := setting.metadata["required"]) and missing:
            yield setting.name, f"is not set; {hint}"
    if "address" not in bad and settings.port == 0 and settings.workers > 1:
        yield "address", "several workers need a port to share, not 0"
    chosen = settings.metrics_address and settings.metrics_port == 0
    if "metrics_address" not in bad and chosen and settings.workers > 1:
        yield "metrics_address", "several workers need a port to share, not 0"
    yield from _tls_contradictions(settings)
    if not bad & SECRET_FILES.keys():
        yield from _half_set(settings, "s3_")
        yield from _half_set(settings, "s3_signer_")
    yield from identity_contradictions(settings, bad)
    if backends and settings.backend not in backends:
        known = ", ".join(sorted(backends))
        yield "backend", f"{settings.backend!r} is unknown; known are {known}"


def _tls_contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.tls_key_file and not settings.tls_cert_file:
        yield "tls_cert_file", "is not set, but the key is"
    if settings.tls_cert_file and not settings.tls_key_file:
        yield "tls_key_file", "is not set, but the certificate is"
    if settings.tls_client_ca_file and not settings.tls_cert_file:
        yield "tls_client_ca_file", "needs TLS in the server; set PARTWAY_TLS_CERT_FILE"
    if "mtls" in listed(settings.identity) and not settings.mtls_rule:
        yield "mtls_rule", "is not set; for example spiffe://example.org/{tenant}/{subject}"
    for name in ("mtls_rule", "trusted_certificates"):
        if getattr(settings, name) and not settings.tls_client_ca_file:
            yield name, "needs client certificates; set PARTWAY_TLS_CLIENT_CA_FILE"


def _half_set(settings: Settings, whose: str) -> Iterator[tuple[str, str]]:
    """Yield which half of a pair of keys is missing."""
    access, secret, token = (
        (name, getattr(settings, name))
        for name in (f"{whose}access_key", f"{whose}secret_key", f"{whose}session_token")
    )
    if access[1] and not secret[1]:
        yield secret[0], "is not set, but the access key is"
    if secret[1] and not access[1]:
        yield access[0], "is not set, but the secret key is"
    elif token[1] and not access[1]:
        yield access[0], "is not set, but the session token is"
