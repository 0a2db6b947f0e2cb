"""Every setting: its variable, its default, and one line of why.

The fields of `Settings` are the only table. The environment, the flags, `partway-server settings`
and the README are made from it.
"""

import base64
from collections.abc import Collection, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, Self

from partway_server.config.settings_validation import (
    HIDDEN,
    SEALING_KEY_BYTES,
    is_address,
    is_origin,
    is_redis_url,
    is_sealing_key,
    is_uri_reference,
    parsed,
    sealing_keys,
    text,
    without_password,
)


class SettingsError(Exception):
    """The settings do not hold together. `problems` has one line for each, with no secret in it."""

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
) -> Any:
    """`unset` says in words what an empty default comes to; `bounds` are those of a number."""
    metadata = {
        "why": why,
        "secret": secret,
        "choices": tuple(choices),
        "unset": unset,
        "bounds": bounds,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What an operator sets. Make one with `load`; its repr hides secrets."""

    address: str = _setting(
        "127.0.0.1:50051", "Where gRPC listens, as host:port; 0.0.0.0:50051 in a container."
    )
    s3_endpoint: str = _setting("", "Storage as the service reaches it, as a URL.", unset="AWS")
    s3_public_endpoint: str = _setting(
        "", "Storage as callers reach it: the URL that presigned URLs begin with.", unset="the same"
    )
    s3_region: str = _setting("us-east-1", "The region that requests and URLs are signed for.")
    s3_access_key: str = _setting("", "Storage credentials.", unset="as the AWS SDK finds them")
    s3_secret_key: str = _setting("", "The secret that belongs to the access key.", secret=True)
    s3_session_token: str = _setting(
        "", "The token that belongs to temporary credentials.", secret=True
    )
    s3_addressing: str = _setting(
        "",
        "Whether the bucket stands in the path of a URL or in the host name.",
        choices=("path", "virtual"),
        unset="path with an endpoint, virtual on AWS",
    )
    backend: str = _setting(
        "",
        "What the storage is, and so what it can do.",
        unset="generic with an endpoint, aws without",
    )
    bucket: str = _setting("", "The bucket for objects, where a policy names no other.")
    policy_file: str = _setting(
        "",
        "A TOML file of policies and backends; SIGHUP has it read anew.",
        unset="one policy, default",
    )
    webhook_file: str = _setting(
        "",
        "A TOML file, a table [webhook.NAME] for each endpoint; SIGHUP has it read anew.",
        unset="no webhooks",
    )
    via_service: bool = _setting(
        False,
        "Whether parts may pass through the service, where no policy file says it for each policy.",
    )
    redis_url: str = _setting(
        "",
        "Redis 7.0 or newer, or Valkey: redis://HOST:PORT/DB, rediss:// for TLS, or unix://PATH;"
        " redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB; redis+cluster://HOST:PORT,HOST:PORT.",
    )
    sealing_keys: str = _setting(
        "",
        "What seals upload ids: base64 of 64 bytes, comma-separated; the first seals, all open.",
        secret=True,
    )
    identity: str = _setting(
        "none",
        "Who calls. none: everybody is tenant default. metadata: a trusted gateway says so"
        " in partway-tenant and partway-subject.",
        choices=("none", "metadata"),
    )
    reflection: bool = _setting(False, "Whether the server tells its API to tools like grpcurl.")
    workers: int = _setting(
        1, "How many processes share the port, about one for each core.", bounds=(1, 256)
    )
    max_concurrent_calls: int = _setting(
        512, "How many calls a process works on; more are turned away at once.", bounds=(1, 65536)
    )
    max_watchers: int = _setting(
        10_000, "How many Watch streams a process keeps, beside those calls.", bounds=(1, 65536)
    )
    max_via_service: int = _setting(
        64,
        "How many parts may pass through a process at a time, at up to 8 MiB of memory each.",
        bounds=(1, 65536),
    )
    call_timeout_seconds: float = _setting(
        30.0,
        "How long a unary call may take, a stream until its first message, and the next bytes of a"
        " part that passes through, whatever deadline the caller sets.",
        bounds=(1, 600),
    )
    # A command to Redis may take 2.5 s with its retries, and a lease must outlast it.
    lease_seconds: float = _setting(
        30.0,
        "How long an Upload stays with a process that is gone before another takes over.",
        bounds=(3, 600),
    )
    janitor_seconds: float = _setting(
        30.0, "How often to look for Uploads that were left behind.", bounds=(1, 3600)
    )
    sweep_seconds: float = _setting(
        3600.0,
        "How often at least to look through storage for uploads that Redis does not know.",
        bounds=(1, 86400),
    )
    # A Complete whose row was lost under it may send four requests, of 15 minutes at most each.
    sweep_grace_seconds: float = _setting(
        7200.0,
        "How long past its deadline an upload is left in storage that Redis does not know.",
        bounds=(0, 604800),
    )
    event_source: str = _setting(
        "/partway", "What events say that they come from, as a URI or the path of one."
    )
    event_keep_seconds: float = _setting(
        604800.0,
        "How long events stay in Redis at least, and so how long a consumer may be away.",
        bounds=(60, 31536000),
    )
    drain_seconds: float = _setting(
        5.0,
        "How long NOT_SERVING is shown before the server stops, for load balancers to see it.",
        bounds=(0, 600),
    )
    grace_seconds: float = _setting(
        20.0,
        "How long calls in progress, and work that outlives its call, may run on at the end.",
        bounds=(0, 3600),
    )
    metrics_address: str = _setting(
        "",
        "Where /metrics is for Prometheus, as host:port; of several workers, each next one has the"
        " next port.",
        unset="nowhere",
    )
    log_level: str = _setting(
        "info", "How much is logged.", choices=("debug", "info", "warning", "error")
    )
    json_logs: bool = _setting(False, "Whether logs are JSON lines.")

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str],
        overrides: Mapping[str, Any] | None = None,
        *,
        backends: Collection[str] = (),
    ) -> Self:
        """The settings in `environ`, with `overrides` by field name before them.

        `backends` are the names that `backend` may have; empty: any. Raises SettingsError.
        """
        settings, problems = cls.examine(environ, overrides, backends=backends)
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
    ) -> tuple[Self, list[str]]:
        """Like `load`, but returns the problems beside the settings, which may be of no use."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for setting in fields(cls):
            given = (overrides or {}).get(setting.name)
            if given is None:
                given = environ.get(variable(setting.name), "").strip()
            if given == "":
                continue
            try:
                values[setting.name] = parsed(setting.type, setting.metadata["choices"], given)
            except ValueError as error:
                problems.append(f"{_named(setting.name)}: {error}")
        settings = cls(**values)._with_defaults()
        return settings, [*problems, *_problems(settings, backends)]

    def _with_defaults(self) -> Self:
        """The defaults that depend on other settings."""
        addressing, backend = ("path", "generic") if self.s3_endpoint else ("virtual", "aws")
        return replace(
            self,
            s3_addressing=self.s3_addressing or addressing,
            backend=self.backend or backend,
        )

    @property
    def host(self) -> str:
        """The host of `address`, an IPv6 address without its brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of `address`; 0 lets the system choose."""
        return int(self.address.rpartition(":")[2])

    @property
    def metrics_host(self) -> str:
        """The host of `metrics_address`, an IPv6 address without its brackets; "" for none."""
        return self.metrics_address.rpartition(":")[0].strip("[]")

    def metrics_port(self, worker: int = 0) -> int:
        """Where that worker, from 0, has its metrics; 0 lets the system choose."""
        first = int(self.metrics_address.rpartition(":")[2] or 0)
        return first + worker if first else 0

    def sealing_key_bytes(self) -> list[bytes]:
        """The sealing keys, decoded."""
        return [base64.b64decode(key, validate=True) for key in sealing_keys(self.sealing_keys)]

    def shown(self) -> dict[str, Any]:
        """The values by name, with secrets hidden."""
        return {
            setting.name: _shown(setting, getattr(self, setting.name)) for setting in fields(self)
        }

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in self.shown().items())})"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"PARTWAY_{name.upper()}"


