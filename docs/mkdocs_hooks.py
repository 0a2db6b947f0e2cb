"""Brings documents that live beside their code into the site, and leads other links to the code.

The Markdown files are written to be read where they are, in the repository: a link is a path
relative to its file. On the site, some files of other folders are pages too, and what is not a page
is linked to at the repository.
"""

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "bench/README.md": "bench.md",
    "clients/python/README.md": "clients/python.md",
    "clients/typescript/README.md": "clients/typescript.md",
    "deploy/envoy/README.md": "deploy/envoy.md",
    "deploy/iam/README.md": "deploy/iam.md",
    "examples/README.md": "examples/index.md",
    "examples/browser/README.md": "examples/browser.md",
    "tests/model/README.md": "tests/model.md",
}
"""Files outside docs/ that are pages of the site, and where."""

_SOURCES = {page: source for source, page in PAGES.items()}
_FENCED = re.compile(r"(^[ \t]*```.*?^[ \t]*```[ \t]*$)", re.M | re.S)
_LINK = re.compile(r"\]\((?![a-z]+:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of other folders."""
    from mkdocs.structure.files import File

    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Rewrite the links of a page."""

    def is_page(uri: str) -> bool:
        return files.get_file_from_path(uri) is not None

    code = f"{config.repo_url}/blob/main/"
    return rewrite(markdown, page.file.src_uri, code=code, is_page=is_page)


def rewrite(markdown: str, page: str, *, code: str, is_page: Callable[[str], bool]) -> str:
    """Return a page with its links as the site has them; what does not exist stays as it is."""

    def replace(link: re.Match[str]) -> str:
        target, anchor = link[1], link[2] or ""
        source = posixpath.normpath(posixpath.join(posixpath.dirname(_source(page)), target))
        wanted = PAGES.get(source) or source.removeprefix("docs/")
        if is_page(wanted):
            return f"]({posixpath.relpath(wanted, posixpath.dirname(page) or '.')}{anchor})"
        if source == "README.md":
            return f"]({posixpath.relpath('index.md', posixpath.dirname(page) or '.')}{anchor})"
        return f"]({code}{source}{anchor})" if (ROOT / source).exists() else link[0]

    parts = _FENCED.split(markdown)
    return "".join(text if i % 2 else _LINK.sub(replace, text) for i, text in enumerate(parts))


def _source(page: str) -> str:
    return _SOURCES.get(page, f"docs/{page}")
