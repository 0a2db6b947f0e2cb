"""Tests settings: where values come from, what is refused, and what is hidden."""

import base64
import re
from dataclasses import fields
from typing import Any

import pytest
from partway_server.config.settings import (
    Settings,
    SettingsError,
    default_text,
    environment,
    flag,
    variable,
)

from tests.support.secrecy import all_it_holds

KEY = base64.b64encode(bytes(range(64))).decode()
OTHER_KEY = base64.b64encode(bytes(range(64, 128))).decode()
REQUIRED = {
    "PARTWAY_BUCKET": "uploads",
    "PARTWAY_REDIS_URL": "redis://127.0.0.1:6379/0",
    "PARTWAY_SEALING_KEYS": KEY,
}
BACKENDS = ("aws", "generic", "minio")


MTLS = {
    "identity": "mtls",
    "mtls_rule": "spiffe://example.org/{tenant}/{subject}",
    "tls_cert_file": "server.pem",
    "tls_key_file": "server.key",
    "tls_client_ca_file": "ca.pem",
}


def problems(**environ: str) -> list[str]:
    """Return the problems of the environment, given everything that is required."""
    given = {variable(name): value for name, value in environ.items()}
    try:
        Settings.load({**REQUIRED, **given}, backends=BACKENDS)
    except SettingsError as error:
        return list(error.problems)
    return []


def test_everything_but_three_settings_has_a_default() -> None:
    settings = Settings.load(REQUIRED)
    assert (settings.address, settings.workers, settings.reflection) == (
        "127.0.0.1:50051",
        1,
        False,
    )


def test_each_missing_setting_is_a_line_that_says_how_to_set_it() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load({})
    bucket, redis, keys = caught.value.problems
    assert "PARTWAY_BUCKET or --bucket" in bucket
    assert "PARTWAY_REDIS_URL or --redis-url" in redis and "redis://" in redis
    assert "PARTWAY_SEALING_KEYS" in keys and "openssl rand -base64 64" in keys
    assert "--sealing-keys" not in keys


def test_a_flag_beats_the_environment() -> None:
    settings = Settings.load({**REQUIRED, "PARTWAY_WORKERS": "2"}, {"workers": "3"})
    assert settings.workers == 3


def test_a_flag_that_was_not_given_leaves_the_environment() -> None:
    settings = Settings.load({**REQUIRED, "PARTWAY_WORKERS": "2"}, {"workers": None})
    assert settings.workers == 2


