"""The file of webhooks: what it may say, and that no message holds a secret or a URL."""

import asyncio
import base64
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from partway_server.config.settings import Settings
from partway_server.events.webhook_file import Webhook, load_webhooks
from partway_server.runtime import app
from partway_server.runtime.startup import StartupError

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
        ("retries = 3", "no rule is called retries"),
        ("timeout_seconds = 0", "timeout_seconds is not between 0.1 and 60"),
        ("timeout_seconds = nan", "timeout_seconds is not between"),
        ("timeout_seconds = true", "timeout_seconds is of the wrong kind"),
        ("give_up_seconds = -1", "give_up_seconds is not between"),
        ('types = "upload.completed"', "types is of the wrong kind"),
        ('types = ["Upload Completed"]', "'Upload Completed' is none"),
        ("tenants = [1]", "tenants is no list of texts"),
        ('allow_http = "yes"', "allow_http is of the wrong kind"),
        ('secret_env = "UNSET"', "the variable UNSET that secret_env names is not set"),
        ('secret_env = "BARE"', "BARE is not whsec_ and base64 of 24 to 64 bytes"),
        ("secret_env = []", "secret_env is empty"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(tmp_path: Path, rule: str, said: str) -> None:
    with pytest.raises(ValueError, match="webhook 'orders': ") as raised:
        load_webhooks(write(tmp_path, rule), ENVIRON)
    assert said in str(raised.value)
    assert not any(secret in str(raised.value) for secret in (TOKEN, *ENVIRON.values()))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://hooks.example/", "is not https"),
        ("ftp://hooks.example/", "does not begin with https://"),
        ("hooks.example", "does not begin with https://"),
        ("https:///in", "does not begin with https://"),
        ("https://hooks.example:99999/", "is no URL"),
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
    with pytest.raises(ValueError, match="webhook 'orders': url ") as raised:
        load_webhooks(write(tmp_path, url=url), ENVIRON)
    assert said in str(raised.value)
    assert url not in str(raised.value) and TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no webhook is in it"),
        ("[orders]\nurl = 'https://hooks.example'", "not of the form [webhook.NAME]"),
        ("[webhook]\norders = 1", "it is no table of rules"),
        ("[webhook.orders]\nsecret_env = 'SECRET'", "url is missing"),
        ("[webhook.orders]\nurl = 'https://hooks.example'", "secret_env is missing"),
        (f"[webhook.orders]\nurl = '{URL}", "it is not TOML"),
        ("[webhook.orders]\nurl = " + "[" * 100_000, "its brackets are too deep"),
        ("\ufeff[webhook.orders]", "url is missing"),
        ("[webhook.'A B']\nurl='https://hooks.example'\nsecret_env='SECRET'", "a name is 1 to 64"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "webhooks.toml"
    file.write_text(text)
    with pytest.raises(ValueError) as raised:
        load_webhooks(file, ENVIRON)
    assert said in str(raised.value) and TOKEN not in str(raised.value)


def test_the_repr_has_neither_url_nor_secret(tmp_path: Path) -> None:
    [webhook] = load_webhooks(write(tmp_path), ENVIRON)
    assert TOKEN not in repr(webhook) and repr(KEY) not in repr(webhook)


async def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    settings = Settings(bucket="uploads", webhook_file=str(write(tmp_path, "types = 3")))
    with pytest.raises(StartupError, match="PARTWAY_WEBHOOK_FILE is invalid: webhook"):
        await app.run(settings, stop=asyncio.Event())
