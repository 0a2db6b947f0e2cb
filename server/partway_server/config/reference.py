"""Writes docs/reference/settings.md from the table of settings: `make docs` runs it."""

import sys
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from partway_server.config import identity_settings as callers
from partway_server.config import settings_validation as values
from partway_server.config.backends import KINDS
from partway_server.config.settings import Settings, default_text, flag, variable
from partway_server.config.unknown_variables import CLIENT_VARIABLES
from partway_server.domain import certificate_names as certificates
from partway_server.domain.quota import Limit, Owner

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Storage": (
        "bucket",
        "backend",
        "backend_record",
        *(f"s3_{name}" for name in ("endpoint", "public_endpoint", "region", "addressing")),
        *(
            f"s3_{whose}{name}{file}"
            for whose in ("", "signer_")
            for name in ("access_key", "secret_key", "session_token")
            for file in ("", "_file")
        ),
        "s3_ca_file",
        "s3_multipart_seconds",
        "s3_client",
    ),
    "Redis and upload IDs": ("redis_url", "redis_url_file", "sealing_keys", "sealing_keys_file"),
    "Listening": (
        "address",
        *(f"tls_{name}" for name in ("cert_file", "key_file", "client_ca_file")),
        "workers",
        "reflection",
    ),
    "Callers": (
        *("identity", "allow_anonymous", "trusted_peers", "trusted_certificates"),
        *("mtls_rule", "mtls_scopes"),
        *(f"jwt_{name}" for name in ("issuer", "audience", "jwks_url", "jwks_file")),
        *(f"jwt_{name}" for name in ("jwks_allow_private", "algorithms", "leeway_seconds")),
        *(f"jwt_{name}" for name in ("tenant_claim", "subject_claim", "scope_claim")),
        "jwt_default_scopes",
    ),
    "Policies and webhooks": ("policy_file", "webhook_file", "via_service"),
    "Limits": (
        "max_concurrent_calls",
        "max_watchers",
        "max_via_service",
        "max_unread_bytes",
        "slow_reader_seconds",
        "min_upload_bytes_per_second",
        "call_timeout_seconds",
    ),
    "Limits of tenants and subjects": tuple(
        f"{owner}_{limit}" for owner in Owner for limit in Limit
    ),
    "Recovery and cleanup": (
        "lease_seconds",
        "janitor_seconds",
        "sweep_seconds",
        "sweep_grace_seconds",
        "completed_keep_seconds",
        "record_keep_seconds",
    ),
    "Events": ("event_source", "event_keep_seconds"),
    "Health and shutdown": ("readiness", "drain_seconds", "grace_seconds"),
    "Logs, metrics and traces": (
        *("log_level", "json_logs", "log_good_calls", "metrics_address", "metrics_tenants"),
        "traces",
    ),
}

_TYPES = {str: "text", int: "whole number", float: "number", bool: "true or false"}
_KINDS = {
    values.address_problem: "host:port",
    values.origin_problem: "URL",
    values.redis_url_problem: "URL",
    values.uri_reference_problem: "URI",
    values.sealing_keys_problem: "base64 keys",
    callers.identity_problem: "`none`, or a list of `metadata`, `jwt`, `mtls`",
    callers.networks_problem: "networks",
    callers.jwks_url_problem: "URL",
    callers.algorithms_problem: "list",
    callers.scopes_problem: "scopes",
    certificates.certificate_rule_problem: "rule",
    certificates.certificate_patterns_problem: "names",
}

_COLUMNS = ("| Variable | Value | Default | Meaning |", "|---|---|---|---|")

_HEAD = """# Settings

<!-- Made by `make docs` from server/partway_server/config/settings.py; edit that instead. -->

For operators. A setting is an environment variable. All but the secrets are also flags of
`partway-server serve`, `doctor` and `sweep`: `PARTWAY_WORKERS` is `--workers`, and flags win.
An empty variable counts as not set. True is `1`, `true`, `yes` or `on`; false is `0`, `false`, `no`
or `off`. `partway-server settings` shows the present values, with secrets hidden, and all their
problems.

A secret may be in a file, which `..._FILE` names: one newline at its end is not part of the secret,
and symbolic links are followed, so that a mounted Kubernetes secret works. It is UTF-8 and at most
64 KiB. It is read at the start of each process; the credentials of storage also at SIGHUP.

`serve`, `sweep` and `dev` refuse to start with a `PARTWAY_` variable that is not in this list, and
name the nearest one that is; `doctor` reports it. These are ignored:

- the client's: {client};
- `PARTWAY_TEST_*`;
- those that a policy or webhook file names;
- those that Kubernetes sets for a Service whose name begins with `partway`.
"""


def reference() -> str:
    """Return the whole document."""
    table = {setting.name: setting for setting in fields(Settings)}
    client = ", ".join(f"`{name}`" for name in sorted(CLIENT_VARIABLES))
    lines = [_HEAD.format(client=client)]
    for title, names in GROUPS.items():
        lines += [
            f"## {title}",
            "",
            "| Variable | Value | Default | Meaning |",
            "|---|---|---|---|",
        ]
        lines += [*(_row(table.pop(name)) for name in names), ""]
    if table:
        raise LookupError(f"settings without a group: {', '.join(table)}")
    return "\n".join(lines)


def _row(setting: Field[Any]) -> str:
    rules = setting.metadata
    default = default_text(setting) or ("required" if rules["required"] else "none")
    meaning = rules["why"] if flag(setting) else f"{rules['why']} A secret: it has no flag."
    return f"| `{variable(setting.name)}` | {_value(setting)} | {default} | {meaning} |"


def _value(setting: Field[Any]) -> str:
    rules, kind = setting.metadata, _TYPES[setting.type]  # type: ignore[index]
    if choices := rules["choices"] or (setting.name == "backend" and sorted(KINDS)):
        return " or ".join(f"`{choice}`" for choice in choices)
    if rules["bounds"]:
        least, most = rules["bounds"]
        if rules["size"]:
            return "bytes, or such as `5GiB`"
        if most == sys.maxsize:
            return f"{kind}, from {least}"
        return f"{kind}, {least} to {most}"
    return "file" if setting.name.endswith("_file") else _KINDS.get(rules["problem"], kind)


if __name__ == "__main__":
    print(reference(), end="")