def test_a_flag_that_says_no_beats_an_environment_that_says_yes() -> None:
    settings = Settings.load({**REQUIRED, "PARTWAY_REFLECTION": "1"}, {"reflection": False})
    assert settings.reflection is False


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert Settings.load({**REQUIRED, "PARTWAY_WORKERS": ""}).workers == 1


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("TRUE", True), ("on", True), ("0", False), ("no", False)]
)
def test_truth_has_several_spellings(text: str, value: bool) -> None:
    assert Settings.load({**REQUIRED, "PARTWAY_JSON_LOGS": text}).json_logs is value


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"address": "50051"}, "PARTWAY_ADDRESS"),
        ({"address": "0.0.0.0:65536"}, "PARTWAY_ADDRESS"),
        ({"address": ":50051"}, "PARTWAY_ADDRESS"),
        ({"address": "::1:50051"}, "PARTWAY_ADDRESS"),
        ({"address": "h\u00f6st:50051"}, "PARTWAY_ADDRESS"),
        ({"address": "host:" + "5" * 5000}, "PARTWAY_ADDRESS"),
        ({"address": "127.0.0.1:0", "workers": "2"}, "PARTWAY_ADDRESS"),
        ({"workers": "0"}, "PARTWAY_WORKERS"),
        ({"workers": "two"}, "PARTWAY_WORKERS"),
        ({"lease_seconds": "0"}, "PARTWAY_LEASE_SECONDS"),
        ({"lease_seconds": "nan"}, "PARTWAY_LEASE_SECONDS"),
        ({"lease_seconds": "2.9"}, "PARTWAY_LEASE_SECONDS"),
        ({"lease_seconds": "601"}, "PARTWAY_LEASE_SECONDS"),
        ({"janitor_seconds": "0.5"}, "PARTWAY_JANITOR_SECONDS"),
        ({"call_timeout_seconds": "0"}, "PARTWAY_CALL_TIMEOUT_SECONDS"),
        ({"call_timeout_seconds": "3600"}, "PARTWAY_CALL_TIMEOUT_SECONDS"),
        ({"drain_seconds": "601"}, "PARTWAY_DRAIN_SECONDS"),
        ({"max_concurrent_calls": "0"}, "PARTWAY_MAX_CONCURRENT_CALLS"),
        ({"max_via_service": "0"}, "PARTWAY_MAX_VIA_SERVICE"),
        ({"metrics_address": "9090"}, "PARTWAY_METRICS_ADDRESS"),
        ({"metrics_address": "host:0", "workers": "2"}, "PARTWAY_METRICS_ADDRESS"),
        ({"grace_seconds": "-1"}, "PARTWAY_GRACE_SECONDS"),
        ({"grace_seconds": "inf"}, "PARTWAY_GRACE_SECONDS"),
        ({"event_source": "my service"}, "PARTWAY_EVENT_SOURCE"),
        ({"event_keep_seconds": "0"}, "PARTWAY_EVENT_KEEP_SECONDS"),
        ({"reflection": "maybe"}, "PARTWAY_REFLECTION"),
        ({"log_level": "loud"}, "PARTWAY_LOG_LEVEL"),
        ({"identity": "password"}, "PARTWAY_IDENTITY"),
        ({"s3_addressing": "dns"}, "PARTWAY_S3_ADDRESSING"),
        ({"backend": "floppy"}, "PARTWAY_BACKEND"),
        ({"s3_endpoint": "minio:9000"}, "PARTWAY_S3_ENDPOINT"),
        ({"s3_endpoint": "http://minio:port"}, "PARTWAY_S3_ENDPOINT"),
        ({"s3_public_endpoint": "files.example"}, "PARTWAY_S3_PUBLIC_ENDPOINT"),
        ({"s3_public_endpoint": "https://files.example/s3"}, "PARTWAY_S3_PUBLIC_ENDPOINT"),
        ({"s3_endpoint": "http://:pw@files.example"}, "PARTWAY_S3_ENDPOINT"),
        ({"workers": "300.0"}, "PARTWAY_WORKERS"),
        ({"workers": "9" * 400}, "PARTWAY_WORKERS"),
        ({"s3_access_key": "a"}, "PARTWAY_S3_SECRET_KEY"),
        ({"s3_secret_key": "s"}, "PARTWAY_S3_ACCESS_KEY"),
        ({"s3_session_token": "t"}, "PARTWAY_S3_ACCESS_KEY"),
        ({"tls_cert_file": "server.pem"}, "PARTWAY_TLS_KEY_FILE"),
        ({"tls_key_file": "server.key"}, "PARTWAY_TLS_CERT_FILE"),
        ({"tls_client_ca_file": "ca.pem"}, "PARTWAY_TLS_CLIENT_CA_FILE"),
        ({**MTLS, "mtls_rule": ""}, "PARTWAY_MTLS_RULE"),
        ({**MTLS, "mtls_rule": "spiffe://example.org/{user}"}, "PARTWAY_MTLS_RULE"),
        ({**MTLS, "tls_client_ca_file": ""}, "PARTWAY_MTLS_RULE"),
        ({**MTLS, "mtls_scopes": "read everything"}, "PARTWAY_MTLS_SCOPES"),
        ({**MTLS, "trusted_certificates": "gateway"}, "PARTWAY_TRUSTED_CERTIFICATES"),
        ({"trusted_certificates": "dns:gateway"}, "PARTWAY_TRUSTED_CERTIFICATES"),
        ({"redis_url": "127.0.0.1:6379"}, "PARTWAY_REDIS_URL"),
        ({"redis_url": "redis+other://127.0.0.1:6379"}, "PARTWAY_REDIS_URL"),
        ({"sealing_keys": "not base64"}, "PARTWAY_SEALING_KEYS"),
        ({"sealing_keys": "schl\u00fcssel"}, "PARTWAY_SEALING_KEYS"),
        ({"sealing_keys": "\udcff"}, "PARTWAY_SEALING_KEYS"),
        ({"sealing_keys": f"{KEY},c2hvcnQ="}, "PARTWAY_SEALING_KEYS"),
    ],
)
def test_what_cannot_work_is_one_line_that_names_the_setting(
    given: dict[str, str], named: str
) -> None:
    [line] = problems(**given)
    assert line.startswith(named)
    assert "\n" not in line


