"""Tests how documents become pages of the site. `make docs-site` builds it, with strict links."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.contract.reference import commands, proto

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CODE = "https://code.example/"
PAGES = sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def hooks() -> ModuleType:
    """Load the hooks, which MkDocs loads by their path."""
    spec = importlib.util.spec_from_file_location("mkdocs_hooks", DOCS / "mkdocs_hooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOOKS = hooks()


def rewritten(markdown: str, page: str) -> str:
    site = {*PAGES, *HOOKS.PAGES.values(), *HOOKS.PARTS, "openapi.json"}
    return str(HOOKS.rewrite(markdown, page, code=CODE, is_page=site.__contains__))


@pytest.mark.parametrize(
    ("page", "link", "there"),
    [
        ("callers.md", "reference/errors.md", "reference/errors.md"),
        ("callers.md", "../clients/python/README.md", "clients/python.md"),
        ("clients/python.md", "../../README.md", "../index.md"),
        ("clients/python.md", "../../docs/concepts.md#compose", "../concepts.md#compose"),
        ("callers.md", "../proto/partway/v1/upload.proto", f"{CODE}proto/partway/v1/upload.proto"),
        ("identity.md", "operate.md#tls", "operate/secure.md#tls"),
        ("identity.md", "operate.md", "operate.md"),
        ("operate/size.md", "#health", "observe.md#health"),
        ("operate/size.md", "../bench/README.md", "../bench.md"),
        ("operate.md", "#redis", "operate/install.md#redis"),
        ("concepts.md", "#compose", "#compose"),
        ("concepts.md", "../no/such/file.py", "../no/such/file.py"),
        ("concepts.md", "https://example.org/", "https://example.org/"),
    ],
)
def test_a_link_leads_to_the_page_of_the_site(page: str, link: str, there: str) -> None:
    assert rewritten(f"[words]({link})", page) == f"[words]({there})"


def test_code_is_left_as_it_is() -> None:
    fenced = "```python\nfound[0](../x/README.md)\n```\n"
    assert rewritten(fenced, "callers.md") == fenced


def test_every_section_for_operators_is_on_one_page() -> None:
    sections = re.findall(r"^## (.*)$", (DOCS / "operate.md").read_text(), re.M)
    divided = "".join(HOOKS.divided().values())
    assert sorted(re.findall(r"^## (.*)$", divided, re.M)) == sorted(sections)


@pytest.mark.parametrize("page", [*PAGES, *HOOKS.PARTS])
def test_a_page_says_whom_it_is_for(page: str) -> None:
    text = HOOKS.divided().get(page) or (DOCS / page).read_text()
    paragraphs = re.sub(r"<!--.*?-->", "", text, flags=re.S).split("\n\n")[1:]
    assert next(filter(str.strip, paragraphs)).strip().startswith("For ")


def test_the_references_are_what_make_docs_writes() -> None:
    assert (DOCS / "reference/cli.md").read_text() == commands.page()
    assert (DOCS / "reference/proto.md").read_text() == proto.page()


def test_every_page_is_in_the_navigation() -> None:
    class Loader(yaml.SafeLoader):
        """Reads the file without the function that makes anchors."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    loaded = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    shown = set(re.findall(r"[\w/-]+\.md", repr(loaded["nav"])))
    assert shown == {*PAGES, *HOOKS.PAGES.values(), *HOOKS.PARTS}