def flag(setting: Field[Any]) -> str:
    """The flag of a setting, or "" for a secret: arguments are there for all to see."""
    return "" if setting.metadata["secret"] else f"--{setting.name.replace('_', '-')}"


def environment(settings: Settings) -> dict[str, str]:
    """The variables that `load` makes the same settings from. Holds secrets."""
    return {variable(f.name): str(getattr(settings, f.name)) for f in fields(settings)}


def default_text(setting: Field[Any]) -> str:
    """The default for a person to read."""
    return setting.metadata["unset"] or text(setting.default)


def _named(name: str) -> str:
    setting = next(f for f in fields(Settings) if f.name == name)
    return " or ".join(filter(None, (variable(name), flag(setting))))


def _shown(setting: Field[Any], value: Any) -> Any:
    if setting.metadata["secret"]:
        return value and HIDDEN
    return without_password(value) if setting.name == "redis_url" else value


def _problems(settings: Settings, backends: Collection[str]) -> Iterator[str]:
    """What is wrong with the settings as a whole, a line each."""
    yield from _missing(settings)
    yield from _bad_addresses(settings)
    yield from _bad_credentials(settings)
    yield from _bad_numbers(settings)
    if not is_uri_reference(settings.event_source):
        yield f"{_named('event_source')}: {settings.event_source!r} is not a URI or the path of one"
    if backends and settings.backend not in backends:
        known = ", ".join(sorted(backends))
        yield f"{_named('backend')}: {settings.backend!r} is not known; known are {known}"