def test_callers_by_certificate_need_no_more_than_this() -> None:
    assert problems(**MTLS) == []


def test_all_problems_are_reported_at_once() -> None:
    found = problems(workers="0", log_level="loud", address="nowhere", s3_access_key="a")
    assert [line.split()[0] for line in found] == [
        "PARTWAY_ADDRESS",
        "PARTWAY_S3_SECRET_KEY:",
        "PARTWAY_WORKERS",
        "PARTWAY_LOG_LEVEL",
    ]


@pytest.mark.parametrize("zero", ["drain_seconds", "grace_seconds"])
def test_not_waiting_at_the_end_is_allowed(zero: str) -> None:
    assert problems(**{zero: "0"}) == []


def test_the_default_backend_depends_on_the_endpoint() -> None:
    aws = Settings.load(REQUIRED)
    other = Settings.load({**REQUIRED, "PARTWAY_S3_ENDPOINT": "http://minio:9000"})
    assert (aws.backend, aws.s3_addressing) == ("aws", "virtual")
    assert (other.backend, other.s3_addressing) == ("generic", "path")


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("0.0.0.0:1", "0.0.0.0", 1), ("[::]:50051", "::", 50051), ("localhost:0", "localhost", 0)],
)
def test_an_address_is_a_host_and_a_port(address: str, host: str, port: int) -> None:
    environ = {"PARTWAY_ADDRESS": address, "PARTWAY_ALLOW_ANONYMOUS": "true"}
    settings = Settings.load({**REQUIRED, **environ})
    assert (settings.host, settings.port) == (host, port)


def test_the_address_of_metrics_is_a_host_and_a_port() -> None:
    settings = Settings(metrics_address="[::1]:9090")
    assert (settings.metrics_host, settings.metrics_port) == ("::1", 9090)
    assert Settings(metrics_address="127.0.0.1:0").metrics_port == 0
    assert Settings().metrics_port == 0


def test_sealing_keys_are_several_and_may_hold_line_breaks() -> None:
    text = f"{KEY[:64]}\n{KEY[64:]}, {OTHER_KEY}\n"
    settings = Settings.load({**REQUIRED, "PARTWAY_SEALING_KEYS": text})
    assert settings.sealing_key_bytes() == [bytes(range(64)), bytes(range(64, 128))]


SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{SECRET}@127.0.0.1:6379/0",
        f"rediss://:{SECRET}@127.0.0.1",
        f"redis://127.0.0.1/0?db=1&password={SECRET}",
        f"unix://{SECRET}:{SECRET}@/run/redis.sock".replace(f"{SECRET}:", "user:"),
        f"oops://user:{SECRET}@127.0.0.1",
        f"user:{SECRET}@127.0.0.1",
        f"redis://user:{SECRET}/x@127.0.0.1:6379/0",
        f"redis://user:x/{SECRET}@127.0.0.1",
        f"redis://user:x#{SECRET}@127.0.0.1",
        f"redis://user:x?{SECRET}@127.0.0.1",
        f"redis://user:x@{SECRET}@127.0.0.1",
        f"redis://user:x@{SECRET}/y@127.0.0.1",
        f"redis://127.0.0.1/0?password=a@{SECRET}",
        f"redis://user:{SECRET}",
        f"redis://user:{SECRET}%40127.0.0.1",
        f"redis+sentinel://user:{SECRET}@a:26379,b/films/0",
        f"redis+sentinel://user:x@{SECRET}@a:26379,b/films/0",
        f"rediss+sentinel://a,b/films?sentinel_password={SECRET}",
        f"redis+sentinel://:x/{SECRET}@a/films",
        f"redis+sentinel://user:{SECRET}/films",
        f"redis+cluster://user:{SECRET}@a:7000,b:7001",
        f"rediss+cluster://a:7000,user:{SECRET}@b:7001",
        f"redis+cluster://user:{SECRET},x@a:7000,b:7001",
        f"redis+cluster://a,user:{SECRET}",
        f"redis+other://user:{SECRET}@a",
    ],
)
def test_the_password_in_a_redis_url_is_hidden(url: str) -> None:
    settings, found = Settings.examine({**REQUIRED, "PARTWAY_REDIS_URL": url})
    assert SECRET not in repr(settings) + str(settings.shown()) + "".join(found)
    assert settings.redis_url == url
    with pytest.raises(SettingsError) as raised:
        Settings.load({**REQUIRED, "PARTWAY_REDIS_URL": url, "PARTWAY_WORKERS": "0"})
    assert SECRET not in all_it_holds(raised.value)


