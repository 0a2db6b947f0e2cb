"""Tests the webhook file: what it may contain, and that no message holds a secret or URL."""

import asyncio
import base64
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from partway_server.config.settings import Settings
from partway_server.events.webhook_file import (
    Webhook,
    WebhookFileError,
    load_webhooks,
    secret_paths,
    webhook_names,
)
from partway_server.runtime import app
from partway_server.runtime.waiting import StartupError

from tests.support.secrecy import all_it_holds

KEY = bytes(range(24))
ENVIRON = {"SECRET": "whsec_" + base64.b64encode(KEY).decode(), "BARE": "c2VjcmV0"}
TOKEN = "hunter2"
URL = f"https://hooks.example/in?token={TOKEN}"


def write(folder: Path, *rules: str, url: str = URL, name: str = "orders") -> Path:
    file = folder / "webhooks.toml"
    lines = [f"[webhook.{name}]", f'url = "{url}"', *rules]
    if not any(rule.startswith("secret_env") for rule in rules):
        lines.append('secret_env = "SECRET"')
    file.write_text("\n".join(lines))
    return file


def problems(file: Path) -> list[str]:
    """Return the problems of a file; check that nothing in the error holds a URL or a secret."""
    with pytest.raises(WebhookFileError) as raised:
        load_webhooks(file, ENVIRON)
    held = all_it_holds(raised.value)
    assert not [secret for secret in (TOKEN, *ENVIRON.values()) if secret in held]
    return raised.value.lines


def problem(file: Path) -> str:
    [line] = problems(file)
    return line


def test_a_webhook_needs_no_more_than_a_url_and_a_secret(tmp_path: Path) -> None:
    [webhook] = load_webhooks(write(tmp_path), ENVIRON)
    assert (webhook.name, webhook.url, webhook.secrets) == ("orders", URL, (KEY,))
    assert webhook.wants("upload.completed") and not webhook.tenants
    assert not webhook.allow_http and not webhook.allow_private


def test_the_file_in_the_documents_can_be_used(tmp_path: Path) -> None:
    document = (Path(__file__).parents[3] / "docs/webhooks.md").read_text()
    [toml] = re.findall(r"```toml\n(.*?)```", document, re.S)
    file = tmp_path / "webhooks.toml"
    file.write_text(toml)
    [webhook] = load_webhooks(file, {"ORDERS_SECRET": ENVIRON["SECRET"]})
    named = {f.name for f in fields(Webhook)} - {"name", "secrets"} | {"secret_env"}
    assert all(re.search(rf"^{name} = ", toml, re.M) for name in named)
    written = replace(webhook, types=frozenset(), tenants=frozenset())
    assert written == Webhook(webhook.name, webhook.url, webhook.secrets)