def _missing(settings: Settings) -> Iterator[str]:
    hints = {
        "bucket": "the name of a bucket that exists",
        "redis_url": "for example redis://127.0.0.1:6379/0",
        "sealing_keys": f"make one with: openssl rand -base64 {SEALING_KEY_BYTES} | tr -d '\\n'",
    }
    for name, hint in hints.items():
        if not getattr(settings, name):
            yield f"{_named(name)} is not set: {hint}"


def _bad_addresses(settings: Settings) -> Iterator[str]:
    if not is_address(settings.address):
        yield f"{_named('address')}: {settings.address!r} is not host:port"
    elif settings.port == 0 and settings.workers > 1:
        yield f"{_named('address')}: several workers need a port to share, not 0"
    if settings.metrics_address and not is_address(settings.metrics_address):
        yield f"{_named('metrics_address')}: {settings.metrics_address!r} is not host:port"
    elif settings.metrics_port(settings.workers - 1) > 65535:
        yield f"{_named('metrics_address')}: there are not as many ports as workers after it"
    for name in ("s3_endpoint", "s3_public_endpoint"):
        if (url := getattr(settings, name)) and not is_origin(url):
            yield f"{_named(name)}: {url!r} is not http://HOST or https://HOST, with a port or not"
    # The URL itself stays out of the text: it may hold a password.
    if settings.redis_url and not is_redis_url(settings.redis_url):
        yield f"{_named('redis_url')}: does not begin as the URL of a Redis, such as redis://"


def _bad_credentials(settings: Settings) -> Iterator[str]:
    if settings.s3_access_key and not settings.s3_secret_key:
        yield f"{_named('s3_secret_key')} is not set, but the access key is"
    if settings.s3_secret_key and not settings.s3_access_key:
        yield f"{_named('s3_access_key')} is not set, but the secret key is"
    if settings.s3_session_token and not settings.s3_access_key:
        yield f"{_named('s3_access_key')} is not set, but the session token is"
    for number, key in enumerate(sealing_keys(settings.sealing_keys), 1):
        if not is_sealing_key(key):
            yield (
                f"{_named('sealing_keys')}: key {number} is not base64 of {SEALING_KEY_BYTES} bytes"
            )


def _bad_numbers(settings: Settings) -> Iterator[str]:
    for setting in fields(settings):
        if (bounds := setting.metadata["bounds"]) is None:
            continue
        least, most = bounds
        value = getattr(settings, setting.name)
        # Said this way round, so that nan is refused.
        if not least <= value <= most:
            yield f"{_named(setting.name)}: {text(value)} is not between {least} and {most}"