def test_no_secret_is_in_the_repr_or_in_a_problem() -> None:
    secrets = {f.name for f in fields(Settings) if f.metadata["secret"]}
    given = {variable(name): SECRET for name in secrets}
    settings, found = Settings.examine(given)
    assert found
    assert SECRET not in repr(settings) + str(settings.shown()) + "".join(found)
    with pytest.raises(SettingsError) as raised:
        Settings.load(given)
    assert SECRET not in all_it_holds(raised.value)


@pytest.mark.parametrize("name", ["s3_endpoint", "s3_public_endpoint"])
@pytest.mark.parametrize(
    "url",
    [f"http://user:{SECRET}@h", f"http://:{SECRET}@h", f"user:{SECRET}@h", f"http://h/?k={SECRET}"],
)
def test_the_password_in_an_endpoint_is_hidden(name: str, url: str) -> None:
    settings, _ = Settings.examine({**REQUIRED, variable(name): url})
    assert SECRET not in repr(settings) + str(settings.shown())
    with pytest.raises(SettingsError) as raised:
        Settings.load({**REQUIRED, variable(name): url})
    assert SECRET not in all_it_holds(raised.value)
    assert variable(name) in str(raised.value)


def test_the_rest_of_a_redis_url_is_shown() -> None:
    url = f"redis://user:{SECRET}@redis.example:6379/2"
    settings = Settings.load({**REQUIRED, "PARTWAY_REDIS_URL": url})
    assert settings.shown()["redis_url"] == "redis://***@redis.example:6379/2"


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0",
        "rediss://[::1]/1",
        "unix:///run/redis/redis.sock",
        "redis+sentinel://a:26379,[::1]:26379,c/films/0",
        "rediss+cluster://a:7000,b",
        "",
    ],
)
def test_a_redis_url_without_a_password_is_shown_whole(url: str) -> None:
    settings, _ = Settings.examine({**REQUIRED, "PARTWAY_REDIS_URL": url})
    assert settings.shown()["redis_url"] == url


def test_secrets_have_no_flag_and_everything_else_has_one() -> None:
    without = {f.name for f in fields(Settings) if not flag(f)}
    keys = {
        f"s3_{whose}{name}" for whose in ("", "signer_") for name in ("secret_key", "session_token")
    }
    assert without == {*keys, "sealing_keys"}


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda f: f.name)
def test_every_setting_has_one_line_of_why(setting: Any) -> None:
    assert re.fullmatch(r"[A-Z][^\n]+\.", setting.metadata["why"])


def test_settings_go_through_an_environment_unchanged() -> None:
    settings = Settings.load(
        {**REQUIRED, "PARTWAY_S3_ENDPOINT": "http://minio:9000"},
        {"lease_seconds": "3.2345678", "reflection": True, "workers": "3"},
    )
    assert Settings.load(environment(settings)) == settings


def test_defaults_read_well() -> None:
    shown = {f.name: default_text(f) for f in fields(Settings)}
    assert shown["reflection"] == "false"
    assert shown["lease_seconds"] == "30"
    assert shown["s3_endpoint"] == "AWS"


def test_limits_in_bytes_may_have_units() -> None:
    given = {"tenant_open_bytes": "5GiB", "subject_daily_bytes": "12"}
    environ = {variable(name): value for name, value in given.items()}
    settings = Settings.load({**REQUIRED, **environ}, {"tenant_daily_bytes": "1 TiB"})
    assert settings.tenant_open_bytes == 5 * 1024**3
    assert settings.tenant_daily_bytes == 1024**4
    assert settings.subject_daily_bytes == 12
    assert Settings.load(environment(settings)) == settings


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tenant_open_bytes", "5GB", "'5GB' is not a size"),
        ("tenant_open_bytes", "-5", "'-5' is not a size"),
        ("tenant_open_uploads", "-1", "-1 is not between 0 and"),
        ("tenant_open_uploads", "5GiB", "'5GiB' is not a whole number"),
        ("subject_open_bytes", "9999999999TiB", "is not between 0 and"),
    ],
)
def test_a_limit_that_is_none_is_refused(name: str, value: str, words: str) -> None:
    [problem] = problems(**{name: value})
    assert variable(name) in problem
    assert words in problem