def test_every_rule_is_taken(tmp_path: Path) -> None:
    other = base64.b64encode(KEY[::-1]).decode()
    rules = (
        'secret_env = ["NEW", "SECRET"]',
        'types = ["upload.completed"]',
        'tenants = ["acme"]',
        "timeout_seconds = 5",
        "give_up_seconds = 60.5",
        "allow_http = true",
        "allow_private = true",
    )
    environ = {**ENVIRON, "NEW": f"whsec_{other}"}
    [webhook] = load_webhooks(write(tmp_path, *rules, url="http://10.0.0.1/"), environ)
    assert webhook.secrets == (KEY[::-1], KEY)
    assert webhook.wants("upload.completed") and not webhook.wants("upload.aborted")
    assert webhook.tenants == {"acme"}
    assert (webhook.timeout_seconds, webhook.give_up_seconds) == (5, 60.5)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("retries = 3", "retries: unknown rule"),
        ("timeout_second = 3", "timeout_second: unknown rule; did you mean timeout_seconds?"),
        ("timeout_seconds = 0", "timeout_seconds: 0 is not between 0.1 and 60"),
        ("timeout_seconds = nan", "timeout_seconds: nan is not between"),
        ("timeout_seconds = true", "timeout_seconds: is true or false, not a number"),
        ("give_up_seconds = -1", "give_up_seconds: -1 is not between 0 and 2592000"),
        ('types = "upload.completed"', "types: is a string, not a list of strings"),
        ('types = ["Upload Completed"]', "types: 'Upload Completed' is not a type of event"),
        ("tenants = [1]", "tenants: item 1 is a number, not a string"),
        ('allow_http = "yes"', "allow_http: is a string, not true or false"),
        ('secret_env = "UNSET"', "secret_env: the variable UNSET is not set"),
        (
            'secret_env = "BARE"',
            "secret_env: the variable BARE is not whsec_ and base64 of 24 to 64 bytes",
        ),
        ("secret_env = []", "secret_env: is missing or empty"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(tmp_path: Path, rule: str, said: str) -> None:
    file = write(tmp_path, rule)
    assert problem(file).startswith(f"{file}:3: webhook.orders.{said}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://hooks.example/", "is not https"),
        ("ftp://hooks.example/", "does not begin with https://"),
        ("hooks.example", "does not begin with https://"),
        ("https:///in", "does not begin with https://"),
        ("https://hooks.example:99999/", "is not a URL"),
        ("https://user@hooks.example/", "has a user name"),
        (f"https://:{TOKEN}@hooks.example/", "has a user name"),
        ("https://hooks.example/#here", "fragment"),
        ("https://hooks.example/a b", "percent-encoded"),
        ("https://hooks.example/Ü", "percent-encoded"),
        ("https://127.0.0.1/", "not of the public internet"),
        ("https://[::1]/", "not of the public internet"),
        ("https://[::ffff:10.0.0.1]/", "not of the public internet"),
        ("https://169.254.169.254/latest", "not of the public internet"),
        ("https://2130706433/", "not of the public internet"),
        ("https://127.1/", "not of the public internet"),
        ("https://0x7f000001/", "not of the public internet"),
        ("https://10.0.0.1./", "not of the public internet"),
    ],
)
def test_a_url_that_may_not_be_is_refused(tmp_path: Path, url: str, said: str) -> None:
    file = write(tmp_path, url=url)
    found = problem(file)
    assert found.startswith(f"{file}:2: webhook.orders.url: ") and said in found
    assert url not in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ":1: has no webhook; begin one with [webhook.NAME]"),
        (
            "[orders]\nurl = 'https://hooks.example'",
            ":1: orders: unknown table; for a webhook name it [webhook.orders]",
        ),
        ("[webhook]\norders = 1", ":2: webhook.orders: is not a table"),
        ("[webhook.orders]\nsecret_env = 'SECRET'", ":1: webhook.orders.url: is missing"),
        (
            "[webhook.orders]\nurl = 'https://hooks.example'",
            ":1: webhook.orders.secret_env: is missing or empty",
        ),
        (f"[webhook.orders]\nurl = '{URL}", ":2: invalid TOML: Expected"),
        (
            "[webhook.orders]\nurl = " + "[" * 100_000,
            ": has a number that is too long, or brackets that are too deep",
        ),
        ("\ufeff[webhook.orders]\nsecret_env = 'SECRET'", ":1: webhook.orders.url: is missing"),
        (
            "[webhook.'A B']\nurl='https://hooks.example'\nsecret_env='SECRET'",
            ':1: webhook."A B": is not a name for a webhook: use 1 to 64',
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "webhooks.toml"
    file.write_text(text)
    assert problem(file).startswith(f"{file}{said}")


def test_all_problems_of_all_webhooks_are_reported_at_once(tmp_path: Path) -> None:
    file = tmp_path / "webhooks.toml"
    file.write_text(
        f"""retries = 3
[webhook.orders]
url = "http://user:{TOKEN}@hooks.example/"
secret_env = ["UNSET", "BARE"]
timeout_seconds = "5"

[webhook.audit]
secret_env = "SECRET"
types = ["Upload Completed"]
give_up_seconds = -1
[webhooks.late]
[webhook."Ü"]
url = "{URL}"
secret_env = "SECRET"
colour = 1
"""
    )
    found = [line.removeprefix(f"{file}:").partition(";")[0] for line in problems(file)]
    assert [line[:60] for line in found] == [
        "1: retries: is outside any table",
        "3: webhook.orders.url: is not https, and allow_http is not s",
        "4: webhook.orders.secret_env: the variable UNSET is not set",
        "4: webhook.orders.secret_env: the variable BARE is not whsec",
        "5: webhook.orders.timeout_seconds: is a string, not a number",
        "7: webhook.audit.url: is missing",
        "9: webhook.audit.types: 'Upload Completed' is not a type of ",
        "10: webhook.audit.give_up_seconds: -1 is not between 0 and 2",
        "11: webhooks: unknown table",
        '12: webhook."Ü": is not a name for a webhook: use 1 to 64 of',
        '15: webhook."Ü".colour: unknown rule',
    ]


@pytest.mark.parametrize("secret", [ENVIRON["SECRET"], "hunter2/abc", "sk_hunter2"])
def test_a_secret_in_the_place_of_its_variable_is_not_repeated(tmp_path: Path, secret: str) -> None:
    file = write(tmp_path, f'secret_env = "{secret}"')
    assert secret not in problem(file)
    assert problem(file).startswith(f"{file}:3: webhook.orders.secret_env: the variable is not set")


def test_a_secret_may_be_in_a_file_and_signs_after_those_in_variables(tmp_path: Path) -> None:
    other = bytes(range(24, 48))
    secret = tmp_path / "secret"
    secret.write_text(f"whsec_{base64.b64encode(other).decode()}\n")
    rules = ('secret_env = "SECRET"', f'secret_file = "{secret}"')
    file = write(tmp_path, *rules)
    [webhook] = load_webhooks(file, ENVIRON)
    assert webhook.secrets == (KEY, other)
    assert secret_paths(file) == [str(secret)]
    file.write_text(f'[webhook.orders]\nurl = "{URL}"\nsecret_file = ["{secret}"]')
    [webhook] = load_webhooks(file, {})
    assert webhook.secrets == (other,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "is empty"),
        (TOKEN, "is not whsec_ and base64 of 24 to 64 bytes"),
    ],
)
def test_the_file_of_a_secret_that_cannot_be_used_is_one_problem(
    tmp_path: Path, content: str | None, words: str
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_text(content)
    file = tmp_path / "webhooks.toml"
    file.write_text(f'[webhook.orders]\nurl = "{URL}"\nsecret_file = "{secret}"')
    assert problem(file).startswith(f"{file}:3: webhook.orders.secret_file: {secret} {words}")


def test_the_names_are_read_without_the_secrets(tmp_path: Path) -> None:
    assert webhook_names(write(tmp_path, 'secret_env = "UNSET"')) == ["orders"]
    with pytest.raises(WebhookFileError, match="unknown table"):
        webhook_names(write(tmp_path, "[webhooks.late]"))


def test_the_repr_has_neither_url_nor_secret(tmp_path: Path) -> None:
    [webhook] = load_webhooks(write(tmp_path), ENVIRON)
    assert TOKEN not in repr(webhook) and repr(KEY) not in repr(webhook)


async def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(bucket="uploads", webhook_file=str(write(tmp_path, "types = 3")))
    with pytest.raises(StartupError, match=r"PARTWAY_WEBHOOK_FILE: .*:3: webhook\."):
        await app.run(settings, stop=asyncio.Event())
